"""An exported encoder runs in a process that never heard of it, and says the same."""

import subprocess
import sys

import flax.linen
import jax.numpy as jnp
import numpy as np
import pytest

import jidcl
from jidcl.estimate import NotFitted

SMALL = dict(outputs=2, hidden=(8,), steps=20, seeds=3, batch=16)
RNG = np.random.default_rng(0)
X = RNG.normal(size=(200, 4)) * [1, 10, 0.1, 1] + [0, 1000, 0, 5]
X_POS = X + RNG.normal(size=X.shape) * [0.1, 1, 0.01, 0.1]
# What a reader needs: JAX and the file.
READS = """
import sys
from pathlib import Path
import numpy as np
from jax import export
program = export.deserialize(bytearray(Path("a.stablehlo").read_bytes()))
np.save("y.npy", program.call(np.load("x.npy")))
np.save("y1.npy", program.call(np.load("x.npy")[:1]))
assert not any(name.split(".")[0] in ("jidcl", "flax") for name in sys.modules)
"""


@pytest.fixture(scope="module")
def encoder():
    return jidcl.fit_pairs(X, X_POS, **SMALL)


class OfSixteenRows(flax.linen.Module):
    """It asks how many rows there are, which a program of any batch cannot know."""

    @flax.linen.compact
    def __call__(self, x):
        return flax.linen.Dense(2)(jnp.stack([x[i] for i in range(x.shape[0])]))


@pytest.mark.many_programs(reason="a fit and its export")
def test_a_fresh_process_gives_the_same_outputs(encoder, tmp_path):
    pytest.importorskip("flatbuffers", reason="needs pip install 'jidcl[export]'")
    path = encoder.to_stablehlo(tmp_path / "a.stablehlo")
    assert path == tmp_path / "a.stablehlo"
    np.save(tmp_path / "x.npy", X.astype(np.float32))
    subprocess.run([sys.executable, "-c", READS], cwd=tmp_path, check=True)
    y = np.load(tmp_path / "y.npy")
    assert y.dtype == np.float32
    np.testing.assert_allclose(y, encoder.transform(X), atol=1e-4)
    np.testing.assert_allclose(np.load(tmp_path / "y1.npy"), y[:1], atol=1e-5)
    # It is the best run, and no other.
    other = encoder.outputs_of(X)[(encoder.best_ + 1) % 3]
    assert not np.allclose(y, other, atol=1e-2)


@pytest.mark.many_programs(reason="a fit of another network")
def test_a_network_of_one_batch_is_refused_and_nothing_written(tmp_path):
    pytest.importorskip("flatbuffers", reason="needs pip install 'jidcl[export]'")
    settings = {**SMALL, "network": OfSixteenRows(), "steps": 2, "seeds": 1}
    fitted = jidcl.fit_pairs(X, X_POS, **settings)
    with pytest.raises(ValueError, match="network must take a batch of unknown length"):
        fitted.to_stablehlo(tmp_path / "a")
    assert not list(tmp_path.iterdir())


def test_without_flatbuffers_the_extra_is_named(encoder, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "flatbuffers", None)
    with pytest.raises(ImportError, match=r"pip install 'jidcl\[export\]'"):
        encoder.to_stablehlo(tmp_path / "a")
    assert not list(tmp_path.iterdir())


def test_what_is_not_fitted_is_not_exported(tmp_path):
    with pytest.raises((NotFitted, ValueError), match="must be fitted first"):
        jidcl.ContrastiveEncoder(2).to_stablehlo(tmp_path / "a")
