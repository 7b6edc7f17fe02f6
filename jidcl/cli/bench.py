"""`jidcl bench`: losses and steps against the device's limits and PyTorch."""

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jidcl.cli.arguments import parse, quiet

if TYPE_CHECKING:
    from jidcl.bench.measure import Ceilings
    from jidcl.bench.suite import BenchEvent


@dataclasses.dataclass(frozen=True)
class Bench:
    """Time losses and training steps against the device's limits and PyTorch.

    Every row stands beside its floor: the arithmetic at the rates of a large matrix
    product and exponential, measured in the same run. The peer is the textbook PyTorch
    formulation (pip install 'jidcl[bench]'). Keep the machine idle meanwhile.
    """

    suites: tuple[str, ...] = ("losses", "steps", "small")
    """losses, steps (whole, published encoder), small (n = 4, B = 256; seeds), and cost
    against batch (growth), n (width), tiles and devices; verification (a whole quick
    run, over seeds); scenes (pictures a second); independence (kernel tests beside
    causal-learn)"""
    batch: int = 6144
    """rows of a loss and of a step"""
    n: int = 10
    """width of the representation"""
    repeats: int = 5
    """timed calls of each program"""
    peer: bool = True
    """time PyTorch and causal-learn beside, where they are installed"""
    similarities: tuple[str, ...] = ("dot", "p=1", "p=2", "p=3")
    """which of dot, p=1, p=2, p=3"""
    forms: tuple[str, ...] = ("auto", "matrix", "kernels")
    """forms of a loss: auto, matrix (all pairs stored), kernels (on CUDA only)"""
    precisions: tuple[str, ...] = ("float32", "fast", "bfloat16")
    """of matrix products, where they differ: float32, fast (the platform's own),
    bfloat16"""
    out: Path = Path("runs/bench")
    """folder of results.json and the figures"""


def main(args: list[str]) -> int:
    """Run the verb; the exit code."""
    options = parse(Bench, args, "bench")
    from jidcl.checks import check_at_least, check_choice

    for name, least in (("batch", 2), ("n", 1), ("repeats", 1)):
        check_at_least(name, getattr(options, name), least)
    quiet()
    from jidcl.bench.rows import FORMS, SIMILARITIES, SUITES, Options
    from jidcl.bench.suite import measure
    from jidcl.numerics import PRODUCTS

    for suite in options.suites:
        check_choice("suite", suite, SUITES)
    for name in options.similarities:
        check_choice("similarity", name, SIMILARITIES)
    for form in options.forms:
        check_choice("form", form, FORMS)
    for precision in options.precisions:
        check_choice("precision", precision, PRODUCTS)
    fields = ("batch", "n", "repeats", "peer", "similarities", "forms", "precisions")
    chosen = Options(**{name: getattr(options, name) for name in fields})
    show_bench(measure(options.suites, chosen, options.out))
    return 0


def show_bench(events: "Iterator[BenchEvent]") -> None:
    """A line for the ceilings, for each row as it comes, and for each file.

    Args:
        events: of `jidcl.bench.suite.measure`.
    """
    from rich.console import Console

    console, begun = Console(), False
    for event in events:
        if not begun:
            console.print(_ceilings(event.top), highlight=False)
            begun = True
        if event.row is not None:
            console.print(_line(event.row), highlight=False)
        for kind, path in event.written:
            console.print(f"{kind}: {path}", soft_wrap=True)


def _ceilings(top: "Ceilings") -> str:
    return (
        f"ceilings: {top.flops / 1e9:.0f} GFLOP/s in float32, {top.fast / 1e9:.0f} in "
        f"the platform's precision, {top.elementwise / 1e9:.0f} G operations/s of "
        f"p-norms, {top.exps / 1e9:.2f} G exp/s, "
        f"{top.bytes / 1e9:.1f} GB/s"
    )


def _line(row: dict[str, Any]) -> str:
    """One row of results."""
    extra, ratio = row["extra_bytes"], row["times_floor"]
    own = row.get("times_own_floor")
    forms = {None: ", one matrix", "kernel": ", kernels", "auto": ""}
    tile = row.get("tile", "auto")
    form = forms[tile] if tile in forms else f", tiles of {tile[0]} x {tile[1]}"
    precision = row.get("precision", "float32")
    form += "" if precision == "float32" else f", {precision} products"
    form += f", {row['seeds']} seeds" if row.get("seeds", 1) > 1 else ""
    if "scene" in row:
        form += f", {row['size']} x {row['size']} {row.get('level', '')}".rstrip()
        form += f", {row['pictures_per_s']:.4g} pictures/s"
        if row["pictures_per_core_s"] is not None:
            form += f" ({row['pictures_per_core_s']:.4g} per core-second)"
        if "share_drawing" in row:
            form += f", {row['share_drawing']:.0%} of it drawing"
    if "sets" in row:
        form += f", {row['sets']} at once" if row["sets"] > 1 else ", alone"
        form += f", {1e3 * row['core_s']:.4g} ms of processor"
    if "p_apart" in row:
        form += f" ({row['faster']:.3g} x faster), p within {row['p_apart']:.1e}"
    name = row.get("similarity") or row["scene"]
    return (
        f"{row['what']:<7} {row['by']:<5} {name:<4} "
        f"B={row['batch']}{form}: {1e3 * row['median_s']:.4g} ms"
        + ("" if ratio is None else f", {ratio:.2f} x floor")
        + ("" if own is None else f", {own:.2f} x own floor")
        + ("" if extra is None else f", {extra / 2**20:.1f} MiB extra")
    )
