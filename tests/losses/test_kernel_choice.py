"""`tile="auto"` takes kernels where they were verified and faster, and nowhere else."""

import dataclasses
import json
import pathlib

import jax
import jax.numpy as jnp
import pytest
from jax.sharding import AbstractDevice, AbstractMesh

from jidcl.losses import Similarity, kernel_choice
from jidcl.losses.kernel_choice import MEASURED, kernel_is_chosen
from jidcl.losses.logsumexp import row_logsumexp

ROOT = pathlib.Path(__file__).parents[2]
NAMES = {"dot": Similarity(), **{f"p={p}": Similarity("lp", p) for p in (1, 2, 3)}}
H100 = "NVIDIA H100 80GB HBM3"


@pytest.fixture
def verified(monkeypatch):
    """The table as it were after a run of the gpu tests, and a tiny row."""
    tiny = dataclasses.replace(MEASURED[0], features=2, pairs=300 * 280)
    slow = dataclasses.replace(MEASURED[0], features=7, tiles_ms=0.1)
    rows = (*MEASURED, tiny, slow)
    rows = tuple(dataclasses.replace(row, verified="a file") for row in rows)
    monkeypatch.setattr(kernel_choice, "MEASURED", rows)
    return rows


def test_every_row_is_in_the_file_that_it_names():
    for row in MEASURED:
        result = json.loads((ROOT / row.timed).read_text())
        assert result["device"] == f"gpu {row.device}"
        times = {
            found["tile"]: 1e3 * found["median_s"]
            for found in result["rows"]
            if found["by"] == "jidcl"
            and found["batch"] ** 2 == row.pairs
            and found["n"] == row.features
            and dataclasses.replace(
                NAMES[found["similarity"]], precision=found["precision"]
            )
            == row.similarity
        }
        assert times["auto"] == pytest.approx(row.tiles_ms, rel=0.01)
        assert times["kernel"] == pytest.approx(row.kernel_ms, rel=0.01)


def test_no_row_counts_as_verified_without_its_file():
    for row in MEASURED:
        if row.verified is not None:
            result = json.loads((ROOT / row.verified).read_text())
            assert result["device"] == f"gpu {row.device}"
            assert result["passed"]
        assert row.taken == (row.verified is not None)


@pytest.mark.parametrize("device", ["cpu", "NVIDIA H200", "NVIDIA A100", "TPU v4"])
def test_other_devices_take_the_tiles(verified, device):
    for row in verified:
        sizes = row.pairs, 1, row.features
        assert not kernel_is_chosen(row.similarity, *sizes, device)
        assert not kernel_is_chosen(row.similarity, *sizes)  # here: a CPU


def test_an_h100_takes_what_was_measured_and_nothing_beside_it(verified):
    for row in verified[: len(MEASURED)]:
        assert kernel_is_chosen(row.similarity, row.pairs, 1, row.features, H100)
        assert kernel_is_chosen(row.similarity, row.pairs, 9, row.features, H100)
        for rows, features in ((row.pairs - 1, row.features), (row.pairs, 11)):
            assert not kernel_is_chosen(row.similarity, rows, 1, features, H100)
    for similarity in (Similarity("lp", 1.5), Similarity(precision="bfloat16")):
        assert not kernel_is_chosen(similarity, 2**20, 2**20, 10, H100)
    assert not kernel_is_chosen(Similarity(), 2**20, 2**20, 7, H100)  # slower there


def lse(tile="auto"):
    """A new function each time: JAX remembers what it traced."""
    return lambda a, b: row_logsumexp(Similarity(), a, b, tile=tile)


def both():
    run = lse()
    return jax.value_and_grad(lambda a, b: jnp.sum(run(a, b)), (0, 1))


def test_the_chosen_kernel_is_for_cuda_and_a_cpu_takes_its_tiles(
    verified, monkeypatch, rng
):
    monkeypatch.setattr(kernel_choice, "_local_device", lambda: H100)
    a, b = (jnp.asarray(rng.normal(size=(k, 2)), jnp.float32) for k in (300, 280))
    assert str(jax.make_jaxpr(both())(a, b)).count("pallas_call") >= 3
    narrow = a.astype(jnp.bfloat16)
    assert "pallas_call" not in str(jax.make_jaxpr(lse())(narrow, b))
    here = jax.jit(both())(a, b)  # interpreted, a kernel would take minutes
    monkeypatch.setattr(kernel_choice, "MEASURED", ())
    assert "pallas_call" not in str(jax.make_jaxpr(both())(a, b))
    for x, y in zip(*map(jax.tree.leaves, (here, jax.jit(both())(a, b))), strict=True):
        assert (x == y).all()


# JAX 0.12 announces the end of this backend.
@pytest.mark.filterwarnings("ignore:.*Triton backend is deprecated")
def test_the_program_for_cuda_calls_the_chosen_kernel(verified, monkeypatch):
    monkeypatch.setattr(kernel_choice, "_local_device", lambda: H100)
    call = jax.export.DisabledSafetyCheck.custom_call("__gpu$xla.gpu.triton")
    device = AbstractDevice(device_kind=H100, platform="cuda", num_cores=None)
    rows, cols = (jax.ShapeDtypeStruct((k, 2), jnp.float32) for k in (300, 280))
    with jax.sharding.use_abstract_mesh(AbstractMesh((), (), abstract_device=device)):
        own = dict(platforms=["cuda"], disabled_checks=[call])
        text = jax.export.export(jax.jit(lse()), **own)(rows, cols).mlir_module()
        assert "@__gpu$xla.gpu.triton" in text
        for tile in ((64, 64), None):
            text = jax.export.export(jax.jit(lse(tile)), **own)(
                rows, cols
            ).mlir_module()
            assert "@__gpu$xla.gpu.triton" not in text
