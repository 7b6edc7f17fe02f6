"""Encoders of images: published sizes, statistics over devices, precision."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import signal

from jidcl.encoders import make_cnn, make_resnet


def shapes(f, *image):
    """(parameters, shape of y) without computing anything."""
    params, state = jax.eval_shape(f.init, jax.random.key(0))
    x = jax.ShapeDtypeStruct((2, *image), jnp.float32)
    y, _ = jax.eval_shape(f.apply, params, state, x)
    return sum(leaf.size for leaf in jax.tree.leaves(params)), y.shape


@pytest.mark.parametrize(
    ("depth", "settings", "size", "count"),
    [
        (18, dict(m=1000), 224, 11_689_512),  # as torchvision's resnet18
        (50, dict(m=1000), 224, 25_557_032),  # and resnet50
        (18, dict(m=10, stem="small"), 32, 11_173_962),  # as for CIFAR-10
        (18, dict(m=10, hidden=100), 64, 11_176_512 + 513 * 100 + 101 * 10),
    ],
)
def test_residual_networks_have_the_published_sizes(depth, settings, size, count):
    f = make_resnet(depth, **settings)
    assert shapes(f, size, size, 3) == (count, (2, settings["m"]))


def test_the_small_network_has_the_published_size():
    assert shapes(make_cnn(64, 1, 10), 64, 64, 1) == (380_362, (2, 10))
    # A smaller image, fewer layers: without the first, at twice the input's channels.
    assert shapes(make_cnn(32, 3, 4), 32, 32, 3)[1] == (2, 4)
    # Half the widths: 3, 16, 32, 32, 128 and the last map.
    pairs = ((3, 16), (16, 32), (32, 32), (32, 128))
    want = sum(16 * d * m + m for d, m in pairs) + 129 * 4
    assert shapes(make_cnn(32, 3, 4, narrow=2), 32, 32, 3) == (want, (2, 4))


@pytest.mark.share(3)
@pytest.mark.parametrize("name", ["cnn", "resnet", "hidden"])
def test_without_a_last_layer_the_features_before_it_come_out(name, rng):
    make, width = {
        "cnn": (lambda m: make_cnn(8, 2, m), 256),
        "resnet": (lambda m: make_resnet(18, m, channels=2, width=2), 16),
        "hidden": (lambda m: make_resnet(18, m, channels=2, width=2, hidden=5), 5),
    }[name]
    f, bare = make(3), make(None)
    params, state = jax.jit(f.init)(jax.random.key(0))
    x = jnp.asarray(rng.normal(size=(4, 8, 8, 2)), jnp.float32)
    held = dict(params)
    if name == "cnn":
        last = held.pop("last")
    else:
        *others, end = sorted(held["layers"])
        last = held["layers"][end]
        held["layers"] = {k: held["layers"][k] for k in others}
    features = jax.jit(bare.apply)(held, state, x)[0]
    assert features.shape == (4, width)
    want = features @ last["kernel"] + last["bias"][None]
    np.testing.assert_allclose(
        jax.jit(f.apply)(params, state, x)[0], want, rtol=1e-4, atol=1e-5
    )
    made, _ = jax.eval_shape(bare.init, jax.random.key(0))
    empty = jax.tree.map(jnp.shape, held), jax.tree.map(jnp.shape, made)
    assert jax.tree.leaves(empty[0]) == jax.tree.leaves(empty[1])


def test_convolutions_are_those_of_scipy(rng):
    f = make_cnn(8, 2, 3)
    params, state = jax.jit(f.init)(jax.random.key(0))
    x = rng.normal(size=(2, 8, 8, 2))
    y, _ = jax.jit(f.apply)(params, state, jnp.asarray(x, jnp.float32))
    held = jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), params)

    def conv(x, layer, stride, pad):
        x = np.pad(x, ((0, 0), (pad, pad), (pad, pad), (0, 0)))
        kernel, maps = layer["kernel"], []
        for out in range(kernel.shape[-1]):
            parts = [
                [
                    signal.correlate2d(image[..., c], kernel[..., c, out], "valid")
                    for c in range(kernel.shape[2])
                ]
                for image in x
            ]
            maps.append(np.sum(parts, axis=1) + layer["bias"][out])
        return np.maximum(np.stack(maps, -1)[:, ::stride, ::stride], 0)

    want = conv(x, held["layers"]["0"], 2, 1)
    want = conv(want, held["layers"]["1"], 1, 0).reshape(2, -1)
    want = want @ held["last"]["kernel"] + held["last"]["bias"]
    np.testing.assert_allclose(y, want, rtol=1e-4, atol=1e-5)


def test_statistics_are_of_the_whole_batch_and_bfloat16_is_near(rng):
    f = make_resnet(18, 3, stem="small", width=2)
    params, state = jax.jit(f.init)(jax.random.key(0))
    x = jnp.asarray(rng.normal(size=(16, 8, 8, 3)), jnp.float32)
    mesh = jax.make_mesh((8,), ("data",), axis_types=(jax.sharding.AxisType.Auto,))
    rows = jax.sharding.NamedSharding(mesh, jax.P("data"))
    train = jax.jit(lambda x: f.apply(params, state, x, train=True))
    (y, moved), (spread, also) = train(x), train(jax.device_put(x, rows))
    np.testing.assert_allclose(spread, y, rtol=1e-3, atol=1e-4)
    for a, b in zip(jax.tree.leaves(moved), jax.tree.leaves(also), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)
    assert not np.allclose(moved["norm"]["mean"], state["norm"]["mean"])
    narrow = make_resnet(18, 3, stem="small", width=2, dtype=jnp.bfloat16)
    rough = jax.jit(lambda x: narrow.apply(params, state, x, train=True)[0])(x)
    assert rough.dtype == jnp.float32
    error = np.linalg.norm(rough - y) / np.linalg.norm(y)
    assert 1e-4 < error < 0.1


def test_bad_settings_are_named():
    with pytest.raises(ValueError, match="depth must be one of"):
        make_resnet(34, 3)
    with pytest.raises(ValueError, match="did you mean 'full'"):
        make_resnet(18, 3, stem="ful")
    with pytest.raises(ValueError, match="size must be one of"):
        make_cnn(24, 3, 3)
