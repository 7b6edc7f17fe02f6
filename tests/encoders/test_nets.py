"""The published MLP: size, paths, initial law and forward pass."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from scipy import stats

from jidcl.encoders import MLP, from_nnx, make_mlp
from jidcl.encoders.nets import looks_linear_kernels
from reference import network


def test_published_size():
    params, state = jax.eval_shape(make_mlp(10).init, jax.random.key(0))
    assert state == {}
    leaves = jax.tree.leaves(params)
    assert sum(leaf.size for leaf in leaves) == 854_210
    assert all(leaf.dtype == jnp.float32 for leaf in leaves)
    widths = (10, 100, 500, 500, 500, 500, 100, 10)
    for i in range(7):
        layer = params["layers"][str(i)]
        assert layer["kernel"].shape == (widths[i], widths[i + 1])
        assert layer["bias"].shape == (widths[i + 1],)


@pytest.mark.parametrize(
    ("output", "extra"), [("learnable_sphere", 1), ("learnable_box", 4), ("box", 0)]
)
def test_output_parameters_are_counted_by_output_width(output, extra):
    f = make_mlp(3, m=4, widths=(2,), output=output)
    params, _ = jax.eval_shape(f.init, jax.random.key(0))
    size = sum(leaf.size for leaf in jax.tree.leaves(params))
    assert size == (3 * 6 + 6) + (6 * 4 + 4) + extra


def test_forward_pass_equals_numpy(rng):
    f = make_mlp(3, m=2, widths=(2, 3), slope=0.05, init="fan_in_uniform", output="box")
    params, state = jax.jit(f.init)(jax.random.key(0))
    x = rng.normal(size=(4, 3)).astype(np.float32)
    layers = [
        (params["layers"][str(i)]["kernel"], params["layers"][str(i)]["bias"])
        for i in range(3)
    ]
    want = network.output("box", network.mlp(layers, x, slope=0.05), 1.0)
    got = jax.jit(f.apply)(params, state, x)[0]
    np.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-6)


def test_without_a_last_layer_the_activations_come_out(rng):
    own = dict(hidden=(5, 4), slope=0.05, init="fan_in_uniform")
    f, bare = (
        from_nnx(lambda rngs, m=m: MLP(3, m, **own, rngs=rngs)) for m in (2, None)
    )
    params, state = jax.jit(f.init)(jax.random.key(0))
    *held, last = (params["layers"][str(i)] for i in range(3))
    x = jnp.asarray(rng.normal(size=(6, 3)), jnp.float32)
    head = {"layers": {str(i): layer for i, layer in enumerate(held)}}
    features = jax.jit(bare.apply)(head, state, x)[0]
    assert features.shape == (6, 4)
    want = features @ last["kernel"] + last["bias"][None]
    np.testing.assert_allclose(
        jax.jit(f.apply)(params, state, x)[0], want, rtol=1e-5, atol=1e-6
    )
    with pytest.raises(ValueError, match="looks_linear needs a last layer"):
        MLP(3, None, hidden=(4,), init="looks_linear", rngs=nnx.Rngs(0))


def test_default_slope_is_the_published_one():
    f = make_mlp(1, widths=(1,))
    params, state = jax.jit(f.init)(jax.random.key(0))
    one, bias = jnp.ones((1, 1)), jnp.zeros(1)
    params["layers"] = {str(i): {"kernel": one, "bias": bias} for i in range(2)}
    got = jax.jit(f.apply)(params, state, jnp.array([[-1.0], [2.0]]))[0]
    np.testing.assert_allclose(got, [[-0.01], [2.0]], rtol=1e-6)


def test_gelu_is_exact_and_can_start_linear(rng):
    x = jnp.asarray(rng.normal(size=(50, 4)), jnp.float32)
    own = dict(m=3, widths=(2,), activation="gelu")
    f = make_mlp(4, init="fan_in_uniform", **own)
    params, state = jax.jit(f.init)(jax.random.key(0))
    leaves = [[params["layers"][k][v] for v in ("kernel", "bias")] for k in "01"]
    w0, b0, w1, b1 = map(np.asarray, jax.tree.leaves(leaves))
    inner = np.asarray(x) @ w0 + b0
    want = inner * stats.norm.cdf(inner) @ w1 + b1
    np.testing.assert_allclose(jax.jit(f.apply)(params, state, x)[0], want, atol=1e-5)
    f = make_mlp(4, init="looks_linear", widths=(2, 3), activation="gelu")
    params, state = jax.jit(f.init)(jax.random.key(1))
    y = np.asarray(jax.jit(f.apply)(params, state, x)[0])
    x = np.asarray(x)
    np.testing.assert_allclose(y @ y.T, x @ x.T, atol=1e-3)


def test_fan_in_uniform_law():
    # Kolmogorov-Smirnov at a false-alarm rate of 1e-4 for kernels and biases.
    f = make_mlp(20, m=2000, widths=(5,), init="fan_in_uniform")
    params, _ = jax.jit(f.init)(jax.random.key(0))
    for i, fan_in in enumerate((20, 100)):
        bound = fan_in**-0.5
        law = stats.uniform(-bound, 2 * bound)
        for name in ("kernel", "bias"):
            values = np.ravel(params["layers"][str(i)][name])
            assert np.abs(values).max() <= bound * (1 + 1e-6)
            assert stats.kstest(values, law.cdf).pvalue > 1e-4


def test_he_normal_spread():
    params, _ = jax.jit(make_mlp(20, widths=(20,)).init)(jax.random.key(0))
    for i, fan_in in enumerate((20, 400)):
        layer = params["layers"][str(i)]
        # 8000 truncated normals: one standard error is below 0.8 %.
        assert np.std(layer["kernel"]) == pytest.approx((2 / fan_in) ** 0.5, rel=0.04)
        np.testing.assert_array_equal(layer["bias"], np.zeros_like(layer["bias"]))


def test_same_key_same_weights_and_layers_differ():
    f = make_mlp(4, widths=(1, 1))
    a, b = (jax.jit(f.init)(jax.random.key(3))[0] for _ in range(2))
    jax.tree.map(np.testing.assert_array_equal, a, b)
    assert not np.allclose(a["layers"]["0"]["kernel"], a["layers"]["1"]["kernel"])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"n": 0}, "must be >= 1, got 0"),
        ({"m": 0}, "must be >= 1, got 0"),
        ({"widths": (2, 0)}, "must be >= 1, got 0"),
        ({"init": "he_norm"}, "init.*'he_norm'.*did you mean 'he_normal'"),
        ({"activation": "gelo"}, "activation.*did you mean 'gelu'"),
        ({"output": "boxx"}, "output.*'boxx'.*did you mean 'box'"),
    ],
)
def test_bad_settings_fail_before_any_weights_are_made(settings, message):
    with pytest.raises(ValueError, match=message):
        make_mlp(**{"n": 3, **settings})


def test_looks_linear_starts_as_one_orthogonal_map(rng):
    f = make_mlp(4, widths=(3, 2, 6), init="looks_linear")
    params, state = jax.jit(f.init)(jax.random.key(1))
    x = jnp.asarray(rng.normal(size=(50, 4)), jnp.float32)
    y = np.asarray(jax.jit(f.apply)(params, state, x)[0])
    np.testing.assert_allclose(y @ y.T, x @ x.T, atol=1e-4)  # lengths and angles
    a, b = np.asarray(jax.jit(f.apply)(params, state, jnp.eye(4))[0]), np.asarray(x)
    np.testing.assert_allclose(y, b @ a, atol=1e-5)


def test_factorisations_are_not_batched_over_seeds():
    # Independent batched LAPACK calls in one program can wait for each other for ever.
    draw = jax.vmap(
        lambda seed: looks_linear_kernels(jax.random.key(seed), (2, 8, 2), 0.1)
    )
    text = jax.jit(draw).lower(jnp.arange(3)).as_text()
    calls = [line for line in text.splitlines() if "lapack_" in line]
    assert calls
    for shape in re.findall(r"tensor<((?:\d+x)+)f32>", "".join(calls)):
        assert shape.count("x") <= 2, calls


def test_a_network_made_again_is_the_same_functions():
    first, again = (make_mlp(3, widths=(2,), slope=0.1) for _ in range(2))
    assert first is again
    other = make_mlp(3, widths=(2,), slope=0.2)
    assert other is not first
    x = jnp.ones((4, 3))
    params, state = jax.jit(first.init)(jax.random.key(0))  # made inside a trace
    y = first.apply(params, state, x)[0]
    np.testing.assert_array_equal(again.apply(params, state, x)[0], y)
    assert not np.allclose(other.apply(params, state, x)[0], y)
