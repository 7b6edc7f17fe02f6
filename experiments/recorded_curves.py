"""The published curves of causal de Finetti, replayed, beside curves of clean data.

Recorded rows: the published data sets, 100 of each size, in the three published modes,
and the five sizes of the multivariate experiment. Clean rows: fresh data of the same
generator, where one parameter varies and no mask is on, and two controls: the mask
alone, and both parameters at an equal ratio of signal to noise.

Command: python experiments/recorded_curves.py --rows recorded fisher kci --sizes 100
         [--root runs/curves] [--out experiments/results]
Runs what is asked for (finished runs are reused), prints a table, and writes
recorded_curves.json with recorded_curves.png. The file keeps rows that are not asked
for. Time: seconds of the clock stand with each row.
"""

import argparse
import json
from pathlib import Path

from jidcl.report.records import Record
from jidcl.run.runner import run
from jidcl.systems.registry import load_presets

SIZES = (100, 200, 300, 400, 500)
BINARY = (2000, 4000, 6000, 8000, 10000)
MODES = ("both", "cause", "mech")
# Recorded: accuracy of each mode by size, and the distance of graphs.
PUBLISHED = {
    "both": (0.70, 0.82, 0.87, 0.90, 0.91),
    "cause": (0.69, 0.86, 0.86, 0.90, 0.81),
    "mech": (0.80, 0.90, 0.85, 0.92, 0.88),
    "binary": (0.3143, 0.2107, 0.1830, 0.1910, 0.0910),
}
CLEAN = ("clean-cause", "clean-mechanism", "mask", "degenerate-wide")
KINDS = ("recorded", "fisher", "kci")


def wanted(kind: str, sizes) -> list[str]:
    """Presets of a kind of row, smallest first."""
    if kind == "recorded":
        names = [f"recorded-{mode}-{n}" for n in sizes for mode in MODES]
        return names + [f"binary-{n}" for n in BINARY if n // 20 in sizes]
    tail = "-fisher" if kind == "fisher" else ""
    return [f"{name}-{n}{tail}" for n in sizes for name in CLEAN]


def published(preset: str) -> float | None:
    """The recorded number of a preset."""
    name, _, size = preset.removeprefix("recorded-").rpartition("-")
    if name in PUBLISHED:
        sizes = BINARY if name == "binary" else SIZES
        return PUBLISHED[name][sizes.index(int(size))]
    return None


def summary(preset: str, record: Record) -> dict:
    """What the file keeps of a run."""
    score = "shd" if preset.startswith("binary") else "accuracy"
    held = {"score": score, "measured": record.mean(score)}
    if (known := published(preset)) is not None:
        held["published"] = known
    for name in ("accuracy_x_to_y", "accuracy_y_to_x", "accuracy_independent", "exact"):
        if name in record.scores:
            held[name] = record.mean(name)
    held["nulls"] = {name: v[0] for name, v in record.nulls[score].items()}
    held["seconds"] = {
        part: record.programs[0][part] for part in ("compile", "run")
    } | {"evaluate": record.seconds["evaluate"]}
    return held


def table(rows: dict[str, dict]) -> str:
    lines = ["| data sets | found | published | DirectLiNGAM | run |", "|---" * 5 + "|"]
    for preset, row in rows.items():
        known, lingam = row.get("published"), row["nulls"].get("direct-lingam")
        cells = [preset, f"{row['measured']:.4g}"]
        cells += ["-" if v is None else f"{v:.4g}" for v in (known, lingam)]
        cells.append(f"{row['seconds']['run']:.1f} s")
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def draw(rows: dict[str, dict], path: Path) -> None:
    """Left: published curves and their replay. Right: clean data and controls."""
    from jidcl.report.plots import new_figure

    figure, (left, right) = new_figure(2, width=5.4, height=4.0)
    names = {"both": "both", "cause": "legacy “cause”", "mech": "legacy “mech”"}
    for index, (mode, label) in enumerate(names.items()):
        colour = f"C{index}"
        left.plot(
            SIZES, PUBLISHED[mode], "-", color=colour, label=f"{label}, published"
        )
        _line(left, rows, f"recorded-{mode}", "", "o", color=colour, label="replayed")
    texts = {
        "clean-cause": "cause alone varies",
        "clean-mechanism": "mechanism alone varies",
        "mask": "no parameter varies, mask",
        "degenerate-wide": "both vary, equal ratios",
    }
    for index, (name, label) in enumerate(texts.items()):
        own = dict(color=f"C{index + 3}")
        _line(right, rows, name, "", "o-", label=f"{label}, KCI", **own)
        _line(
            right, rows, name, "-fisher", "s--", label="Fisher's z", mfc="none", **own
        )
    for axis, title in ((left, "published generator, mask on"), (right, "clean data")):
        axis.axhline(1 / 3, color="grey", linewidth=1, linestyle=":")
        axis.set(ylim=(0, 1), xticks=SIZES, xlabel="environments", title=title)
        axis.set_ylabel("structure found, share")
        if axis.lines[1:]:
            axis.legend(fontsize=7, ncols=2, loc="lower right")
    figure.savefig(path)


def _line(axis, rows, name: str, tail: str, style: str, **own) -> None:
    held = [(n, rows.get(f"{name}-{n}{tail}")) for n in SIZES]
    seen = [(n, row["measured"]) for n, row in held if row is not None]
    if seen:
        axis.plot(*zip(*seen, strict=True), style, markersize=4, **own)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", nargs="*", choices=KINDS, default=[])
    parser.add_argument("--sizes", nargs="*", type=int, choices=SIZES, default=SIZES)
    parser.add_argument("--root", type=Path, default=Path("runs/curves"))
    parser.add_argument("--out", type=Path, default=Path("experiments/results"))
    options = parser.parse_args()
    path = options.out / "recorded_curves.json"
    held = json.loads(path.read_text()) if path.exists() else {}
    presets = load_presets("causal_definetti")
    for name in (n for kind in options.rows for n in wanted(kind, options.sizes)):
        preset = f"full/{name}"
        own = dict(system="causal_definetti", seeds=(0,), root=options.root)
        *_, last = run(presets[preset], preset=preset, **own)
        held[name] = summary(name, last.record)
        print(name, held[name]["measured"], flush=True)
        order = [n for kind in KINDS for n in wanted(kind, SIZES)]
        held = {n: held[n] for n in order if n in held}
        path.write_text(json.dumps(held, indent=1) + "\n")
    print(table(held))
    draw(held, path.with_suffix(".png"))


if __name__ == "__main__":
    main()
