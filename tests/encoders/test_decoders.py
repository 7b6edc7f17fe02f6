"""Decoders of images: published sizes, starts, what they can learn."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jidcl.encoders import make_cnn_decoder
from jidcl.losses import bernoulli_nll
from jidcl.metrics import jacobians


def test_the_decoder_has_the_published_size_and_starts_as_published():
    g = make_cnn_decoder(64, 1, 10)
    params, state = jax.jit(g.init)(jax.random.key(0))
    # Linear(10, 256); transposed convolutions 256, 64, 64, 32, 32, 1 of 4 x 4.
    pairs = ((256, 64), (64, 64), (64, 32), (32, 32), (32, 1))
    want = 11 * 256 + sum(16 * d * m + m for d, m in pairs)
    assert sum(leaf.size for leaf in jax.tree.leaves(params)) == want
    y = jax.eval_shape(g.apply, params, state, jnp.ones((2, 10)))[0]
    assert y.shape == (2, 64, 64, 1)
    np.testing.assert_array_equal(params["first"]["bias"], 0)
    for layer, (_, m) in zip(params["layers"].values(), pairs, strict=True):
        bound = (16 * m) ** -0.5
        for leaf in layer.values():
            assert float(jnp.abs(leaf).max()) <= bound
        assert float(jnp.std(layer["kernel"])) == pytest.approx(bound / 3**0.5, rel=0.1)


@pytest.mark.parametrize("size", [8, 16, 32])
def test_smaller_images_have_fewer_layers(size):
    g = make_cnn_decoder(size, 2, 3)
    params, state = jax.eval_shape(g.init, jax.random.key(0))
    assert len(params["layers"]) == size.bit_length() - 2
    y = jax.eval_shape(g.apply, params, state, jnp.ones((5, 3)))[0]
    assert y.shape == (5, size, size, 2)


def test_a_narrow_decoder_has_a_jacobian_by_reverse_derivatives():
    g = make_cnn_decoder(8, 1, 2, narrow=8)
    params, state = jax.jit(g.init)(jax.random.key(0))
    # Linear(2, 32); transposed convolutions 32, 8, 1 of 4 x 4.
    assert sum(leaf.size for leaf in jax.tree.leaves(params)) == 3 * 32 + 4104 + 129
    z = jnp.asarray([[0.3, -0.2], [0.9, 0.4]])

    def decode(z):
        return g.apply(params, state, z)[0]

    got = jax.jit(lambda z: jacobians(decode, z, forward=False))(z)
    want = jax.jit(jax.vmap(jax.jacrev(lambda z: decode(z[None]).ravel())))(z)
    np.testing.assert_allclose(got, want, atol=1e-5)


def test_it_learns_a_picture():
    g = make_cnn_decoder(8, 1, 2)
    params, state = jax.jit(g.init)(jax.random.key(0))
    z = jnp.asarray([[1.0, -1.0], [-1.0, 1.0]])
    x = jnp.zeros((2, 8, 8, 1)).at[0, 2:5, 1:3].set(1).at[1, 6:, 4:].set(1)

    def loss(params):
        y, _ = g.apply(params, state, z)
        return jnp.mean(bernoulli_nll(y.reshape(2, -1), x.reshape(2, -1)))

    @jax.jit
    def train(params):
        def step(params, _):
            value, slope = jax.value_and_grad(loss)(params)
            return jax.tree.map(lambda p, s: p - 0.02 * s, params, slope), value

        return jax.lax.scan(step, params, None, length=100)[1]

    values = train(params)
    assert values[-1] < 0.5 * values[0]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (dict(size=24), "size must be one of .*'64'.*, got '24'"),
        (dict(channels=0), "channels must be >= 1, got 0"),
        (dict(n=0), "n must be >= 1, got 0"),
    ],
)
def test_other_sizes_are_refused(change, message):
    with pytest.raises(ValueError, match=message):
        make_cnn_decoder(**{**dict(size=8, channels=1, n=2), **change})
