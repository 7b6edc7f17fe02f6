"""Verbs that look at the installation: bench, conformance, list, doctor."""

import dataclasses
import sys
from pathlib import Path

from jidcl.cli.arguments import no_tyro, nothing_after, parse, quiet


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
    run, over seeds); scenes (pictures a second)"""
    batch: int = 6144
    """rows of a loss and of a step"""
    n: int = 10
    """width of the representation"""
    repeats: int = 5
    """timed calls of each program"""
    peer: bool = True
    """time PyTorch beside, where it is installed"""
    similarities: tuple[str, ...] = ("dot", "p=1", "p=2", "p=3")
    """which of dot, p=1, p=2, p=3"""
    forms: tuple[str, ...] = ("auto", "matrix", "kernels")
    """forms of a loss: auto, matrix (all pairs stored), kernels (on CUDA only)"""
    precisions: tuple[str, ...] = ("float32", "fast")
    """of matrix products, where they differ: float32, fast (the platform's own)"""
    out: Path = Path("runs/bench")
    """folder of results.json and the figures"""


def bench(args: list[str]) -> int:
    """`jidcl bench`."""
    options = parse(Bench, args, "bench")
    from jidcl.checks import check_at_least, check_choice

    for name, least in (("batch", 2), ("n", 1), ("repeats", 1)):
        check_at_least(name, getattr(options, name), least)
    quiet()
    from jidcl.bench.rows import FORMS, SIMILARITIES, SUITES, Options
    from jidcl.cli.progress import show_bench
    from jidcl.numerics import PRECISIONS

    for suite in options.suites:
        check_choice("suite", suite, SUITES)
    for name in options.similarities:
        check_choice("similarity", name, SIMILARITIES)
    for form in options.forms:
        check_choice("form", form, FORMS)
    for precision in options.precisions:
        check_choice("precision", precision, PRECISIONS)
    fields = ("batch", "n", "repeats", "peer", "similarities", "forms", "precisions")
    shared = Options(**{name: getattr(options, name) for name in fields})
    show_bench(options.suites, shared, options.out)
    return 0


def conformance(args: list[str]) -> int:
    """`jidcl conformance`."""
    try:
        from tyro.conf import Positional
    except ImportError as error:
        raise no_tyro() from error

    @dataclasses.dataclass(frozen=True)
    class Conformance:
        """Replay reference vectors through the public functions, on this device.

        In float64 on the CPU with each file's tolerances, and in float32 on the default
        device with a wider one. Exit code 1 on a miss.
        """

        files: Positional[tuple[Path, ...]] = ()
        """files of the vector schema; the packaged ones by default"""
        strict: bool = False
        """kinds that no function covers and cases without data count as misses"""

    options = parse(Conformance, args, "conformance")
    quiet()
    from jidcl.cli.progress import show_conformance

    return show_conformance(options.files, options.strict)


def list_(args: list[str]) -> int:
    """`jidcl list`."""
    topics = ("systems", "presets", "claims", "losses", "scores")
    from jidcl.checks import check_choice

    if not args or args[0] in ("-h", "--help"):
        print(f"usage: jidcl list {{{','.join(topics)}}} [SYSTEM]")
        return 0 if args else 2
    topic, *rest = args
    check_choice("topic", topic, topics)
    from jidcl.claims import load_claims
    from jidcl.systems.registry import SYSTEMS, load_presets

    narrowed = topic in ("presets", "claims")
    only = rest[:1] if narrowed else []
    if rest[len(only) :]:
        usage = f"jidcl list {topic}{' [SYSTEM]' if narrowed else ''}"
        raise ValueError(f"usage: {usage}, got {rest}")
    for name in only:
        check_choice("system", name, SYSTEMS)
    chosen = only or list(SYSTEMS)
    if topic == "systems":
        for name, text in SYSTEMS.items():
            print(f"{name:<18} {text}")
    elif topic == "presets":
        for system in chosen:
            for name, c in load_presets(system).items():
                print(f"{system:<16} {name:<26} {c.summary()}")
    elif topic == "scores":
        from jidcl.report.legend import legend
        from jidcl.systems.legends import LEGENDS

        print(legend(LEGENDS))
    elif topic == "claims":
        for claims in map(load_claims, chosen):
            for claim in claims.published:
                print(
                    f"{claim.id:<18} {claim.metric:<4} {claim.mean:6.2f} ± "
                    f"{claim.std:.2f}  {claim.source}: {claim.text}"
                )
            for claim in claims.quick:
                print(
                    f"{claim.id:<18} {claim.metric:<4} {claim.expect} at "
                    f"{claim.threshold:g}  {claim.source}: {claim.text}"
                )
    else:
        from jidcl import losses

        for name in losses.__all__:
            print(f"{name:<16} {(getattr(losses, name).__doc__ or '').splitlines()[0]}")
    return 0


def doctor(args: list[str]) -> int:
    """`jidcl doctor`."""
    if args and args[0] in ("-h", "--help"):
        print("usage: jidcl doctor\n\nshow devices, versions and missing extras")
        return 0
    nothing_after(args)
    import importlib.metadata
    import importlib.util

    quiet()
    import jax

    print(f"python     {sys.version.split()[0]}")
    for name in ("jidcl", "jax", "jaxlib", "flax", "optax", "orbax-checkpoint"):
        print(f"{name:<10} {importlib.metadata.version(name)}")
    print(f"backend    {jax.default_backend()}")
    for device in jax.devices():
        print(f"device     {device.id}: {device.platform} {device.device_kind}")
    extras = {"cli": "tyro", "plots": "matplotlib", "data": "PIL", "bench": "torch"}
    for extra, module in extras.items():
        found = importlib.util.find_spec(module) is not None
        status = "ok" if found else f"missing, pip install 'jidcl[{extra}]'"
        print(f"extra      {extra}: {status}")
    return 0
