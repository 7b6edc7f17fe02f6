"""The convolution of image encoders: XLA's own, with gradients written out."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from jidcl.encoders.conv import conv, conv_transpose
from jidcl.train.sharding import make_mesh, over_seeds

LAYOUT = ("NHWC", "HWIO", "NHWC")
SHAPES = [  # image, kernel, strides, pads
    ((3, 9, 9, 2), (3, 3, 2, 4), (1, 1), ((1, 1), (1, 1))),
    ((2, 8, 8, 3), (4, 4, 3, 5), (2, 2), ((1, 1), (1, 1))),
    ((2, 11, 8, 1), (7, 7, 1, 2), (2, 2), ((3, 3), (3, 3))),  # a row left over
    ((2, 7, 6, 3), (1, 1, 3, 2), (2, 3), ((0, 0), (0, 0))),
    ((2, 6, 5, 2), (4, 2, 2, 3), (3, 1), ((2, 0), (0, 3))),
    ((1, 4, 4, 2), (4, 4, 2, 3), (1, 1), ((0, 0), (0, 0))),
]


@pytest.fixture
def summed():
    """A nonlinear sum of outputs: its gradients are not constant."""
    return lambda y: jnp.sum(jnp.sin(y) * jnp.linspace(0, 1, y.size).reshape(y.shape))


@pytest.mark.parametrize(("shape", "kernel", "strides", "pads"), SHAPES)
def test_values_and_gradients_are_those_of_xla(
    shape, kernel, strides, pads, rng, x64, summed
):
    x, w = jnp.asarray(rng.normal(size=shape)), jnp.asarray(rng.normal(size=kernel))

    def plain(x, w):
        return lax.conv_general_dilated(x, w, strides, pads, dimension_numbers=LAYOUT)

    def own(x, w):
        return conv(x, w, strides, pads)

    np.testing.assert_allclose(own(x, w), plain(x, w), rtol=1e-12, atol=1e-12)
    ours, theirs = (
        jax.jit(jax.grad(lambda x, w, f=f: summed(f(x, w)), argnums=(0, 1)))(x, w)
        for f in (own, plain)
    )
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-9)


def test_second_derivatives_and_batches_of_kernels(rng, x64, summed):
    shape, kernel, strides, pads = SHAPES[1]
    x = jnp.asarray(rng.normal(size=shape))
    w = jnp.asarray(rng.normal(size=(2, *kernel)))

    def slope(f, w):
        grad = jax.grad(lambda w: summed(f(x, w, strides, pads)))
        return jax.grad(lambda w: jnp.sum(grad(w) ** 2))(w)

    def plain(x, w, strides, pads):
        return lax.conv_general_dilated(x, w, strides, pads, dimension_numbers=LAYOUT)

    ours, theirs = (
        jax.jit(jax.vmap(lambda w, f=f: slope(f, w)))(w) for f in (conv, plain)
    )
    np.testing.assert_allclose(ours, theirs, rtol=1e-8)


def test_forward_mode_is_refused():
    shape, kernel, strides, pads = SHAPES[0]
    x, w = jnp.ones(shape), jnp.ones(kernel)
    with pytest.raises(TypeError, match="forward-mode"):
        jax.jvp(lambda x: conv(x, w, strides, pads), (x,), (x,))


def test_what_it_cannot_do_is_refused():
    shape, kernel, strides, pads = SHAPES[0]
    for own in (dict(rhs_dilation=(2, 2)), dict(feature_group_count=2)):
        with pytest.raises(ValueError, match=f"{next(iter(own))} must be left out"):
            conv(jnp.ones(shape), jnp.ones(kernel), strides, pads, **own)


@pytest.mark.parametrize(("shape", "kernel", "strides", "pads"), SHAPES)
def test_seeds_on_two_devices_get_what_they_get_alone(
    shape, kernel, strides, pads, rng, summed
):
    x = jnp.asarray(rng.normal(size=(4, *shape)), jnp.float32)
    w = jnp.asarray(rng.normal(size=(4, *kernel)), jnp.float32)

    def both(x, w):
        return jax.value_and_grad(
            lambda x, w: summed(conv(x, w, strides, pads)), argnums=(0, 1)
        )(x, w)

    shard = over_seeds(make_mesh(seed=2))
    apart = jax.jit(jax.vmap(both), in_shardings=shard, out_shardings=shard)(x, w)
    alone = jax.lax.map(lambda pair: both(*pair), (x, w))
    for a, b in zip(jax.tree.leaves(apart), jax.tree.leaves(alone), strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=1e-5 * np.abs(b).max())


@pytest.mark.parametrize(
    ("small", "kernel", "size", "stride", "pad"),
    [
        ((2, 3, 3, 5), (4, 4, 2, 5), (6, 6), 2, 1),
        ((2, 1, 1, 5), (4, 4, 3, 5), (4, 4), 1, 0),  # a product
        ((3, 2, 2, 4), (3, 3, 1, 4), (4, 4), 1, 0),
    ],
)
def test_the_transpose_is_that_of_the_convolution(
    small, kernel, size, stride, pad, rng, x64, summed
):
    y, w = jnp.asarray(rng.normal(size=small)), jnp.asarray(rng.normal(size=kernel))
    image = jax.ShapeDtypeStruct((small[0], *size, kernel[2]), y.dtype)

    def plain(y, w):
        def forward(x):
            pads = ((pad, pad), (pad, pad))
            own = dict(dimension_numbers=LAYOUT)
            return lax.conv_general_dilated(x, w, (stride, stride), pads, **own)

        return jax.linear_transpose(forward, image)(y)[0]

    def own(y, w):
        return conv_transpose(y, w, size, stride, pad)

    assert own(y, w).shape == image.shape
    np.testing.assert_allclose(own(y, w), plain(y, w), rtol=1e-12, atol=1e-12)
    ours, theirs = (
        jax.jit(jax.grad(lambda y, w, f=f: summed(f(y, w)), argnums=(0, 1)))(y, w)
        for f in (own, plain)
    )
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-9)
    many = jnp.stack([w, 2 * w])  # of two seeds
    both = jax.vmap(own, in_axes=(None, 0))(y, many)
    np.testing.assert_allclose(both[1], 2 * both[0], rtol=1e-12, atol=1e-12)


def test_the_transpose_on_devices_of_their_own_seeds(rng, summed):
    for small, kernel, size, stride, pad in (
        ((2, 2, 3, 3, 5), (2, 4, 4, 2, 5), (6, 6), 2, 1),
        ((2, 2, 1, 1, 5), (2, 4, 4, 3, 5), (4, 4), 1, 0),
    ):
        y, w = (
            jnp.asarray(rng.normal(size=shape), jnp.float32)
            for shape in (small, kernel)
        )

        def both(y, w, size=size, stride=stride, pad=pad):
            return jax.value_and_grad(
                lambda y, w: summed(conv_transpose(y, w, size, stride, pad)),
                argnums=(0, 1),
            )(y, w)

        shard = over_seeds(make_mesh(seed=2))
        apart = jax.jit(jax.vmap(both), in_shardings=shard, out_shardings=shard)(y, w)
        alone = jax.lax.map(lambda pair, both=both: both(*pair), (y, w))
        for a, b in zip(jax.tree.leaves(apart), jax.tree.leaves(alone), strict=True):
            np.testing.assert_allclose(a, b, rtol=0, atol=1e-5 * np.abs(b).max())
