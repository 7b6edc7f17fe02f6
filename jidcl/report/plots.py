"""Figures from records. Needs matplotlib (`pip install 'jidcl[plots]'`)."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from jidcl.report.records import Record

_INK, _ACCENT, _MUTED = "#1b3a5c", "#c4502e", "#9aa5b1"
_COLOURS = (_INK, _ACCENT, _MUTED, "#2e8b57", "#8a5fb0")


def available() -> bool:
    """Whether matplotlib is installed.

    Returns:
        True where figures can be drawn.
    """
    import importlib.util

    return importlib.util.find_spec("matplotlib") is not None


def new_figure(columns: int = 1, width: float = 5.0, height: float = 3.4):
    """(figure, its axes in a row), each of that width and height in inches.

    Args:
        columns: how many axes, >= 1.
        width: of each, inches.
        height: of each, inches.

    Returns:
        A matplotlib `Figure` and an array of its axes, `[columns]`.

    Raises:
        ImportError: without matplotlib.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ImportError(
            "figures need matplotlib: pip install 'jidcl[plots]'"
        ) from error
    figure = Figure(figsize=(width * columns, height), layout="constrained", dpi=130)
    axes = figure.subplots(1, columns, squeeze=False)[0]
    for axis in axes:
        axis.spines[["top", "right"]].set_visible(False)
    return figure, axes


def plot_curve(record: Record, path: Path) -> Path:
    """Training loss and evaluation scores over steps, one line a seed.

    The dashed line is the oracle's loss at the training batch.

    Args:
        record: of a run that trained something.
        path: the file to write.

    Returns:
        `path`.
    """
    figure, (left, right) = new_figure(2)
    steps = [row["step"] for row in record.curve]
    loss = np.asarray([row["loss"] for row in record.curve])
    left.plot(steps, loss, color=_INK, lw=1, alpha=0.7)
    if "train_reference" in record.losses:
        level = record.mean("train_reference")
        left.axhline(level, color=_ACCENT, ls="--", lw=1.2, label="reference")
        left.legend(frameon=False, loc="upper right")
    left.set(xlabel="step", ylabel="training loss (nats)", title="loss and reference")
    first = record.curve[0]
    scalars = [name for name in first if np.ndim(first[name]) == 1]
    names = [name for name in scalars if name in record.untrained]
    for name, colour in zip(names, _COLOURS, strict=False):
        scores = np.asarray([row[name] for row in record.curve])
        lines = right.plot(steps, scores, color=colour, lw=1, alpha=0.7)
        lines[0].set_label({"r2": "R²", "mcc": "MCC"}.get(name, name))
    right.set(xlabel="step", ylabel="score", ylim=(0, 1.02), title="recovery")
    right.legend(frameon=False, loc="lower right")
    return _save(figure, path)


def plot_recovery(
    record: Record,
    samples: dict[str, Any],
    path: Path,
    *,
    how: str = "linear read-out of y",
) -> Path:
    """z against its read-out for each latent, and the correlation matrix.

    Args:
        record: of the run.
        samples: `z` and `z_hat`, `[seeds, count, n]`, and `matrix`, `[seeds, n, m]`;
            the first seed is shown.
        path: the file to write.
        how: what `z_hat` is.

    Returns:
        `path`.
    """
    z, z_hat = samples["z"][0], samples["z_hat"][0]
    shown = min(z.shape[1], 4)
    figure, axes = new_figure(shown + 1, width=2.6, height=2.8)
    for j, axis in enumerate(axes[:-1]):
        axis.scatter(z[:, j], z_hat[:, j], s=3, color=_INK, alpha=0.4, lw=0)
        ends = [z[:, j].min(), z[:, j].max()]
        axis.plot(ends, ends, color=_ACCENT, lw=1)
        axis.set(xlabel=f"$z_{j + 1}$", ylabel=rf"$\hat z_{j + 1}$")
    matrix = axes[-1].imshow(
        np.abs(samples["matrix"][0]), vmin=0, vmax=1, cmap="Blues", aspect="equal"
    )
    n, m = samples["matrix"][0].shape
    axes[-1].set(xlabel="output", ylabel="latent", title="|corr(z, y)|")
    axes[-1].set_xticks(range(m), range(1, m + 1))
    axes[-1].set_yticks(range(n), range(1, n + 1))
    figure.colorbar(matrix, ax=axes[-1], shrink=0.8)
    figure.suptitle(
        rf"{record.preset}, seed {record.seeds[0]}; $\hat z$: {how}",
        fontsize=10,
    )
    return _save(figure, path)


def plot_violation(
    x: Sequence[float],
    records: Sequence[Record],
    path: Path,
    *,
    xlabel: str,
    metric: str = "r2",
    conditional: float | None = None,
) -> Path:
    """Recovery against the strength of the violated assumption (Figure 2).

    Args:
        x: total variation of the marginal to the uniform law, or its scale.
        records: one for each x.
        path: where to write.
        xlabel: what x is.
        metric: the score.
        conditional: x at which the marginal is as concentrated as the conditional.

    Returns:
        `path`.
    """
    figure, (axis,) = new_figure()
    scores = np.asarray([record.values(metric) for record in records])
    axis.plot(x, scores.mean(axis=1), color=_INK, lw=1.5, marker="o", ms=4)
    places = np.repeat(np.asarray(x)[:, None], scores.shape[1], axis=1)
    axis.scatter(places, scores, s=10, color=_INK, alpha=0.4, lw=0)
    nulls = [record.null(metric, "identity") for record in records]
    held = [float(null.mean()) for null in nulls if null is not None]
    if len(held) == len(records):
        axis.plot(x, held, color=_MUTED, lw=1, ls=":", label="x itself")
    if conditional is not None:
        axis.axvline(conditional, color=_ACCENT, ls="--", lw=1, label="conditional")
    axis.set(xlabel=xlabel, ylabel=metric, ylim=(0, 1.02), xscale="log")
    if axis.get_legend_handles_labels()[0]:
        axis.legend(frameon=False)
    return _save(figure, path)


def plot_theorem1(curves: Mapping[str, Record], path: Path) -> Path:
    """Loss of the true encoder minus log M against M, with its limit, of one seed.

    Args:
        curves: records by title, with the scores that a
            `jidcl.claims.CurveClaim` is judged from.
        path: where to write.

    Returns:
        `path`.
    """
    figure, axes = new_figure(len(curves), width=3.1, height=3.0)
    names = ("counts", "excess", "error", "predicted", "limit")
    for axis, (title, record) in zip(axes, curves.items(), strict=True):
        counts, excess, error, predicted, limit = (
            record.values(name)[0] for name in names
        )
        axis.errorbar(
            counts,
            excess,
            yerr=3 * error,
            fmt="o",
            ms=4,
            color=_INK,
            label="true encoder, 3 s.e.",
        )
        axis.plot(counts, predicted, color=_INK, lw=1, label="finite M")
        axis.axhline(limit, color=_ACCENT, ls="--", lw=1, label="limit")
        axis.set_xscale("log")
        axis.set_title(title, fontsize=7)
        axis.set_xlabel("M")
    axes[0].set_ylabel("loss − log M (nats)")
    axes[0].legend(frameon=False, fontsize=7)
    return _save(figure, path)


def plot_pictures(rows: Sequence[Any], labels: Sequence[str], path: Path) -> Path:
    """Rows of pictures, each `[count, height, width, channels]` in [0, 1], labelled.

    Pictures are shown without resampling, one below the other with thin gaps.

    Args:
        rows: pictures of each row, `[count, height, width, channels]`, in [0, 1].
        labels: a text for each row; all may be empty.
        path: the file to write.

    Returns:
        `path`.
    """
    count = max(len(row) for row in rows)
    wide = 1.15 if any(labels) else 0.0
    figure, (axis,) = new_figure(width=0.72 * count + wide, height=0.72 * len(rows))
    height, width = rows[0][0].shape[:2]
    gap = max(1, height // 32)
    sheet = np.ones((len(rows) * (height + gap) - gap, count * (width + gap) - gap, 3))
    for i, row in enumerate(rows):
        for j, picture in enumerate(np.asarray(row, np.float32)):
            top, left = i * (height + gap), j * (width + gap)
            sheet[top : top + height, left : left + width] = picture
    axis.imshow(sheet, interpolation="nearest", vmin=0, vmax=1)
    middles = [i * (height + gap) + height / 2 for i in range(len(rows))]
    axis.set(xticks=[], yticks=middles if any(labels) else [])
    if any(labels):
        axis.set_yticklabels(labels, fontsize=8)
    axis.tick_params(length=0)
    axis.spines[:].set_visible(False)
    return _save(figure, path)


def _save(figure: Any, path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.get_layout_engine().execute(figure)
    figure.set_layout_engine(None)  # or it is arranged twice more
    figure.savefig(path)
    return path


def grid_figure(rows: list[dict], axes: list[str], metric: str, path: Path) -> Path:
    """A score over a grid: a line for one axis, maps for two or three.

    Args:
        rows: one dict for each run, with every axis and the metric.
        axes: names of the settings that vary; runs that agree in the first three are
            averaged, as seeds are.
        metric: a key of the rows; points without it stay empty.
        path: where the figure goes.

    Returns:
        The path.
    """
    across, down, over = (*axes[:3], None, None)[:3]
    panels, scale = _values(rows, over), percent(metric)
    label = f"{metric}, %" if scale == 100 else metric
    figure, plots = new_figure(len(panels), width=4.2)
    x, y = _values(rows, across), _values(rows, down)
    for panel, axis in zip(panels, plots, strict=True):
        table = np.array(
            [
                [_mean(rows, metric, {across: a, down: b, over: panel}) for a in x]
                for b in y
            ]
        )
        axis.set_xticks(range(len(x)), [f"{a:g}" for a in x])
        axis.set_xlabel(across)
        if down is None:
            axis.plot(range(len(x)), scale * table[0], "o-", color=_INK)
            axis.set_ylabel(label)
            continue
        ends = (0, 100) if scale == 100 else (None, None)
        image = axis.imshow(
            scale * table, vmin=ends[0], vmax=ends[1], origin="lower", aspect="auto"
        )
        axis.set_yticks(range(len(y)), [f"{b:g}" for b in y])
        axis.set_ylabel(down)
        for (i, k), value in np.ndenumerate(table):
            share = image.norm(scale * value)
            color, text = "black" if share > 0.6 else "white", f"{scale * value:.3g}"
            axis.text(k, i, text, ha="center", va="center", color=color, fontsize=8)
        if over is not None:
            axis.set_title(f"{over} = {panel:g}")
        if axis is plots[-1]:
            figure.colorbar(image, ax=axis, label=label)
    figure.savefig(path)
    return path


def percent(metric: str) -> int:
    """100 for a score, which is a share; 1 for a loss or a gap.

    Args:
        metric: name of a score or a loss.

    Returns:
        What its values are multiplied by to be shown.
    """
    return 100 if metric.startswith(("r2", "mcc")) else 1


def _values(rows: list[dict], name: str | None) -> list:
    return [None] if name is None else sorted({row[name] for row in rows})


def _mean(rows: list[dict], metric: str, where: dict) -> float:
    wanted = {name: value for name, value in where.items() if name is not None}
    found = [
        r[metric]
        for r in rows
        if metric in r and all(r[k] == v for k, v in wanted.items())
    ]
    return float(np.mean(found)) if found else float("nan")
