"""The strict environment every test and doctest runs in.

JAX reads its environment once, when it is imported, so the first block comes before
the import: eight virtual CPU devices; one thread per operation, because the tests
already run in as many processes as there are cores; and machine code that is not
optimised, because compiling is most of the time (with XLA_FLAGS=
--xla_backend_optimization_level=3 they test code as users run it).
"""

import os
from collections import Counter
from importlib.metadata import version
from pathlib import Path

XLA_FLAGS = {
    "--xla_force_host_platform_device_count": "8",
    "--xla_cpu_multi_thread_eigen": "false",
    "--xla_backend_optimization_level": "0",
}
# Later releases end the process at this flag: they have no other emitters.
if version("jaxlib").startswith("0.10."):
    XLA_FLAGS["--xla_cpu_use_fusion_emitters"] = "false"
_given = os.environ.get("XLA_FLAGS", "")
os.environ["XLA_FLAGS"] = " ".join(
    [_given] * bool(_given)
    + [f"{flag}={value}" for flag, value in XLA_FLAGS.items() if flag not in _given]
)
for _name, _value in {
    "JAX_PLATFORMS": "cpu",  # an accelerator run sets it, for example to "cuda,cpu"
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MPLBACKEND": "Agg",
}.items():
    os.environ.setdefault(_name, _value)

# Many tests compile the same programs: one cache for all of them, which outlives the
# environment and is not the cache of the package.
_caches = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
CACHE = os.path.join(_caches, "jidcl-tests", "jax")
os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", CACHE)
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0.3")

import hypothesis
import jax
import numpy as np
import pytest

import budget
from jidcl.cli.cache import MOST_BYTES, shrink

jax.config.update("jax_numpy_dtype_promotion", "strict")
jax.config.update("jax_numpy_rank_promotion", "raise")
jax.config.update("jax_debug_key_reuse", True)

# The same examples in every run; compiling takes longer than the default deadline.
hypothesis.settings.register_profile(
    "jidcl", deadline=None, derandomize=True, database=None, max_examples=25
)
hypothesis.settings.load_profile("jidcl")


# The files that take longest go first: with `--dist loadfile`, which keeps the fixtures
# and the programs of a file in one process, one that starts late would end alone.
LONGEST = (
    "test_conformance.py",
    "test_checkpoint.py",
    "test_logsumexp.py",
    "test_runner.py",
    "test_sweep.py",
    "test_contrastive_ica.py",
    "test_public_harness.py",
)


@pytest.hookimpl(tryfirst=True)  # before what is long is deselected
def pytest_collection_modifyitems(items):
    """Put long files first; skip accelerator tests where JAX uses the CPU.

    Of a test marked `share(n)` every n-th case runs with `make test`, all of them with
    `make test-slow`: the others are long.
    """
    seen = Counter()
    for item in items:
        if share := item.get_closest_marker("share"):
            test = item.path, item.originalname
            if seen[test] % share.args[0]:
                item.add_marker("long")
            seen[test] += 1
    place = {name: index for index, name in enumerate(LONGEST)}
    items.sort(key=lambda item: place.get(item.path.name, len(place)))
    if os.environ["JAX_PLATFORMS"] != "cpu":
        return
    skip = pytest.mark.skip(reason="needs an accelerator (JAX_PLATFORMS=cpu)")
    for item in items:
        if "gpu" in item.keywords:
            item.add_marker(skip)


def pytest_sessionfinish(session):
    """Remove what was read longest ago from a cache that has grown too large."""
    if hasattr(session.config, "workerinput"):  # one process of several
        return
    shrink(Path(CACHE), MOST_BYTES)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup(item):
    """The budget of what the fixtures of a test compile."""
    with budget.of_test(item, budget.FIXTURES):
        return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item):
    """The budget of what a test compiles."""
    with budget.of_test(item):
        return (yield)


@pytest.fixture
def rng():
    """A NumPy generator with a fixed seed, for oracles and inputs."""
    return np.random.default_rng(0)


@pytest.fixture
def x64():
    """Run one test with 64-bit types, without changing the global flag."""
    with jax.enable_x64(True):
        yield


@pytest.fixture
def relaxed_promotion():
    """Run one test under JAX's standard dtype promotion.

    For tests that call third-party code directly which promotes implicitly: the bias
    correction of optax (`adam` and everything built on it) raises a Python float to
    an int32 step count.
    """
    with jax.numpy_dtype_promotion("standard"):
        yield
