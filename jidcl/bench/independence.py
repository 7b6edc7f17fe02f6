"""Benchmark rows of the conditional kernel test: seconds over samples, and a peer's."""

import time
import warnings
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from typing import Any

import numpy as np

from jidcl.bench.measure import repeat, timing
from jidcl.metrics import kci_conditional

SAMPLES = (200, 500, 1000, 2000)
FORMS = ("exact", "fourier", "low_rank")
PEERS = ("kci", "rcit")  # the first is the one that the forms are compared with
COMPARED = 4  # data sets that a peer is given
WIDE = 3  # columns of z, where R has to be solved for


def sets_of(samples: int) -> int:
    """Data sets of a batch: fewer of large ones, so that calls take alike.

    Args:
        samples: of each data set.

    Returns:
        A number, at least that which a peer is given.
    """
    return max(COMPARED, 16_000 // samples)


def data_sets(samples: int, columns: int = 1) -> tuple[np.ndarray, ...]:
    """x, y and z, `[sets, samples, 1]`: x and y depend on the first column of z.

    In every other data set y depends on x beyond z as well.

    Args:
        samples: of each data set.
        columns: of z.

    Returns:
        Three arrays of `sets_of(samples)` data sets.
    """
    rng, sets = np.random.default_rng(samples), sets_of(samples)
    z, u, v = rng.normal(size=(3, sets, samples, 1))
    beyond = 0.1 * (np.arange(sets) % 2)[:, None, None]
    x, y = z + u, np.sin(z) + v + beyond * u
    more = rng.normal(size=(sets, samples, columns - 1))
    return x, y, np.concatenate([z, more], axis=-1)


def independence_rows(
    repeats: int, *, peer: bool, samples: tuple[int, ...] = SAMPLES
) -> Iterator[dict[str, Any]]:
    """causal-learn's tests and every form of the conditional KCI, at every size.

    A form is given `sets` data sets at once, and one alone. At last `exact` and
    causal-learn's KCI are given some whose z has `WIDE` columns: "of_3". Times are
    those of one test. `core_s` is processor time of all threads, which other programs
    do not stretch. `p` has the first data sets. Beside causal-learn's KCI, `p_apart`
    is the largest difference of them, and `faster` the ratio of processor times.

    Args:
        repeats: timed calls; one of a peer.
        peer: whether causal-learn is timed, where it is installed.
        samples: sizes.

    Yields:
        Rows by name.
    """
    for n in samples:
        held = data_sets(n)
        beside = None
        if peer and find_spec("causallearn"):
            tables = np.concatenate(held, axis=-1)[:COMPARED]
            for name in PEERS:
                _peer(name, tables[:1, :200])()  # what is imported late
                row = _row("causal-learn", name, n, _peer(name, tables), 0, COMPARED)
                beside = beside or row
                yield row
        for form in FORMS:
            for sets in (len(held[0]), 1):
                test = _form(form, *(a[:sets] for a in held))
                yield _row("jidcl", form, n, test, repeats, sets, beside)
        wide = [a[:COMPARED] for a in data_sets(n, WIDE)]
        name, beside = f"of_{WIDE}", None
        if peer and find_spec("causallearn"):
            one = _peer(PEERS[0], np.concatenate(wide, axis=-1)[:1])
            beside = _row("causal-learn", f"{PEERS[0]}_{name}", n, one, 0, 1)
            yield beside
        test = _form(FORMS[0], *wide)
        yield _row("jidcl", f"{FORMS[0]}_{name}", n, test, repeats, COMPARED, beside)


def _form(form: str, *held: Any) -> Callable[[], np.ndarray]:
    return lambda: np.asarray(kci_conditional(*held, form=form).p)


def _peer(name: str, tables: np.ndarray) -> Callable[[], np.ndarray]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from causallearn.utils.cit import CIT  # type: ignore

    given = list(range(2, tables.shape[-1]))

    def test():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return np.asarray([CIT(table, name)(0, 1, given) for table in tables])

    return test


def _row(
    by: str,
    name: str,
    n: int,
    test: Callable[[], np.ndarray],
    repeats: int,
    sets: int,
    beside: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """Times of `repeats` calls after the first, or of the first where they are none."""
    began, core_began = time.perf_counter(), time.process_time()
    p = test()[:COMPARED].tolist()
    first = time.perf_counter() - began
    times = np.asarray([first])
    if repeats:
        core_began = time.process_time()
        times = repeat(test, repeats, warmups=0)
    core = (time.process_time() - core_began) / (max(repeats, 1) * sets)
    took = timing(times / sets)
    row = {
        "what": "independence",
        "by": by,
        "similarity": name,
        "batch": n,
        "sets": sets,
        "median_s": took.median,
        "low_s": took.low,
        "high_s": took.high,
        "core_s": core,
        "compile_s": max(first - sets * took.median, 0.0),
        "extra_bytes": None,
        "floor_s": None,
        "times_floor": None,
        "p": p,
    }
    if beside is not None:
        both = min(len(p), len(beside["p"]))
        apart = np.subtract(p[:both], beside["p"][:both])
        row |= {
            "p_apart": float(np.abs(apart).max()),
            "faster": beside["core_s"] / core,
        }
    return row
