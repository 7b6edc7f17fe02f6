"""`jidcl identify`: what experiments say of a linear system, and what is open."""

import dataclasses
import textwrap
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

        x(t+1) = A x(t) + B u(t), y(t) = C x(t). Nobody sees the inputs u, which are
        white noise; only their variances (and means) differ between experiments. Every
        state must be seen, in some coordinates and with little noise.
        """

        file: Positional[Path]
        """an .npz file of
        y: [experiments, time, outputs], or y_0, y_1, ... of any
        length; NaN where nothing was seen;
        variance: [experiments, inputs], where those of inputs are
        known;
        t: times to be checked, of all experiments or one for each,
        or t_0, t_1, ..."""
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
        seen = "; inputs that were recorded are not used here" if "u" in known else ""
        raise ValueError(
            f"{path} must hold y, or y_0, y_1, ..., and may hold variance and t, got "
            f"{sorted(arrays)}{seen}"
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
    if len(times) == 1:
        times = times * len(outputs)
    if times and [t.shape for t in times] != [y.shape[:1] for y in outputs]:
        raise ValueError(f"{path} must hold a time for each row of y")
    return outputs, times, arrays.get("variance")


def lines(found: Any) -> list[str]:
    """What is printed of `jidcl.systems.lti.identify.Identified`."""
    inputs, told = found.m.shape[1], found.told
    many = [
        f"{count} {noun}" if count > 1 else f"1 {noun[:-1]}"
        for count, noun in ((len(found.g), "outputs"), (inputs, "inputs"))
    ]
    counts = ", ".join(map(str, found.pairs))
    shown = _told("experiments", f"{len(found.pairs)}, with {counts} pairs of samples")
    shown += _told(
        "system",
        f"y(t+1) = G y(t) + M u(t): {', '.join(many)}, spectral radius "
        f"{found.radius:.4g}",
    )
    if found.radius >= 1:
        shown += _told(
            "warning",
            "the system is unstable: a series that grows says most of its last samples",
        )
    biased = found.memory > found.by_chance
    if biased:
        shown += _told(
            "warning",
            "what G leaves of a step correlates with that of the step before, "
            f"{found.memory:.2g}; by chance it is below {found.by_chance:.2g}. A state "
            "is not seen, outputs have noise, or inputs have memory: G and M are off",
        )
    shown += _matrix("G = C A C^-1", found.g)
    free = "sign" if found.known else "order and scale"
    shown += _matrix(f"M = C B, columns up to {free}", found.m)
    kind = "given" if found.known else "estimated, the mean of each input is 1"
    shown += _matrix(
        f"variances of the inputs, a row an experiment ({kind})", found.variance
    )
    mixed = bool(found.open_pairs) and not found.known
    chance = ", by differences that may be chance" if mixed else ""
    met = f"met{chance}" if bool(told.sufficient) else "not met"
    shown += _told(
        "diversity",
        f"margin {found.margin:.3g} of 1, least sine between two profiles "
        f"{float(told.min_pair_sine):.3g}",
    )
    shown += _told(
        "condition",
        f"{met}: rank of precision differences {int(told.rank)} of {inputs}, from "
        f"{inputs + 1} experiments at least. It is sufficient, not necessary: the "
        "margin decides",
    )
    expected = (
        f"mean |correlation| (MCC) {found.mcc:.4f} of the inputs found with the true "
        "ones"
    )
    if mixed:
        expected = "no number for inputs whose columns of M are open, see below"
    shown += _told("expected", expected)
    answer = f"yes: G, and M up to the {free} of its columns"
    if not found.identified:
        answer = "no: these environments do not suffice"
    elif biased:
        answer = "the experiments suffice, but see the warning"
    shown += _told("identified", answer)
    for (i, j), move in zip(found.open_pairs, found.basis, strict=True):
        title = f"open: columns {i} and {j} of M may be any mixture; M moves along"
        shown += _matrix(title, move)
    return shown + (_next(found) if inputs > 1 else [])


def _next(found: Any) -> list[str]:
    """Which experiment should follow."""
    import numpy as np

    new = found.next_variance
    wanted = ", ".join(f"{value:.3g}" for value in new)
    shown = f"variances {wanted}, as in the table: margin {found.next_margin:.3g}"
    if found.open_pairs and not found.known:
        # Its columns are mixtures: no one of them is a device that could be driven.
        pair = " and ".join(map(str, found.open_pairs[0]))
        shown += (
            f". Drive one of the devices behind columns {pair} much more, the others "
            "less. Which one does not matter: those columns are mixtures of them"
        )
    elif not found.identified:
        best = int(np.argmax(new))
        others = ", ".join(str(i) for i in range(len(new)) if i != best)
        column = found.m[:, best] / np.linalg.norm(found.m[:, best])
        along = ", ".join(f"{value:.3g}" for value in column)
        shown += (
            f". The next one should excite input {best}, and keep {others} low. Input "
            f"{best} moves the outputs along ({along})"
        )
    return _told("next", shown)


def _told(label: str, text: str) -> list[str]:
    """A labelled text in lines of a terminal's width."""
    return textwrap.wrap(
        text, 80, initial_indent=f"{label:<13}", subsequent_indent=" " * 13
    )


def _matrix(title: str, matrix: Any) -> list[str]:
    rows = ["  ".join(f"{value:>11.5g}" for value in row) for row in matrix]
    return [title, *(f"    {row}" for row in rows)]
