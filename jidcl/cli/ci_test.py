"""`jidcl ci-test`: is one column of a table independent of another, given others?"""

import dataclasses
import warnings
from pathlib import Path
from typing import Any

from jidcl.cli.arguments import no_tyro, parse, quiet

TESTS = ("kci", "fisher_z", "g_test", "hsic", "xi")
WHOLE_FROM, LOW_RANK = 2000, 200  # rows from which KCI is approximate, and its rank


def main(args: list[str]) -> int:
    """Run the verb; the exit code."""
    try:
        from tyro.conf import Positional
    except ImportError as error:
        raise no_tyro() from error

    @dataclasses.dataclass(frozen=True)
    class CITest:
        """Test whether columns x and y of a table are independent, given columns z.

        The p-value, the method, what it assumes, and a warning where it is weak.
        """

        file: Positional[Path]
        """a CSV file with a line of names and numbers below, or a .npy matrix"""
        x: str
        """name of the first column, or its number from 0"""
        y: str
        """name of the second column, or its number from 0"""
        z: tuple[str, ...] = ()
        """names or numbers of the columns that are conditioned on"""
        test: str = "kci"
        """kci, fisher_z, g_test (categories as whole numbers), hsic or xi (no z)"""
        alpha: float = 0.05
        """level at which the verdict is told"""

    options = parse(CITest, args, "ci-test")
    from jidcl.checks import check_choice

    check_choice("test", options.test, TESTS)
    if not 0 < options.alpha < 1:
        raise ValueError(f"alpha must be in (0, 1), got {options.alpha}")
    columns = _columns(options.file, (options.x, options.y, *options.z))
    quiet()
    found, method = _tested(options.test, columns)
    from jidcl.metrics.independence import ASSUMPTIONS

    given = f" given {', '.join(options.z)}" if options.z else ""
    p = float(found.p)
    word = "rejected" if p <= options.alpha else "not rejected"
    print(f"{options.x} independent of {options.y}{given}: {word} at {options.alpha:g}")
    print(f"p          {p:.4g}")
    print(f"statistic  {float(found.statistic):.6g}")
    print(f"method     {method}, {len(columns)} rows")
    print(f"assumes    {ASSUMPTIONS[options.test]}")
    for warning in _weak(options.test, len(columns), len(options.z)):
        print(f"warning    {warning}")
    return 0


def _columns(path: Path, wanted: tuple[str, ...]) -> Any:
    """The wanted columns of a table, `[rows, columns]`."""
    import numpy as np

    from jidcl.checks import check_choice
    from jidcl.files import MOST_ARRAYS, check_regular, read_array

    if len(set(wanted)) < len(wanted):
        raise ValueError(f"x, y and z must be different columns, got {list(wanted)}")
    if path.suffix == ".npy":
        table = read_array(path)
        if table.ndim != 2 or table.dtype.kind not in "fiub":
            raise ValueError(
                f"{path} must hold a matrix of numbers, got {table.dtype} of shape "
                f"{list(table.shape)}"
            )
        names = []
    else:
        check_regular(path, MOST_ARRAYS)
        with path.open(encoding="utf-8") as lines:
            try:
                names = [name.strip() for name in lines.readline().split(",")]
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")  # of no rows: it is said below
                    table = np.loadtxt(lines, delimiter=",", ndmin=2)
            except ValueError as error:
                raise ValueError(
                    f"{path} must hold a line of names, then numbers: {error}"
                ) from error
        if table.size and table.shape[1] != len(names):
            raise ValueError(
                f"{path} must have a number for each of its {len(names)} names, got "
                f"{table.shape[1]}"
            )
    if not table.size:
        raise ValueError(f"{path} must hold rows of numbers, got none")
    numbers = {str(i): i for i in range(table.shape[1])}
    known = {**numbers, **{name: i for i, name in enumerate(names)}}
    for name in wanted:
        check_choice(f"column of {path}", name, known)
    held = table[:, [known[name] for name in wanted]].astype(np.float64)
    if not np.isfinite(held).all():
        raise ValueError(f"{path} must hold finite numbers in {list(wanted)}")
    return held


def _tested(test: str, columns: Any) -> tuple[Any, str]:
    """What a test finds, and the name of the method."""
    import numpy as np

    from jidcl import metrics

    x, y, z = columns[:, :1], columns[:, 1:2], columns[:, 2:]
    given = z.shape[1]
    if test in ("hsic", "xi"):
        if given:
            raise ValueError(f"z must be empty for test {test!r}, got {given} columns")
        if test == "hsic":
            return metrics.hsic(x, y), "HSIC, Gaussian kernels, gamma null"
        return metrics.chatterjee_xi(x, y), "Chatterjee's xi, normal null"
    if test == "fisher_z":
        return metrics.fisher_z(x, y, z if given else None), "Fisher's z"
    if test == "g_test":
        whole: Any = columns.astype(int)
        if (whole != columns).any() or (whole < 0).any():
            raise ValueError("columns of a G-test must be whole numbers from 0")
        levels = max(2, int(whole.max()) + 1)
        pair: Any = np.ascontiguousarray(whole[:, :2].T)
        x, y = pair[0], pair[1]
        found = metrics.g_test(x, y, whole[:, 2:] if given else None, levels=levels)
        return found, f"G-test, {levels} levels"
    if not given:
        return metrics.kci_unconditional(x, y), "KCI, no condition, gamma null"
    if len(columns) >= WHOLE_FROM:
        found = metrics.kci_conditional(x, y, z, form="low_rank", rank=LOW_RANK)
        return found, f"KCI of rank {LOW_RANK} (approximate), gamma null"
    form = "fourier" if given == 1 else "exact"
    return metrics.kci_conditional(x, y, z, form=form), "KCI, gamma null"


def _weak(test: str, rows: int, given: int) -> list[str]:
    """Where a test says little."""
    found = []
    if rows < 100:
        found.append(f"{rows} rows: only strong dependence shows under 100")
    if test == "kci" and given > 2:
        found.append(f"{given} columns in z: KCI loses power with each")
    if test == "g_test" and rows < 5 * 2 ** (given + 2):
        found.append(f"{rows} rows for {2 ** (given + 2)} cells or more: many are bare")
    return found
