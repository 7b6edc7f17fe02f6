"""Figures of benchmark rows: cost against batch, times the floor, peers."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jidcl.bench.rows import exponent


def draw(rows: Sequence[dict[str, Any]], folder: Path) -> list[Path]:
    """Write the figures that the rows allow; their paths.

    Raises:
        ImportError: without matplotlib.
    """
    try:
        import matplotlib
    except ImportError as error:
        raise ImportError(
            "figures need matplotlib: pip install 'jidcl[plots]'"
        ) from error
    matplotlib.use("agg")
    drawn = []
    if any(row["what"] == "growth" for row in rows):
        drawn.append(_growth(rows, folder / "growth.png"))
    if any(row["what"] in ("loss", "step") for row in rows):
        drawn.append(_peers(rows, folder / "peers.png"))
    return drawn


def _growth(rows, path: Path) -> Path:
    """Seconds and bytes against the batch, with fitted exponents and the floor."""
    import matplotlib.pyplot as plt

    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4))
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
    return _save(figure, path)


def _peers(rows, path: Path) -> Path:
    """Times the floor, ours and the peer's, loss and whole step."""
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, 2, figsize=(10, 4))
    for axis, what in zip(axes, ("loss", "step"), strict=True):
        mine = [row for row in rows if row["what"] == what]
        for offset, (by, tile) in enumerate(
            [("jidcl", "auto"), ("jidcl", None), ("torch", "-")]
        ):
            bars = [
                row for row in mine if row["by"] == by and row.get("tile", tile) == tile
            ]
            if what == "step" and (by, tile) == ("jidcl", None):
                continue
            label = {
                "auto": "jidcl",
                None: "jidcl, one matrix",
                "-": "textbook PyTorch",
            }
            x = [list(_order(mine)).index(row["similarity"]) for row in bars]
            places = [value + 0.27 * (offset - 1) for value in x]
            values = [row["times_floor"] for row in bars]
            axis.bar(places, values, 0.25, label=label[tile], color=f"C{offset}")
        axis.set_xticks(range(len(_order(mine))), list(_order(mine)))
        axis.set_yscale("log")
        axis.axhline(1, color="black", linewidth=1)
        axis.set_ylabel("times the floor")
        axis.set_title(what)
        axis.legend()
    return _save(figure, path)


def _order(rows) -> dict[str, None]:
    return dict.fromkeys(row["similarity"] for row in rows)


def _save(figure, path: Path) -> Path:
    import matplotlib.pyplot as plt

    figure.tight_layout()
    figure.savefig(path, dpi=110)
    plt.close(figure)
    return path
