"""A figure of each of the fifteen recorded experiments on metric validity.

Command: python experiments/metric_validity_figures.py [--draws 5]
Writes experiments/results/metric_validity_figures.json after every experiment, and
metric_validity_figures.png, fifteen panels. Experiments that the file holds with as
many draws are not run again. Prints the seconds of each. Cells are those of
`jidcl.systems.metric_validity.presets.experiments`, at their recorded sizes. Lines are
means over draws with two standard errors; crosses are the recorded means.
"""

import argparse
import json
import time
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from metric_validity import RECORDED

from jidcl.metrics import dci_trees, info_mc, mig
from jidcl.metrics.chance import null_law
from jidcl.systems.metric_validity.evaluate import drawn, matching
from jidcl.systems.metric_validity.presets import (
    ALPHAS,
    KAPPAS,
    LAWS,
    RHOS,
    MetricValidity,
    experiments,
)

SIZES = (50, 100, 200, 500, 1000, 2000, 5000)
TREE_DRAWS = 2  # boosted trees take seconds


class Line(NamedTuple):
    """A score of cells: label, score, and the cell at each x."""

    label: str
    score: str
    cells: dict[float, str]


class Panel(NamedTuple):
    """What stands in one figure."""

    title: str
    x: str
    y: str
    lines: tuple[Line, ...]
    log: bool = False


def lines_of(scores, pattern: str, values) -> tuple[Line, ...]:
    """A line of each score over one run of cells."""
    cells = {float(v): pattern.format(v) for v in values}
    return tuple(Line(label, score, cells) for label, score in scores.items())


def series(score: str, labels, pattern: str, values) -> tuple[Line, ...]:
    """A line of one score for each label, which the pattern names as `own`."""
    return tuple(
        Line(label, score, {float(v): pattern.format(v, own=own) for v in values})
        for label, own in labels.items()
    )


def of_rhos(d: int) -> list[str]:
    """Correlations of exp03 as cells name them."""
    return [f"{rho:g}" for rho in RHOS if rho >= -1 / (d - 1)]


WIDE = {name: name for name in ("E5", "E6", "E7")}
PANELS = {
    "exp01": Panel(
        "exact codes, by law of the factors", "factors", "MIG",
        series("mig", {law: law for law in LAWS}, "exp01-{own}-d{0}", (5, 10, 20)),
    ),
    "exp02": Panel(
        "codes bent by a = 0 .. 1", "a", "score",
        lines_of(
            {"MCC": "mcc", "MCC of ranks": "spearman", "R2": "r2",
             "R2, as published": "r2_published"},
            "exp02-d5-alpha{0:g}", ALPHAS,
        ),
    ),
    "exp03": Panel(
        "mixed codes, correlated factors", "correlation", "MCC",
        tuple(
            Line(f"d = {d}", "mcc", {float(r): f"exp03-E3-d{d}-rho{r}"
                                     for r in of_rhos(d)})
            for d in (2, 5, 10)
        ),
    ),
    "exp04": Panel(
        "condition of the mixing", "condition", "MCC",
        series("mcc", {f"rho {r}": r for r in ("0", "0.3", "0.6", "0.9")},
               "exp04-d5-rho{own}-kappa{0:g}", KAPPAS),
        log=True,
    ),
    "exp05": Panel(
        "exact codes, correlated factors", "correlation", "score",
        lines_of({"MCC": "mcc", "MIG": "mig", "InfoM": "info_m"},
                 "exp05-d5-rho{0:g}", (0, 0.2, 0.4, 0.6, 0.8, 0.9, 0.95, 0.99)),
    ),
    "exp06": Panel(
        "m of 10 factors kept", "codes m", "score",
        lines_of({"MCC": "mcc", "MCC over all": "mcc_coverage", "R2": "r2"},
                 "exp06-D1-m{0:g}", range(1, 11))
        + lines_of({"R2, correlated": "r2"}, "exp06-D2-m{0:g}", range(1, 11)),
    ),
    "exp07": Panel(
        "r factors are functions of two others", "codes m", "R2",
        series("r2", {f"r = {r}": r for r in range(1, 5)},
               "exp07-D4-r{own}-m{0:g}", range(3, 10)),
    ),
    "exp08": Panel(
        "d = 5, by law 1 .. 4", "law D", "MCC",
        series("mcc", {e: e for e in ("E1", "E3", "E5", "E6", "E7", "E8")},
               "exp08-09-D{0:g}-{own}-d5", (1, 2, 3, 4)),
    ),
    "exp09": Panel(
        "codes for each factor, d = 5", "codes / factors", "MCC",
        series("mcc", WIDE, "exp08-09-{own}-d5-ratio{0:g}", (1.6, 2, 3, 5, 10))
        + series("mcc", {"E8": "E8"}, "exp08-09-{own}-d5-ratio{0:g}", (2, 3, 5, 10)),
    ),
    "exp10": Panel(
        "exact codes, samples", "samples", "MIG",
        series("mig", {law: law for law in LAWS}, "exp10-{own}-E1-n{0:g}", SIZES[2:]),
        log=True,
    ),
    "exp11": Panel(
        "random codes, samples", "samples", "score",
        lines_of({"MCC": "mcc", "held-out MCC": "mcc_held_out", "law": "chance"},
                 "exp11-D1-E9-n{0:g}", (*SIZES, 10_000)),
        log=True,
    ),
    "exp12": Panel(
        "codes copied", "codes / factors", "score",
        lines_of({"MCC": "mcc", "MIG": "mig"}, "exp12-D1-ratio{0:g}", (1.2, 1.5, 2, 3)),
    ),
    "exp13": Panel(
        "exact codes, factors / samples", "factors / samples", "DCI by trees",
        series("dci_trees_d", {f"d = {d}": d for d in (3, 5, 10)},
               "exp13-d{own}-share{0:g}", (0.02, 0.05, 0.1, 0.2)),
    ),
    "exp14": Panel(
        "half of 10 factors dropped", "samples", "score",
        lines_of({"R2": "r2", "MCC": "mcc", "DCI by trees": "dci_trees_d"},
                 "exp14-m5-n{0:g}", SIZES[:-1]),
        log=True,
    ),
    "exp15": Panel(
        "random codes of 10 factors", "samples", "MCC",
        series("mcc", {f"m = {m}": m for m in (10, 50, 200)},
               "exp15-m{own}-n{0:g}", (20, 100, 500, 2000, 5000))
        + series("mcc", {"10 factors, E10": 10},
                 "exp15-E10-d{own}-n{0:g}", (25, 50, 100, 500, 1000, 5000)),
        log=True,
    ),
}  # fmt: skip


def scored(config: MetricValidity, wanted: set[str], draws: int) -> dict[str, Any]:
    """Mean and standard error of scores over draws, by name."""
    trees = "dci_trees_d" in wanted
    rows = []
    for i in range(draws):
        with np.errstate(over="ignore"):
            z, y = drawn(config, [91, i])
        if not np.isfinite(y).all():  # sinh(2 x^3) of a product overflows
            continue
        found = matching(config, z, y, i)
        z, y = z[-config.scored :], y[-config.scored :]
        if "mig" in wanted:
            found["mig"] = float(mig(z, y, xp=np).score)
        if "info_m" in wanted:
            found["info_m"] = float(info_mc(z, y, xp=np).modularity)
        if trees and i < TREE_DRAWS and len(z) >= 10:  # fewer: no score, as recorded
            found["dci_trees_d"] = float(dci_trees(z, y).disentanglement)
        rows.append(found)
    held = {}
    for name in wanted:
        values = np.asarray([row[name] for row in rows if name in row])
        if len(values):
            error = values.std() / max(len(values) - 1, 1) ** 0.5
            held[name] = [float(values.mean()), float(error)]
    return held


def measured(panel: Panel, draws: int) -> dict[str, Any]:
    """Scores of all cells of a panel."""
    known, wanted = experiments(), {}
    for line in panel.lines:
        for cell in line.cells.values():
            wanted.setdefault(cell, set()).add(line.score)
    return {cell: scored(known[cell], names, draws) for cell, names in wanted.items()}


def draw(axis, name: str, panel: Panel, held: dict[str, Any]) -> None:
    """One panel."""
    colours = ("#1b3a5c", "#c4502e", "#9aa5b1", "#2e8b57", "#8a5fb0", "#b8860b")
    for line, colour in zip(panel.lines, colours, strict=False):
        xs = [x for x in sorted(line.cells) if line.score in held[line.cells[x]]]
        values = np.asarray([held[line.cells[x]][line.score] for x in xs])
        style = dict(color=colour, linewidth=1.2, markersize=3)
        if line.score == "chance":
            axis.plot(xs, values[:, 0], "--", label=line.label, **style)
            continue
        axis.errorbar(xs, values[:, 0], 2 * values[:, 1], fmt="o-", **style,
                      label=line.label)  # fmt: skip
        known = [(x, RECORDED.get(line.cells[x], {}).get(line.score)) for x in xs]
        known = [(x, value) for x, value in known if value is not None]
        if known:
            axis.plot(*zip(*known, strict=True), "x", color=colour, markersize=9,
                      markeredgewidth=2)  # fmt: skip
    if name == "exp15":
        sizes = 5 * np.geomspace(6, 1000, 40).astype(int)
        for m in (10, 50, 200):
            law = [null_law(10, m, n // 5).expected_max for n in sizes]
            axis.plot(sizes, law, ":", color="black", linewidth=0.8)
    if panel.log:
        axis.set_xscale("log")
        ticks = sorted({x for line in panel.lines for x in line.cells})
        kept = ticks[:: max(len(ticks) // 6, 1)]
        axis.set_xticks(kept, [f"{x:g}" for x in kept])
        axis.minorticks_off()
    low = min(0.0, axis.get_ylim()[0])
    axis.set_ylim(low, 1.05)
    axis.set_title(f"{name}: {panel.title}", fontsize=9)
    axis.set_xlabel(panel.x, fontsize=8)
    axis.set_ylabel(panel.y, fontsize=8)
    axis.tick_params(labelsize=7)
    place = (0.5, 0.06) if name == "exp02" else "best"
    axis.legend(fontsize=6, frameon=False, loc=place)


def picture(held: dict[str, Any], path: Path) -> None:
    """All panels that were measured, in one picture."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(13, 16), layout="constrained", dpi=110)
    axes = figure.subplots(5, 3)
    for axis, (name, panel) in zip(axes.flat, PANELS.items(), strict=True):
        axis.spines[["top", "right"]].set_visible(False)
        if name in held:
            draw(axis, name, panel, held[name]["cells"])
    figure.savefig(path)


def main() -> None:
    """Measure what is missing, and draw."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("experiments/results"))
    parser.add_argument("--draws", type=int, default=5)
    options = parser.parse_args()
    path = options.out / "metric_validity_figures.json"
    held = json.loads(path.read_text()) if path.exists() else {}
    for name, panel in PANELS.items():
        if held.get(name, {}).get("draws") != options.draws:
            start, own = time.perf_counter(), time.process_time()
            cells = measured(panel, options.draws)
            seconds = round(time.perf_counter() - start, 1)
            used = round(time.process_time() - own, 1)
            held[name] = {
                "draws": options.draws,
                "seconds": seconds,
                "cpu_seconds": used,
                "cells": cells,
            }
            path.write_text(json.dumps(held, indent=1) + "\n")
        print(f"{name}: {held[name]['seconds']} s, {len(held[name]['cells'])} cells")
    total = sum(row["seconds"] for row in held.values())
    print(f"all: {total:.0f} s, {sum(row['cpu_seconds'] for row in held.values()):.0f}")
    picture(held, options.out / "metric_validity_figures.png")


if __name__ == "__main__":
    main()
