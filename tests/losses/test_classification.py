"""Softmax over classifier rows: against SciPy, streamed, spread over devices."""

import re
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import AxisType
from jax.sharding import PartitionSpec as P
from scipy import special

from budget import one_program
from jidcl.losses import accuracy, class_logits, instance_cross_entropy

OPTIONS = dict(normalize_features=True, normalize_rows=True, smoothing=0.3)


@pytest.fixture
def arrays(rng):
    """Features, rows, bias and labels: 6 samples, 16 classes."""
    return (
        rng.normal(size=(6, 3)),
        rng.normal(size=(16, 3)),
        rng.normal(size=16),
        np.array([0, 15, 3, 3, 8, 1]),
    )


def test_equals_scipy(x64, arrays):
    f, w, b, labels = arrays
    logits = (
        2
        * (f / np.linalg.norm(f, axis=1)[:, None])
        @ (w / np.linalg.norm(w, axis=1)[:, None]).T
        + b
    )
    target = 0.3 / 16 + 0.7 * np.eye(16)[labels]
    want = -(target * special.log_softmax(logits, axis=1)).sum(axis=1)
    got = one_program(instance_cross_entropy)(
        f, w, labels, beta=2.0, bias=b, reduction="none", **OPTIONS
    )
    np.testing.assert_allclose(got, want, rtol=1e-12)
    own = one_program(class_logits)(f, w, beta=2.0, bias=b, normalize_features=True)
    np.testing.assert_allclose(
        own, 2 * (f / np.linalg.norm(f, axis=1)[:, None]) @ w.T + b, rtol=1e-12
    )
    assert accuracy(jnp.asarray(logits), labels) == np.mean(logits.argmax(1) == labels)


def value_and_gradients(loss, arrays, labels, beta=1.5):
    """Of (features, rows, bias, beta), as one jitted program."""

    def whole(f, w, b, beta):
        return loss(f, w, labels, bias=b, beta=beta)

    return jax.jit(jax.value_and_grad(whole, argnums=(0, 1, 2, 3)))(
        *arrays, jnp.asarray(beta)
    )


def close(got, want, **tolerance):
    for a, b in zip(jax.tree.leaves(got), jax.tree.leaves(want), strict=True):
        np.testing.assert_allclose(a, b, **tolerance)


def test_streamed_rows_give_the_same_value_and_gradients(x64, arrays):
    *parts, labels = arrays
    loss = partial(instance_cross_entropy, **OPTIONS)
    want = value_and_gradients(partial(loss, tile=None), parts, labels)
    got = value_and_gradients(partial(loss, tile=(4, 3)), parts, labels)
    close(got, want, rtol=1e-10, atol=1e-13)


def test_streamed_rows_never_store_all_logits():
    shapes = [jax.ShapeDtypeStruct(s, jnp.float32) for s in ((512, 5), (4096, 5))]
    labels = jax.ShapeDtypeStruct((512,), jnp.int32)

    def bytes_of(tile):
        run = jax.grad(partial(instance_cross_entropy, tile=tile), argnums=(0, 1))
        compiled = jax.jit(run).lower(*shapes, labels).compile()
        return compiled.memory_analysis().temp_size_in_bytes

    logits = 4 * 512 * 4096
    assert bytes_of(None) >= logits
    assert bytes_of((128, 256)) < logits / 8


def spread(devices, **options):
    """The loss with rows (and bias) spread over devices, as a function of the whole."""
    mesh = jax.make_mesh(
        (devices,), ("model",), (AxisType.Auto,), devices=jax.devices()[:devices]
    )

    def loss(f, w, labels, *, bias, beta):
        def local(f, w, labels, bias, beta):
            return instance_cross_entropy(
                f, w, labels, bias=bias, beta=beta, axis="model", **options
            )

        rows = P("model")
        return jax.shard_map(
            local, mesh=mesh, in_specs=(P(), rows, P(), rows, P()), out_specs=P()
        )(f, w, labels, bias, beta)

    return loss


@pytest.mark.parametrize("tile", [None, (4, 2)])
def test_rows_spread_over_devices_give_the_same_value_and_gradients(arrays, tile):
    *parts, labels = arrays
    parts = [jnp.asarray(part, jnp.float32) for part in parts]
    plain = partial(instance_cross_entropy, tile=None, **OPTIONS)
    want = value_and_gradients(plain, parts, jnp.asarray(labels))
    loss = spread(8, tile=tile, **OPTIONS)
    close(
        value_and_gradients(loss, parts, jnp.asarray(labels)),
        want,
        rtol=2e-5,
        atol=1e-6,
    )


def test_memory_of_a_device_falls_with_their_number():
    arrays = [
        jax.ShapeDtypeStruct(s, jnp.float32) for s in ((256, 5), (8192, 5), (8192,))
    ]
    labels = jax.ShapeDtypeStruct((256,), jnp.int32)

    def memory(devices):
        loss = spread(devices, tile=None)

        def run(f, w, b, labels):
            return loss(f, w, labels, bias=b, beta=jnp.asarray(1.0))

        mesh = jax.make_mesh(
            (devices,), ("model",), (AxisType.Auto,), devices=jax.devices()[:devices]
        )
        rows, whole = (jax.NamedSharding(mesh, spec) for spec in (P("model"), P()))
        program = jax.jit(
            jax.grad(run, argnums=(0, 1, 2)), in_shardings=(whole, rows, rows, whole)
        )
        return program.lower(*arrays, labels).compile().memory_analysis()

    one, eight = memory(1), memory(8)
    assert eight.temp_size_in_bytes < 0.2 * one.temp_size_in_bytes
    assert eight.argument_size_in_bytes < 0.3 * one.argument_size_in_bytes


def test_large_logits_stay_finite():
    f = jnp.asarray([[1e4], [-1e4]])
    w = jnp.asarray([[1.0], [-1.0]])
    run = jax.jit(jax.value_and_grad(instance_cross_entropy))
    value, grad = run(f, w, jnp.asarray([1, 1]))
    assert float(value) == 1e4
    np.testing.assert_allclose(grad, [[1.0], [0.0]])  # (softmax - onehot) w / 2


@pytest.mark.parametrize(
    ("labels", "error", "message"),
    [
        ([0, 4], ValueError, "labels must be in [0, 4) for 4 rows of w, got 0 to 4"),
        ([-1, 0], ValueError, "got -1 to 0"),
        ([0], ValueError, "labels must have shape [2], got [1]"),
        ([0.0, 1.0], TypeError, "labels must be integers, got float"),
    ],
)
def test_labels_that_number_no_row_are_refused(labels, error, message):
    with pytest.raises(error, match=re.escape(message)):
        instance_cross_entropy(jnp.ones((2, 3)), jnp.ones((4, 3)), np.array(labels))


def test_a_traced_label_out_of_range_is_nan_and_shapes_are_checked():
    f, w = jnp.ones((2, 3)), jnp.ones((4, 3))
    loss = jax.jit(partial(instance_cross_entropy, reduction="none"))
    values = loss(f, w, jnp.asarray([1, 4]))
    assert np.isfinite(values[0])
    assert np.isnan(values[1])
    with pytest.raises(ValueError, match="w must have shape"):
        instance_cross_entropy(f, w[:, :2], jnp.asarray([0, 1]))
    with pytest.raises(ValueError, match="bias must have shape"):
        instance_cross_entropy(f, w, jnp.asarray([0, 1]), bias=jnp.ones(3))
    with pytest.raises(ValueError, match="smoothing must be in"):
        instance_cross_entropy(f, w, jnp.asarray([0, 1]), smoothing=1.5)
