"""Figures of benchmark rows: cost against batch, times the floor, peers, roofline."""

from pathlib import Path
from typing import Any

import numpy as np

from jidcl.bench.measure import Ceilings
from jidcl.bench.rows import SIMILARITIES, exponent
from jidcl.report.plots import new_figure

FORMS = [
    ("jidcl", "jidcl", "auto"),
    ("jidcl, one matrix", "jidcl", None),
    ("textbook PyTorch", "torch", "auto"),
]


def draw(result: dict[str, Any], folder: Path) -> list[Path]:
    """Write the figures that the rows of a `benchmark_result` allow; their paths.

    Raises:
        ImportError: without matplotlib.
    """
    rows, drawn = result["rows"], []
    if any(row["what"] == "growth" for row in rows):
        drawn.append(_growth(rows, folder / "growth.png"))
    if any(row["what"] in ("loss", "step") for row in rows):
        drawn.append(_peers(rows, folder / "peers.png"))
    if any(row["what"] == "loss" for row in rows):
        top = Ceilings(**result["ceilings"])
        drawn.append(_roofline(rows, top, folder / "roofline.png"))
    return drawn


def _growth(rows, path: Path) -> Path:
    """Seconds and bytes against the batch, with fitted exponents and the floor."""
    figure, (left, right) = new_figure(2)
    grown = [row for row in rows if row["what"] == "growth"]
    for name in dict.fromkeys(row["similarity"] for row in grown):
        mine = [row for row in grown if row["similarity"] == name]
        batch = [row["batch"] for row in mine]
        for axis, key, theory in ((left, "median_s", 2), (right, "extra_bytes", 1)):
            values = [row[key] for row in mine]
            slope = exponent(batch, values)
            axis.loglog(batch, values, "o-", label=f"{name}: {slope:.2f} ({theory})")
        if name in ("dot", "p=1"):
            floors = [row["floor_s"] for row in mine]
            left.loglog(batch, floors, "k:", linewidth=1)
    left.set_ylabel("seconds, loss and gradients (dotted: floors)")
    right.set_ylabel("bytes beside inputs and outputs")
    batches = sorted({row["batch"] for row in grown})
    for axis in (left, right):
        axis.set_xticks(batches, [f"{batch:,}" for batch in batches])
        axis.minorticks_off()
        axis.set_xlabel("batch")
        axis.legend(title="fitted exponent (theory)")
    figure.savefig(path)
    return path


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
            bars = [r for r in mine if (r["by"], r.get("tile", "auto")) == form]
            if bars:
                shift = 0.27 * (offset - 1)
                x = [names.index(row["similarity"]) + shift for row in bars]
                heights = [row["times_floor"] for row in bars]
                axis.bar(x, heights, 0.25, label=label, color=f"C{offset}")
        axis.set_xticks(range(len(names)), names)
        axis.set_yscale("log")
        axis.axhline(1, color="black", linewidth=1)
        axis.set_ylabel("times the floor")
        axis.set_title(what)
        axis.legend()
    figure.savefig(path)
    return path
