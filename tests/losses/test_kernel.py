"""Kernels for row log-sum-exps: equal to the plain form, with nothing of all pairs."""

import functools

import hypothesis.strategies as st
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import example, given, settings
from jax.sharding import AbstractDevice, AbstractMesh, AxisType
from jax.sharding import PartitionSpec as P

from jidcl.losses import Similarity, infonce
from jidcl.losses.logsumexp import row_logsumexp
from jidcl.losses.tiles import Kernel

TINY = Kernel(own=4, other=2, programs=4)
L1, L2, L3 = (Similarity("lp", p) for p in (1.0, 2.0, 3.0))
similarities = st.one_of(
    st.sampled_from([Similarity(), Similarity("cosine"), L1, L2, L3]),
    st.builds(
        Similarity, st.just("lp"), st.sampled_from([1.5, 2.0, 3.0]), st.just(False)
    ),
)


@functools.partial(jax.jit, static_argnames=("similarity", "without", "tile"))
def value_and_pulled(similarity, a, b, tau, cotangent, *, without=False, tile=TINY):
    """(log-sum-exps, their gradients for a, b and tau)."""

    def run(a, b, tau):
        options = dict(tau=tau, exclude_diagonal=without, tile=tile)
        return row_logsumexp(similarity, a, b, **options)

    value, pull = jax.vjp(run, a, b, tau)
    return value, pull(cotangent)


def in_float64(similarity, *args, **options):
    with jax.enable_x64(True):
        args = (jnp.asarray(np.asarray(x, np.float64)) for x in args)
        return value_and_pulled(similarity, *args, tile=None, **options)


def assert_close(got, want, tolerance):
    """Every array within the tolerance of its largest entry."""
    for x, y in zip(jax.tree.leaves(got), jax.tree.leaves(want), strict=True):
        y = np.asarray(y)
        size = max(np.abs(y[np.isfinite(y)]).max(initial=0), 1e-30)
        np.testing.assert_allclose(x, y, rtol=0, atol=tolerance * size)


@given(
    similarity=similarities,
    shape=st.tuples(st.integers(1, 9), st.integers(1, 9), st.integers(1, 3)),
    without=st.booleans(),
    tau=st.floats(0.1, 2),
    seed=st.integers(0, 2**31 - 1),
)
@example(L3, (5, 3, 17), True, 1.0, 0)  # two blocks of features
@example(Similarity(), (1, 1, 1), True, 1.0, 0)  # nothing is left
@settings(max_examples=3)
def test_float32_kernels_are_the_plain_form_to_rounding(
    similarity, shape, without, tau, seed
):
    rows, cols, m = shape
    rng = np.random.default_rng(seed)
    arrays = [rng.normal(size=s) for s in ((rows, m), (cols, m), (), (rows,))]
    a, b, _, cotangent = (jnp.asarray(x, jnp.float32) for x in arrays)
    args = a, b, jnp.float32(tau), cotangent
    got = value_and_pulled(similarity, *args, without=without)
    assert {x.dtype for x in jax.tree.leaves(got)} == {jnp.dtype("float32")}
    assert_close(got, in_float64(similarity, *args, without=without), 2e-5)


def test_float64_kernels_are_the_plain_form_to_its_rounding(x64, rng):
    a, b, cotangent = (jnp.asarray(rng.normal(size=s)) for s in ((7, 3), (5, 3), 7))
    args = Similarity("lp", 3.0, power=False), a, b, jnp.asarray(0.4), cotangent
    assert_close(value_and_pulled(*args), value_and_pulled(*args, tile=None), 1e-13)


@pytest.mark.parametrize("scale", [0.0, 1e-12, 1e4])
@pytest.mark.parametrize("similarity", [Similarity(), L1, L2], ids=["dot", "l1", "l2"])
def test_extreme_scales_and_equal_rows(rng, similarity, scale):
    arrays = (scale * rng.normal(size=(9, 2)), scale * rng.normal(size=(6, 2)))
    a, b, cotangent = (
        jnp.asarray(x, jnp.float32) for x in (*arrays, rng.normal(size=9))
    )
    args = a, b, jnp.float32(0.1), cotangent
    got = value_and_pulled(similarity, *args)
    assert all(np.isfinite(x).all() for x in jax.tree.leaves(got))
    want = in_float64(similarity, *args)
    # The gradient for tau cancels where one entry is the whole sum.
    assert_close((got[0], got[1][:2]), (want[0], want[1][:2]), 1e-5)


def test_narrow_inputs_are_widened_and_keep_their_gradients_dtype(rng):
    a, b = (jnp.asarray(rng.normal(size=(k, 3)), jnp.bfloat16) for k in (9, 6))
    args = L2, a, b, jnp.float32(0.5), jnp.ones(9)
    got, want = value_and_pulled(*args), value_and_pulled(*args, tile=None)
    assert [x.dtype for x in jax.tree.leaves(got)] == [
        jnp.dtype(x) for x in ("float32", "bfloat16", "bfloat16", "float32")
    ]
    assert_close(got[0], want[0], 1e-6)
    narrow = [[x.astype(jnp.float32) for x in g[1]] for g in (got, want)]
    assert_close(*narrow, 2**-7)


def test_vmap_is_a_loop_and_second_derivatives_are_the_plain_form(rng):
    y = jnp.asarray(rng.normal(size=(2, 2, 5, 1)), jnp.float32)

    def gradient(y, tile):
        b = y[::-1]
        return jax.grad(lambda y: jnp.sum(row_logsumexp(L2, y, b, tile=tile) ** 2))(y)

    def curvature(y, tile):
        return jax.jvp(lambda y: gradient(y, tile), (y,), (y[::-1],))[1]

    for function, some in ((gradient, y), (curvature, y[:1, :1])):
        mapped, plain = (
            jax.jit(jax.vmap(jax.vmap(functools.partial(function, tile=tile))))(some)
            for tile in (TINY, None)
        )
        assert_close(mapped, plain, 1e-5)


H100 = AbstractDevice(device_kind="NVIDIA H100", platform="cuda", num_cores=None)


def for_cuda(function, *args):
    """The text of its program for an H100."""
    call = jax.export.DisabledSafetyCheck.custom_call("__gpu$xla.gpu.triton")
    with jax.sharding.use_abstract_mesh(AbstractMesh((), (), abstract_device=H100)):
        export = jax.export.export(function, platforms=["cuda"], disabled_checks=[call])
        return export(*args).mlir_module()


# JAX 0.12 announces the end of this backend.
deprecated = pytest.mark.filterwarnings("ignore:.*Triton backend is deprecated")


@deprecated
@pytest.mark.parametrize(
    ("similarity", "dtype"),
    [(Similarity(), "bfloat16"), (L1, "float32"), (L2, "bfloat16"), (L3, "float32")],
    ids=str,
)
def test_cuda_programs_hold_nothing_of_all_pairs(similarity, dtype):
    a, b = (jax.ShapeDtypeStruct((k, 10), dtype) for k in (704, 1408))
    scalar, row = (jax.ShapeDtypeStruct(s, jnp.float32) for s in ((), (704,)))
    for tile in (None, "kernel"):
        run = jax.jit(functools.partial(value_and_pulled, similarity, tile=tile))
        text = for_cuda(run, a, b, scalar, row)
        assert ("704x1408x" in text or "1408x704x" in text) == (tile is None)
        assert text.count("@__gpu$xla.gpu.triton") == (0 if tile is None else 3)


@deprecated
@pytest.mark.parametrize("form", ["ring", "gathered"])
def test_kernels_lower_inside_shard_map(form):
    def loss(y):
        return infonce(y, -y, axis="data", form=form, tile="kernel")[0]

    mesh = AbstractMesh((8,), ("data",), (AxisType.Auto,), abstract_device=H100)
    spread = jax.shard_map(loss, mesh=mesh, in_specs=P("data"), out_specs=P())
    program = jax.jit(jax.value_and_grad(spread))
    text = for_cuda(program, jax.ShapeDtypeStruct((512, 10), jnp.float32))
    assert "@__gpu$xla.gpu.triton" in text


def test_kernels_run_only_where_they_are_asked_for():
    y = jax.ShapeDtypeStruct((300, 2), jnp.float32)
    for tile in ("kernel", "auto", None, 64):
        run = functools.partial(row_logsumexp, L1, tile=tile)
        assert ("pallas_call" in str(jax.make_jaxpr(run)(y, y))) == (tile == "kernel")


@pytest.mark.parametrize(
    ("name", "value", "error"),
    [("own", 3, ValueError), ("other", 0, ValueError), ("programs", 0.5, TypeError)],
)
def test_sizes_of_kernels(name, value, error):
    with pytest.raises(error, match=f"{name} must be"):
        Kernel(**{name: value})


PRODUCTS = Kernel(own=16, other=16, programs=6)  # the least that matrix units take


@pytest.mark.parametrize("precision", ["float32", "fast"])
@pytest.mark.parametrize(
    ("shape", "without"), [((33, 50, 16), False), ((40, 20, 20), True)]
)
def test_products_are_the_plain_form_to_rounding(rng, shape, without, precision):
    rows, cols, m = shape
    arrays = [rng.normal(size=s) for s in ((rows, m), (cols, m), rows)]
    a, b, cotangent = (jnp.asarray(x, jnp.float32) for x in arrays)
    args = Similarity(precision=precision), a, b, jnp.float32(0.5), cotangent
    got = value_and_pulled(*args, without=without, tile=PRODUCTS)
    assert {x.dtype for x in jax.tree.leaves(got)} == {jnp.dtype("float32")}
    assert_close(got, in_float64(*args, without=without), 2e-5)


def test_products_of_one_row_without_itself_are_nothing():
    y = jnp.ones((1, 16))
    args = Similarity(), y, y, jnp.float32(1), jnp.ones(1)
    value, gradients = value_and_pulled(*args, without=True, tile=PRODUCTS)
    assert value == -jnp.inf
    assert all((g == 0).all() for g in gradients)


def test_fast_products_of_narrow_rows_stay_narrow(rng):
    a, b = (jnp.asarray(rng.normal(size=(k, 16)), jnp.bfloat16) for k in (20, 40))
    args = Similarity(precision="fast"), a, b, jnp.float32(1), jnp.ones(20)
    got, want = (value_and_pulled(*args, tile=tile) for tile in (PRODUCTS, None))
    assert [x.dtype for x in got[1]] == ["bfloat16", "bfloat16", "float32"]
    assert_close(got[0], want[0], 1e-6)
    narrow = [[x.astype(jnp.float32) for x in g[1]] for g in (got, want)]
    assert_close(*narrow, 2**-6)


@deprecated
@pytest.mark.parametrize(
    ("precision", "dtype"),
    [("float32", "float32"), ("fast", "float32"), ("fast", "bfloat16")],
)
def test_products_lower_for_cuda_and_hold_nothing_of_all_pairs(precision, dtype):
    a, b = (jax.ShapeDtypeStruct((k, 100), dtype) for k in (704, 1408))
    scalar, row = (jax.ShapeDtypeStruct(s, jnp.float32) for s in ((), (704,)))
    similarity = Similarity(precision=precision)
    run = jax.jit(functools.partial(value_and_pulled, similarity, tile="kernel"))
    text = for_cuda(run, a, b, scalar, row)
    assert "704x1408x" not in text
    assert "1408x704x" not in text
    assert text.count("@__gpu$xla.gpu.triton") == 3


@deprecated
@pytest.mark.gpu
@pytest.mark.parametrize("m", [10, 40, 128])
@pytest.mark.parametrize("similarity", [Similarity(), L1, L2, L3], ids=str)
def test_compiled_kernels_are_the_plain_form_to_rounding(rng, similarity, m):
    arrays = [rng.normal(size=s) for s in ((700, m), (1500, m), 700)]
    a, b, cotangent = (jnp.asarray(x, jnp.float32) for x in arrays)
    args = a, b, jnp.float32(2.0), cotangent
    got = value_and_pulled(similarity, *args, tile="kernel")
    assert_close(got, in_float64(similarity, *args), 2e-5)


@deprecated
@pytest.mark.gpu
def test_compiled_fast_products_err_by_what_tf32_drops(rng):
    arrays = [rng.normal(size=s) for s in ((700, 128), (1500, 128), 700)]
    a, b, cotangent = (jnp.asarray(x, jnp.float32) for x in arrays)
    args = Similarity(precision="fast"), a / 4, b / 4, jnp.float32(1.0), cotangent
    got = value_and_pulled(*args, tile="kernel")
    assert_close(got, in_float64(*args), 5e-3)
