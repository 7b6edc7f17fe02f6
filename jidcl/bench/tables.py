"""The performance table of benchmark rows, as Markdown."""

from typing import Any

HEAD = ("similarity", "loss + gradients", "product floor", "own floor", "memory")
HEAD += ("PyTorch", "ratio", "step", "PyTorch", "ratio")


def performance_table(rows: list[dict[str, Any]]) -> str:
    """Loss and whole step of every similarity beside the floor and PyTorch.

    The form that is chosen by itself, float32, one seed. `product floor`: times the
    time of its arithmetic at the rate of a matrix product; `own floor`: at the rate of
    each operation's kind; `ratio`: PyTorch's time over ours; `-` where it was not
    measured.

    Example:
        >>> row = dict(what="loss", by="jidcl", similarity="dot", median_s=0.05)
        >>> row |= dict(times_floor=2.5, times_own_floor=2.0, extra_bytes=2**21)
        >>> torch = dict(what="loss", by="torch", similarity="dot", median_s=0.5)
        >>> print(performance_table([row, torch]).splitlines()[-1])
        | dot | 50.0 ms | 2.5 x | 2.0 x | 2 MiB | 500 ms | **10.0 x** | - | - | - |
    """
    lines = ["| " + " | ".join(HEAD) + " |", "|" + "---|" * len(HEAD)]
    for name in dict.fromkeys(r["similarity"] for r in rows if r["what"] == "loss"):
        loss, peer = (_find(rows, "loss", by, name) for by in ("jidcl", "torch"))
        step, torch_step = (_find(rows, "step", by, name) for by in ("jidcl", "torch"))
        floors, memory = ["-", "-"], "-"
        if loss is not None:
            floors = [f"{loss[k]:.1f} x" for k in ("times_floor", "times_own_floor")]
            memory = f"{loss['extra_bytes'] / 2**20:.0f} MiB"
        cells = [name, _time(loss), *floors, memory, _time(peer), _ratio(peer, loss)]
        cells += [_time(step), _time(torch_step), _ratio(torch_step, step)]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def _find(rows, what: str, by: str, name: str) -> dict[str, Any] | None:
    """The row of one seed, in float32, of the form that is chosen by itself."""
    plain = {"tile": "auto", "precision": "float32", "seeds": 1}
    for row in rows:
        if (row["what"], row["by"], row.get("similarity")) == (what, by, name) and all(
            row.get(key, value) == value for key, value in plain.items()
        ):
            return row
    return None


def _time(row: dict[str, Any] | None) -> str:
    return "-" if row is None else f"{_digits(1e3 * row['median_s'])} ms"


def _ratio(over: dict[str, Any] | None, under: dict[str, Any] | None) -> str:
    if over is None or under is None:
        return "-"
    return f"**{_digits(over['median_s'] / under['median_s'])} x**"


def _digits(value: float) -> str:
    """Three digits, and no exponent."""
    return f"{value:,.{2 if value < 10 else 1 if value < 100 else 0}f}"
