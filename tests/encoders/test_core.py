"""Adapters of Flax modules: pure functions, plain dicts, batch statistics."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx

from jidcl.encoders import from_linen, from_nnx
from jidcl.encoders.core import FLAGS
from jidcl.train import fit
from jidcl.types import Problem

D, H, M = 3, 8, 2


class Net(nnx.Module):
    def __init__(self, rngs):
        self.first = nnx.Linear(D, H, rngs=rngs)
        self.norm = nnx.BatchNorm(H, momentum=0.9, epsilon=1e-5, rngs=rngs)
        self.last = nnx.Linear(H, M, rngs=rngs)

    def __call__(self, x):
        return self.last(self.norm(self.first(x)))


class LinenNet(nn.Module):
    @nn.compact
    def __call__(self, x, train):
        x = nn.Dense(H, name="first")(x)
        norm = nn.BatchNorm(
            use_running_average=not train, momentum=0.9, epsilon=1e-5, name="norm"
        )
        return nn.Dense(M, name="last")(norm(x))


@pytest.fixture
def x(rng):
    return jnp.asarray(2 + 3 * rng.normal(size=(16, D)), jnp.float32)


@pytest.fixture
def norm_net():
    f = from_nnx(Net)
    return f, *jax.jit(f.init)(jax.random.key(0))


def forward(params, x, mean, var):
    """Net in float64 NumPy, normalised with the given statistics."""
    p = jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), params)
    x = np.asarray(x, np.float64) @ p["first"]["kernel"] + p["first"]["bias"]
    x = (x - mean) / np.sqrt(var + 1e-5) * p["norm"]["scale"] + p["norm"]["bias"]
    return x @ p["last"]["kernel"] + p["last"]["bias"]


def hidden(params, x):
    x, kernel = np.asarray(x, np.float64), np.asarray(params["first"]["kernel"])
    return x @ kernel + np.asarray(params["first"]["bias"])


def test_parameters_and_state_are_nested_dicts_with_string_keys(norm_net):
    _, params, state = norm_net
    assert jax.tree.map(jnp.shape, params) == {
        "first": {"kernel": (D, H), "bias": (H,)},
        "norm": {"scale": (H,), "bias": (H,)},
        "last": {"kernel": (H, M), "bias": (M,)},
    }
    assert jax.tree.map(jnp.shape, state) == {"norm": {"mean": (H,), "var": (H,)}}
    for leaf in jax.tree.leaves((params, state)):
        assert type(leaf) is type(jnp.ones(()))


def test_batch_statistics_in_training_and_in_evaluation(norm_net, x):
    f, params, state = norm_net
    h = hidden(params, x)
    mean, var = h.mean(axis=0), h.var(axis=0)
    y, new = f.apply(params, state, x, train=True)
    np.testing.assert_allclose(y, forward(params, x, mean, var), rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(new["norm"]["mean"], 0.1 * mean, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(new["norm"]["var"], 0.9 + 0.1 * var, rtol=1e-4)
    # The state that went in is untouched, and evaluation reads it only.
    np.testing.assert_array_equal(state["norm"]["mean"], np.zeros(H))
    y, same = jax.jit(f.apply)(params, new, x)
    want = forward(params, x, *(np.asarray(new["norm"][k]) for k in ("mean", "var")))
    np.testing.assert_allclose(y, want, rtol=1e-4, atol=1e-4)
    jax.tree.map(np.testing.assert_array_equal, same, new)


def test_apply_uses_the_parameters_it_is_given(norm_net, x):
    f, params, state = norm_net
    doubled = jax.tree.map(lambda leaf: 2 * leaf, params)
    want = forward(doubled, x, np.zeros(H), np.ones(H))
    got = jax.jit(f.apply)(doubled, state, x)[0]
    np.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-4)


def test_gradient_through_apply(norm_net, x):
    f, params, state = norm_net

    @jax.jit
    def gradient(params):
        return jax.grad(lambda p: jnp.sum(f.apply(p, state, x)[0]))(params)

    got = gradient(params)
    np.testing.assert_allclose(got["last"]["bias"], [16, 16], rtol=1e-6)
    y = hidden(params, x) / np.sqrt(1 + 1e-5)
    np.testing.assert_allclose(
        got["last"]["kernel"], y.sum(axis=0)[:, None] * np.ones(M), rtol=1e-4, atol=1e-3
    )
    assert all(np.any(leaf != 0) for leaf in jax.tree.leaves(got))


def test_vmap_over_keys_equals_loop(x):
    f = from_nnx(Net)
    keys = jax.random.split(jax.random.key(1), 2)

    @jax.jit
    def run(key):
        return f.apply(*f.init(key), x)[0]

    mapped = jax.jit(jax.vmap(run))(keys)
    looped = jnp.stack([run(key) for key in jax.random.split(jax.random.key(1), 2)])
    np.testing.assert_allclose(mapped, looped, rtol=1e-5, atol=1e-5)
    assert not np.allclose(mapped[0], mapped[1])


@pytest.mark.parametrize("train", [False, True])
def test_linen_with_copied_weights_equals_nnx(norm_net, x, train):
    f, params, state = norm_net
    linen = from_linen(LinenNet(), x)
    linen_params, linen_state = jax.jit(linen.init)(jax.random.key(1))
    assert jax.tree.structure(linen_params) == jax.tree.structure(params)
    assert set(linen_state) == {"batch_stats"}
    y, new = f.apply(params, state, x, train=train)
    other, linen_new = linen.apply(params, {"batch_stats": state}, x, train=train)
    np.testing.assert_allclose(other, y, rtol=1e-5, atol=1e-5)
    for name, value in new["norm"].items():
        np.testing.assert_allclose(
            linen_new["batch_stats"]["norm"][name], value, rtol=1e-5, atol=1e-6
        )


def test_linen_module_without_state_or_train_argument(x):
    f = from_linen(nn.Dense(M), x)
    params, state = jax.jit(f.init)(jax.random.key(0))
    assert state == {}
    for train in (False, True):
        y, after = f.apply(params, state, x, train=train)
        want = np.asarray(x) @ np.asarray(params["kernel"]) + np.asarray(params["bias"])
        np.testing.assert_allclose(y, want, rtol=1e-5, atol=1e-5)
        assert after == {}


# Modules as their users write them: sown values, dropout, flags of other names --------


class Drawing(nn.Module):
    """Sows into two collections, drops half of its features, normalises the rest."""

    @nn.compact
    def __call__(self, x, training=False):
        h = nn.Dense(H, use_bias=False, name="first")(x)
        self.sow("intermediates", "h", h)
        self.sow("penalties", "size", jnp.sum(h**2))
        h = nn.Dropout(0.5, deterministic=not training)(h)
        return nn.BatchNorm(use_running_average=not training, name="norm")(h)


class DrawingNNX(nnx.Module):
    def __init__(self, rngs):
        layer = nnx.Linear(D, H, use_bias=False, rngs=rngs)
        self.parts = nnx.Dict({"first/layer": layer})
        self.drop = nnx.Dropout(0.5, rngs=rngs)
        self.norm = nnx.BatchNorm(H, rngs=rngs)
        self(jnp.ones((2, D)))  # what it sows here is no state

    def __call__(self, x):
        h = self.parts["first/layer"](x)
        self.sow(nnx.Intermediate, "h", h)
        return self.norm(self.drop(h))


def drawing(kind, x):
    """(encoder, its first kernel of params, its running mean of state)."""
    if kind == "linen":
        f = from_linen(Drawing(), x)
        return f, lambda p: p["first"], lambda s: s["batch_stats"]["norm"]["mean"]
    f = from_nnx(DrawingNNX)
    return f, lambda p: p["parts"]["first/layer"], lambda s: s["norm"]["mean"]


@pytest.mark.filterwarnings("ignore:Using 'Module.sow")
@pytest.mark.parametrize("kind", ["linen", "nnx"])
def test_modules_that_sow_and_draw_train(kind, x):
    f, layer, mean_of = drawing(kind, x)
    problem = Problem(
        freeze=lambda key: {},
        init=f.init,
        draw=lambda frozen, key: x,
        loss=lambda params, state, x, key: mean_of_squares(
            *f.apply(params, state, x, train=True)
        ),
        probe=lambda params, state, frozen, key: {"y": f.apply(params, state, x)[0]},
        evaluate=lambda params, state, frozen, key: {"y": f.apply(params, state, x)[0]},
    )
    run, scores = fit(problem, optax.sgd(0.1), seeds=2, steps=4, chunk_steps=2)
    kernel = np.asarray(layer(run.run.params)["kernel"], np.float64)
    mean = np.asarray(mean_of(run.run.state), np.float64)
    assert np.abs(mean).min() > 1e-3, "the running mean has not moved"
    assert not np.allclose(*mean)
    # Evaluation drops nothing: the features of all rows differ by the kernel's alone.
    y = scores["y"] - scores["y"].mean(axis=1, keepdims=True)
    h = np.asarray(x, np.float64) @ kernel
    h -= h.mean(axis=1, keepdims=True)
    ratio = np.sum(y * h, axis=1) / np.sum(h * h, axis=1)
    np.testing.assert_allclose(y, ratio[:, None] * h, atol=1e-3)


def mean_of_squares(y, state):
    return jnp.mean((y - 1) ** 2), (state, {})


@pytest.mark.filterwarnings("ignore:Using 'Module.sow")
@pytest.mark.parametrize("kind", ["linen", "nnx"])
def test_dropout_draws_anew_at_every_step_and_not_in_evaluation(kind, x):
    f, _, _ = drawing(kind, x)

    @jax.jit
    def run(key):
        params, state = f.init(key)
        y, moved = f.apply(params, state, x, train=True)
        again, _ = f.apply(params, moved, x, train=True)
        still = [f.apply(params, state, x)[0] for _ in range(2)]
        return y, again, still

    y, again, still = run(jax.random.key(0))
    assert not np.allclose(y, again)
    np.testing.assert_array_equal(*still)


class Flagged(nn.Module):
    """One of two numbers, by the flag of this name."""

    flag: str

    @nn.compact
    def __call__(
        self,
        x,
        train=None,
        training=None,
        *,
        is_training=None,
        deterministic=None,
        use_running_average=None,
        scale=1.0,
    ):
        scale = nn.Dense(1, name="unused")(x) * 0 + scale
        return scale * (3.0 if locals()[self.flag] else 5.0)


@pytest.mark.parametrize("flag", FLAGS)
def test_a_flag_says_whether_the_module_trains(flag, x):
    f = from_linen(Flagged(flag), x)
    in_training, else_ = (3.0, 5.0) if FLAGS[flag] else (5.0, 3.0)
    run = jax.jit(lambda key: [f.apply(*f.init(key), x, t)[0] for t in (True, False)])
    for y, want in zip(run(jax.random.key(0)), (in_training, else_), strict=True):
        np.testing.assert_array_equal(y, np.full((16, 1), want))


def test_a_module_that_needs_more_than_x_is_refused_at_once(x):
    class Masked(nn.Module):
        def __call__(self, x, mask, train):
            return x

    class MaskedNNX(nnx.Module):
        def __call__(self, x, mask):
            return x

    for make in (
        lambda: from_linen(Masked(), x),
        lambda: from_nnx(lambda _: MaskedNNX()),
    ):
        with pytest.raises(TypeError, match=r"Masked\w* also needs \['mask'\]"):
            make()
