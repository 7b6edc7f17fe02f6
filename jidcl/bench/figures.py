"""Figures of benchmark rows: cost against batch, times the floor, peers, roofline."""

from pathlib import Path
from typing import Any

import numpy as np

from jidcl.bench.measure import Ceilings
from jidcl.bench.rows import SIMILARITIES
from jidcl.report.plots import new_figure

# Suites that vary one setting, and how the time grows with it in theory.
GROWN = {
    "growth": ("batch", 2),
    "width": ("n", 1),
    "small": ("seeds", 1),
    "devices": ("devices", -1),
    "verify": ("seeds", 1),
}
LABELS = {
    "median_s": "seconds (dotted: floors)",
    "extra_bytes": "bytes beside inputs and outputs",
}
FORMS = [
    ("jidcl", "jidcl", "auto"),
    ("jidcl, one matrix", "jidcl", None),
    ("textbook PyTorch", "torch", "auto"),
    ("jidcl, kernels", "jidcl", "kernel"),
]


def draw(result: dict[str, Any], folder: Path) -> list[Path]:
    """Write the figures that the rows of a `benchmark_result` allow; their paths.

    Raises:
        ImportError: without matplotlib.
    """
    # One precision of products a figure; the rows of the others are in the results.
    rows = [r for r in result["rows"] if r.get("precision", "float32") == "float32"]
    drawn = []
    if any(row["what"] in GROWN for row in rows):
        drawn.append(_growth(rows, folder / "growth.png"))
    if any(row["what"] in ("loss", "step") for row in rows):
        drawn.append(_peers(rows, folder / "peers.png"))
    if any(row["what"] == "loss" for row in rows):
        top = Ceilings(**result["ceilings"])
        drawn.append(_roofline(rows, top, folder / "roofline.png"))
    if any(row["what"] == "independence" for row in rows):
        drawn.append(_independence(rows, folder / "independence.png"))
    return drawn


def _independence(rows, path: Path) -> Path:
    """Processor seconds of one conditional test against its samples."""
    figure, (axis,) = new_figure(width=8.0, height=4.0)
    mine = [row for row in rows if row["what"] == "independence"]
    lines: dict[tuple, list] = {}
    for row in mine:
        kind = row["by"], row["similarity"], row["sets"] == 1
        lines.setdefault(kind, []).append((row["batch"], row["core_s"]))
    colours: dict[tuple, str] = {}
    for (by, name, alone), line in lines.items():
        own = by == "jidcl"
        how = (", one alone" if alone else ", a batch") if own else ""
        axis.loglog(
            *zip(*line, strict=True),
            ("o:" if alone else "o-") if own else "s--",
            color=colours.setdefault((by, name), f"C{len(colours)}"),
            label=f"{by}, {name.replace('_of_', ', columns of z: ')}{how}".replace(
                "_", " "
            ),
        )
    ticks = sorted({row["batch"] for row in mine})
    axis.set_xticks(ticks, [f"{tick:,}" for tick in ticks])
    axis.minorticks_off()
    axis.set_xlabel("samples")
    axis.set_ylabel("processor seconds of a test")
    axis.legend(fontsize=8, loc="center left", bbox_to_anchor=(1.02, 0.5))
    figure.savefig(path)
    return path


def _growth(rows, path: Path) -> Path:
    """Seconds against batch, width, seeds and devices, bytes against the batch.

    Each line bears its fitted exponent beside the theoretical one.
    """
    panels = [(what, "median_s") for what in GROWN if _of(rows, what)]
    if _of(rows, "growth"):
        panels.insert(1, ("growth", "extra_bytes"))
    figure, axes = new_figure(len(panels), width=4.4)
    for axis, (what, key) in zip(axes, panels, strict=True):
        setting, theory = GROWN[what]
        theory = 1 if key == "extra_bytes" else theory
        mine = _of(rows, what)
        for name in dict.fromkeys(row["similarity"] for row in mine):
            line = [row for row in mine if row["similarity"] == name]
            x = [row[setting] for row in line]
            y = [row[key] for row in line]
            slope = f"{exponent(x, y):.2f}" if len(x) > 1 else "-"
            axis.loglog(x, y, "o-", label=f"{name}: {slope} ({theory})")
            if key == "median_s" and what != "devices":
                axis.loglog(x, [row["floor_s"] for row in line], "k:", linewidth=1)
        ticks = sorted({row[setting] for row in mine})
        axis.set_xticks(ticks, [f"{tick:,}" for tick in ticks])
        axis.minorticks_off()
        axis.set_xlabel(setting)
        axis.set_ylabel(LABELS[key])
        axis.legend(title="fitted exponent (theory)")
    figure.savefig(path)
    return path


def _of(rows, what: str) -> list[dict[str, Any]]:
    return [row for row in rows if (row["what"], row["by"]) == (what, "jidcl")]


def _roofline(rows, top: Ceilings, path: Path) -> Path:
    """Work a second against work a byte, below the device's two ceilings.

    Work: flops, an exponential counted as the flops that take its time. Bytes: inputs
    and outputs once, temporaries written and read once.
    """
    figure, (axis,) = new_figure(width=6.5, height=4.2)
    places = []
    for row in (row for row in rows if row["what"] == "loss"):
        if row["extra_bytes"] is None:
            continue
        work = row["floor_s"] * top.flops
        moved = 2 * row["extra_bytes"] + 4 * 4 * row["batch"] * row["n"]
        places.append(work / moved)
        one = row["tile"] is None
        axis.plot(
            places[-1],
            work / row["median_s"],
            "s" if one else "o",
            color=f"C{list(SIMILARITIES).index(row['similarity'])}",
            label=row["similarity"] + (", one matrix" if one else ""),
        )
    ends = np.array([min(places) / 3, max(places) * 3])
    x = np.geomspace(ends[0], ends[1], 100)
    axis.loglog(x, np.minimum(top.flops, top.bytes * x), color="black", linewidth=1)
    axis.set_xlabel("flops a byte that is moved")
    axis.set_ylabel("flops a second")
    axis.legend(fontsize=7)
    figure.savefig(path)
    return path


def _peers(rows, path: Path) -> Path:
    """Times the floor, ours and the peer's, loss and whole step."""
    measured = [w for w in ("loss", "step") if any(row["what"] == w for row in rows)]
    figure, axes = new_figure(len(measured))
    for axis, what in zip(axes, measured, strict=True):
        mine = [row for row in rows if row["what"] == what]
        names = list(dict.fromkeys(row["similarity"] for row in mine))
        for offset, (label, by, tile) in enumerate(FORMS):
            form = by, tile
            bars = [
                r
                for r in mine
                if (r["by"], r.get("tile", "auto")) == form and r.get("seeds", 1) == 1
            ]
            if bars:
                shift = 0.21 * (offset - 1)
                x = [names.index(row["similarity"]) + shift for row in bars]
                heights = [row["times_floor"] for row in bars]
                axis.bar(x, heights, 0.2, label=label, color=f"C{offset}")
        axis.set_xticks(range(len(names)), names)
        axis.set_yscale("log")
        axis.axhline(1, color="black", linewidth=1)
        axis.set_ylabel("times the floor")
        axis.set_title(what)
        axis.legend()
    figure.savefig(path)
    return path


def exponent(batches: Any, values: Any) -> float:
    """Slope of log values against log batches (least squares)."""
    return float(np.polyfit(np.log(batches), np.log(values), 1)[0])
