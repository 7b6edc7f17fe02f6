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
SETS = 4  # data sets of a call
FORMS = ("exact", "fourier", "low_rank")
PEERS = ("kci", "rcit")


def data_sets(samples: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """x, y and z, `[SETS, samples, 1]` each: x and y depend on z, and a little beyond.

    Args:
        samples: of each data set.

    Returns:
        Three arrays.
    """
    z, u, v = np.random.default_rng(samples).normal(size=(3, SETS, samples, 1))
    return z + u, np.sin(z) + v + 0.1 * u, z


def independence_rows(
    repeats: int, *, peer: bool, samples: tuple[int, ...] = SAMPLES
) -> Iterator[dict[str, Any]]:
    """Every form of the conditional KCI at every size, and causal-learn's tests.

    Times are those of one test. `core_s` is processor time of all threads, which other
    programs do not stretch; `p` belongs to the first data set, so that forms and peer
    can be seen to agree.

    Args:
        repeats: timed calls; one of a peer.
        peer: whether causal-learn is timed, where it is installed.
        samples: sizes.

    Yields:
        Rows by name.
    """
    for n in samples:
        x, y, z = data_sets(n)
        for form in FORMS:

            def test(form: str = form, held: Any = (x, y, z)) -> np.ndarray:
                return np.asarray(kci_conditional(*held, form=form).p)

            yield _row("jidcl", form, n, test, repeats, SETS)
        if peer and find_spec("causallearn"):
            table = np.concatenate([x[0], y[0], z[0]], axis=1)
            for name in PEERS:
                yield _row("causal-learn", name, n, _peer(name, table), 1, 1)


def _peer(name: str, table: np.ndarray) -> Callable[[], np.ndarray]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from causallearn.utils.cit import CIT  # type: ignore

    def test():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return np.asarray([CIT(table, name)(0, 1, [2])])

    return test


def _row(
    by: str, name: str, n: int, test: Callable[[], Any], repeats: int, sets: int
) -> dict[str, Any]:
    began = time.perf_counter()
    p = test()
    first = time.perf_counter() - began
    began = time.process_time()
    took = timing(repeat(test, repeats, warmups=0) / sets)
    core = (time.process_time() - began) / (repeats * sets)
    return {
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
        "p": float(p[0]),
    }
