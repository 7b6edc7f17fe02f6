"""`jidcl identify`: what experiments say of a linear system, and what is open."""

import dataclasses
from pathlib import Path
from typing import Any

from jidcl.cli.arguments import no_tyro, parse, quiet


def main(args: list[str]) -> int:
    """Run the verb; the exit code."""
    try:
        from tyro.conf import Positional
    except ImportError as error:
        raise no_tyro() from error

    @dataclasses.dataclass(frozen=True)
    class Identify:
        """Is a linear system identified by these experiments, and which should be next?

        x' = A x + B u, y = C x, with inputs u that are not seen; only their variances
        differ between experiments. Every state must be seen in some coordinates.
        """

        file: Positional[Path]
        """an .npz file: y `[experiments, time, outputs]`, or y_0, y_1, ... of any
        length (NaN: not seen); variance `[experiments, inputs]` of the inputs where it
        is known; t, or t_0, t_1, ..., where times are to be checked"""
        inputs: int = 0
        """how many; 0: as many as what drives the outputs has dimensions"""
        seed: int = 0
        """of the random starts"""

    options = parse(Identify, args, "identify")
    if options.inputs < 0:
        raise ValueError(f"inputs must be >= 0, got {options.inputs}")
    quiet()
    outputs, times, variance = _read(options.file)
    from jidcl.systems.lti.identify import check_sampling, identify

    if times:
        check_sampling(times)
    found = identify(
        outputs, variance=variance, inputs=options.inputs or None, seed=options.seed
    )
    print("\n".join(lines(found)))
    return 0


def _read(path: Path) -> tuple[list[Any], list[Any], Any]:
    """Outputs and times of every experiment, and the variances of the inputs."""
    from jidcl.data.columns import npz_columns

    if path.suffix != ".npz":
        raise ValueError(f"file must be an .npz file, got {path}")
    arrays = {name: column.read() for name, column in npz_columns(path).items()}
    known = {name.partition("_")[0] for name in arrays}
    wrong = sorted(known - {"y", "t", "variance"})
    if wrong or "y" not in known:
        raise ValueError(
            f"{path} must hold y, or y_0, y_1, ..., and may hold variance and t, got "
            f"{sorted(arrays)}"
        )

    def of(name: str) -> list[Any]:
        if name in arrays:
            whole = arrays[name]
            one = whole.ndim <= {"y": 2, "t": 1}[name]
            return list(whole[None] if one else whole)
        numbers = [key for key in arrays if key.startswith(f"{name}_")]
        wanted = [f"{name}_{i}" for i in range(len(numbers))]
        if sorted(numbers) != sorted(wanted):
            raise ValueError(f"{path} must hold {wanted}, got {sorted(numbers)}")
        return [arrays[key] for key in wanted]

    outputs, times = of("y"), of("t")
    if times and [t.shape for t in times] != [y.shape[:1] for y in outputs]:
        raise ValueError(f"{path} must hold a time for each row of y")
    return outputs, times, arrays.get("variance")


def lines(found: Any) -> list[str]:
    """What is printed of `jidcl.systems.lti.identify.Identified`."""
    inputs, count = found.m.shape[1], len(found.pairs)
    told, names = found.told, ", ".join(map(str, found.pairs))
    shown = [
        f"experiments  {count}, with {names} pairs of samples",
        f"system       {len(found.g)} outputs, {inputs} inputs, spectral radius "
        f"{found.radius:.4g}",
    ]
    if found.radius >= 1:
        shown.append(
            "warning      the system is unstable: a series that grows says "
            "most of its last samples"
        )
    shown += _matrix("G = C A C^-1", found.g)
    free = "sign" if found.known else "order and scale"
    shown += _matrix(f"M = C B, columns up to {free}", found.m)
    kind = "given" if found.known else "estimated"
    shown += _matrix(
        f"variances of the inputs, {kind}, a row an experiment", found.variance
    )
    met = "met" if bool(told.sufficient) else "not met"
    shown += [
        f"diversity    margin {found.margin:.3g} of 1, least sine between two profiles "
        f"{float(told.min_pair_sine):.3g}",
        f"condition    rank of precision differences {int(told.rank)}, {inputs} is "
        f"sufficient ({inputs + 1} experiments at least): {met}; not necessary",
        f"expected     MCC {found.mcc:.4f} of the inputs found with the true ones",
    ]
    if found.identified:
        shown.append("identified   yes: G, and M up to what stands above")
    else:
        shown.append("identified   no: these environments do not suffice")
    for (i, j), move in zip(found.open_pairs, found.basis, strict=True):
        shown += _matrix(f"open: inputs {i} and {j} may be turned; M moves along", move)
    shown += _next(found)
    return shown


def _next(found: Any) -> list[str]:
    import numpy as np

    new = found.next_variance
    wanted = ", ".join(f"{value:.3g}" for value in new)
    best = int(np.argmax(new))
    shown = [f"next         variances {wanted}: margin {found.next_margin:.3g}"]
    if not found.identified:
        others = [str(i) for i in range(len(new)) if i != best]
        shown.append(
            f"             the next one should excite input {best}, and keep "
            f"{', '.join(others)} low"
        )
        column = found.m[:, best] / np.linalg.norm(found.m[:, best])
        along = ", ".join(f"{value:.3g}" for value in column)
        shown.append(f"             input {best} moves the outputs along ({along})")
    return shown


def _matrix(title: str, matrix: Any) -> list[str]:
    rows = ["  ".join(f"{value:>11.5g}" for value in row) for row in matrix]
    return [title, *(f"    {row}" for row in rows)]
