"""Pairs in bfloat16: within the stated error of float64, in tiles and in kernels."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import AbstractDevice, AbstractMesh, AxisType
from jax.sharding import PartitionSpec as P

from jidcl.losses import Similarity, infonce, pairwise
from jidcl.losses.logsumexp import row_logsumexp
from jidcl.losses.rows import as_multiplied
from jidcl.losses.tiles import Kernel

U = 2.0**-8  # the most that rounding to bfloat16 errs by, of a number
FLOAT32 = 2.0**-20  # a few operations on float32 numbers
KINDS = {
    "dot": Similarity(precision="bfloat16"),
    "cosine": Similarity("cosine", precision="bfloat16"),
    "p=1": Similarity("lp", 1, precision="bfloat16"),
    "p=2": Similarity("lp", 2, precision="bfloat16"),
    "p=3": Similarity("lp", 3, precision="bfloat16"),
    "norm": Similarity("lp", 2, power=False, precision="bfloat16"),
}
every = pytest.mark.parametrize("name", KINDS)
KERNEL = Kernel(own=16, other=16, programs=6)
TAU = 0.5


def units(x):
    return x / np.linalg.norm(x, axis=-1, keepdims=True)


class Exact:
    """Log-sum-exps and gradients in float64, and the stated errors of each."""

    def __init__(self, similarity, a, b, cotangent):
        if similarity.kind == "cosine":
            a, b = units(a), units(b)
        p = similarity.p
        d, size = a[:, None] - b[None], abs(a)[:, None] + abs(b)[None]
        if similarity.kind != "lp":
            s, error = a @ b.T, (2 * U + U**2) * abs(a) @ abs(b).T
            slopes, wrong = np.broadcast_to(b[None], d.shape), U * abs(b)[None]
            error += FLOAT32 * abs(a) @ abs(b).T
        else:
            e = U * size
            s = -(abs(d) ** p).sum(-1)
            error = p * (e * (abs(d) + e) ** (p - 1)).sum(-1)
            error += FLOAT32 * (size**p).sum(-1)
            slopes = -p * np.sign(d) * abs(d) ** (p - 1)
            wrong = {
                1: 2 * (abs(d) <= e),
                2: 2 * e,
                3: 3 * e * (2 * abs(d) + e),
            }[p] + FLOAT32 * size ** (p - 1)
            if not similarity.power:
                s, error = -np.sqrt(-s), np.sqrt((e**2).sum(-1)) + FLOAT32 * abs(s)
        logits = s / TAU
        top = logits.max(1)
        self.lse = top + np.log(np.exp(logits - top[:, None]).sum(1))
        eps = error.max(1) / TAU
        self.lse_error = eps + FLOAT32 * (abs(self.lse) + abs(top))
        weight = np.exp(logits - self.lse[:, None]) * cotangent[:, None] / TAU
        factor = np.exp(2 * eps) * (1 + U)
        off = abs(weight) * (factor - 1)[:, None], abs(weight) * factor[:, None]
        self.a_bar = np.einsum("ik,ikd->id", weight, slopes)
        self.error = np.einsum("ik,ikd->id", off[0], abs(slopes))
        self.error += np.einsum(
            "ik,ikd->id", off[1], np.broadcast_to(wrong, slopes.shape)
        )


@functools.partial(jax.jit, static_argnames=("similarity", "tile"))
def value_and_gradient(similarity, a, b, cotangent, tile):
    def run(a):
        return row_logsumexp(similarity, a, b, tau=TAU, tile=tile)

    value, pull = jax.vjp(run, a)
    return value, pull(cotangent)[0]


pairs = jax.jit(pairwise, static_argnums=0)


@pytest.mark.share(3)
@pytest.mark.parametrize("tile", [None, (16, 32), KERNEL], ids=["one", "tiles", "k"])
@pytest.mark.parametrize("shape", [(40, 70, 3), (20, 50, 24)], ids=str)
@every
def test_errors_stay_below_the_stated_ones(name, shape, tile):
    similarity, (rows, cols, m) = KINDS[name], shape
    for key in range(3):
        rng = np.random.default_rng(key)
        sizes = (rows, m), (cols, m), rows
        a, b, cotangent = (rng.normal(size=s).astype(np.float32) for s in sizes)
        a, b = a / np.sqrt(m), (b + 0.3) / np.sqrt(m)
        args = tuple(jnp.asarray(x) for x in (a, b, cotangent))
        lse, a_bar = value_and_gradient(similarity, *args, tile)
        assert lse.dtype == a_bar.dtype == jnp.float32
        exact = Exact(similarity, *(x.astype(np.float64) for x in (a, b, cotangent)))
        share = abs(lse - exact.lse) / exact.lse_error
        assert 1e-3 < share.max() <= 1
        if name not in ("cosine", "norm"):  # whose outer slopes Exact leaves out
            share = abs(a_bar - exact.a_bar) / exact.error
            assert 1e-3 < share.max() <= 1


@pytest.mark.share(3)
@pytest.mark.parametrize("name", ["dot", "p=1", "p=2"])
def test_gradients_of_all_inputs_agree_over_the_forms(rng, name):
    similarity = KINDS[name]
    a, b = (jnp.asarray(rng.normal(size=(k, 10)), jnp.float32) for k in (20, 33))

    def total(a, b, tau, tile):
        rows = row_logsumexp(similarity, a, b, tau=tau, tile=tile)
        return jnp.sum(jnp.sin(rows))

    run = jax.jit(jax.grad(total, (0, 1, 2)), static_argnums=3)
    args = a, b, jnp.float32(2.0)
    want = run(*args, None)
    for tile in ((16, 16), KERNEL):
        for x, y in zip(run(*args, tile), want, strict=True):
            np.testing.assert_allclose(x, y, atol=2 * U * float(abs(y).max()))


@every
def test_numbers_that_bfloat16_holds_lose_nothing(rng, name):
    similarity = KINDS[name]
    exact = Similarity(similarity.kind, similarity.p, similarity.power)
    a, b = (rng.integers(-8, 9, size=(k, 5)).astype(np.float32) for k in (7, 9))
    got, want = (pairs(s, jnp.asarray(a), jnp.asarray(b)) for s in (similarity, exact))
    if name == "cosine":  # its unit rows are rounded
        assert (got != want).any()
    else:
        np.testing.assert_allclose(got, want, rtol=1e-6, atol=1e-4)


def test_float64_rows_stay_as_they_are(x64, rng):
    a, b = (jnp.asarray(rng.normal(size=(5, 3))) for _ in range(2))
    for similarity in KINDS.values():
        exact = Similarity(similarity.kind, similarity.p, similarity.power)
        np.testing.assert_allclose(
            pairs(similarity, a, b), pairs(exact, a, b), rtol=1e-13
        )


def test_forward_mode_passes_the_rounding(rng):
    a, b = (jnp.asarray(rng.normal(size=(4, 3)), jnp.float32) for _ in range(2))
    for name in ("dot", "p=1", "p=2"):

        def total(a, similarity=KINDS[name]):
            return jnp.sum(pairwise(similarity, a, b))

        @jax.jit
        def both(a, b, total=total):
            forward = jax.jvp(total, (a,), (b,))[1]
            return forward, jnp.sum(jax.grad(total)(a) * b)

        forward, reverse = both(a, b)
        np.testing.assert_allclose(forward, reverse, rtol=1e-4, err_msg=name)


H100 = AbstractDevice(device_kind="NVIDIA H100", platform="cuda", num_cores=None)


def for_cuda(function, *args, mesh=None):
    """The text of its program for an H100."""
    mesh = mesh or AbstractMesh((), (), abstract_device=H100)
    call = jax.export.DisabledSafetyCheck.custom_call("__gpu$xla.gpu.triton")
    with jax.sharding.use_abstract_mesh(mesh):
        export = jax.export.export(function, platforms=["cuda"], disabled_checks=[call])
        return export(*args).mlir_module()


# JAX 0.12 announces the end of this backend.
deprecated = pytest.mark.filterwarnings("ignore:.*Triton backend is deprecated")


@deprecated
@pytest.mark.parametrize("name", ["dot", "p=1", "p=2"])
def test_kernels_hold_bfloat16_on_cuda(name):
    """Of all rows, nothing of all pairs; a product takes the matrix units."""
    a, b, row = (
        jax.ShapeDtypeStruct(s, jnp.float32) for s in ((704, 32), (1408, 32), (704,))
    )
    run = jax.jit(functools.partial(value_and_gradient, KINDS[name], tile="kernel"))
    text = for_cuda(run, a, b, row)
    assert text.count("@__gpu$xla.gpu.triton") == 2  # for a alone
    assert "bf16>" in text
    assert "704x1408x" not in text


@deprecated
@pytest.mark.parametrize("tile", [None, 256])
def test_tiles_multiply_in_bfloat16_on_cuda(tile):
    a, b, row = (
        jax.ShapeDtypeStruct(s, jnp.float32) for s in ((704, 32), (1408, 32), (704,))
    )
    for name in ("dot", "p=2"):
        run = functools.partial(value_and_gradient, KINDS[name], tile=tile)
        text = for_cuda(jax.jit(run), a, b, row)
        products = [
            line for line in text.splitlines() if "stablehlo.dot_general" in line
        ]
        assert len(products) >= 2
        assert all("lhs_precision_type = bf16" in line for line in products)


@deprecated
@pytest.mark.parametrize("name", ["dot", "p=1", "p=2"])
def test_kernels_lower_inside_shard_map(name):
    def loss(y):
        loss = functools.partial(infonce, similarity=KINDS[name], axis="data")
        return loss(y, -y, tile="kernel")[0]

    mesh = AbstractMesh((8,), ("data",), (AxisType.Auto,), abstract_device=H100)
    spread = jax.shard_map(loss, mesh=mesh, in_specs=P("data"), out_specs=P())
    program = jax.jit(jax.value_and_grad(spread))
    text = for_cuda(program, jax.ShapeDtypeStruct((512, 10), jnp.float32), mesh=mesh)
    assert "@__gpu$xla.gpu.triton" in text


def test_a_sum_of_squares_is_a_product_and_other_powers_are_differences(rng):
    a = jnp.asarray(rng.normal(size=(4, 3)), jnp.float32)
    kinds = {name: as_multiplied(s, a, a)[0].kind for name, s in KINDS.items()}
    assert [name for name, kind in kinds.items() if kind == "lp"] == [
        "p=1",
        "p=3",
        "norm",
    ]


@deprecated
@pytest.mark.gpu
@pytest.mark.parametrize("m", [10, 40, 128])
@pytest.mark.parametrize("name", ["dot", "p=1", "p=2", "p=3"])
def test_compiled_kernels_stay_below_the_stated_errors(name, m):
    rng = np.random.default_rng(0)
    a, b, cotangent = (
        rng.normal(size=s).astype(np.float32) for s in ((300, m), (700, m), 300)
    )
    a, b = a / np.sqrt(m), b / np.sqrt(m)
    args = (jnp.asarray(x) for x in (a, b, cotangent))
    lse, a_bar = value_and_gradient(KINDS[name], *args, "kernel")
    exact = Exact(KINDS[name], *(x.astype(np.float64) for x in (a, b, cotangent)))
    assert (abs(lse - exact.lse) / exact.lse_error).max() <= 1
    assert (abs(a_bar - exact.a_bar) / exact.error).max() <= 1
