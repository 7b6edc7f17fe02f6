import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jidcl.losses import ema_schedule, ema_update, init_queue, push


def test_schedule_starts_ends_and_rises_as_a_cosine(x64):
    steps = jnp.asarray([0, 25, 50, 75, 100, 130])
    got = ema_schedule(steps, start=0.9, end=1.0, steps=100)
    share = np.minimum(np.asarray(steps), 100) / 100
    want = 1.0 - 0.1 * (1 + np.cos(np.pi * share)) / 2
    np.testing.assert_allclose(got, want, rtol=1e-12)
    np.testing.assert_allclose(got[jnp.asarray([0, 2, -1])], [0.9, 0.95, 1.0])


def test_average_of_many_steps_is_the_geometric_sum():
    values = [1.0, -2.0, 5.0]
    average = {"w": jnp.zeros(2)}
    for value in values:
        average = ema_update(average, {"w": jnp.full(2, value)}, 0.75)
    want = sum(0.25 * 0.75 ** (2 - i) * v for i, v in enumerate(values))
    np.testing.assert_allclose(average["w"], want, rtol=1e-6)
    slope = jax.grad(lambda w: ema_update({"w": w}, {"w": w}, 0.5)["w"])(1.0)
    assert slope == 0.5  # through the old average alone


def test_queue_is_first_in_first_out():
    queue = jnp.zeros((6, 1))
    for step in range(1, 5):
        queue = push(queue, jnp.full((2, 1), float(step)))
    assert queue[:, 0].tolist() == [4, 4, 3, 3, 2, 2]
    start = init_queue(jax.random.key(0), 5, 3)
    np.testing.assert_allclose(jnp.linalg.norm(start, axis=1), 1, rtol=1e-6)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: push(jnp.ones((5, 2)), jnp.ones((2, 2))), "multiple of the batch 2"),
        (lambda: push(jnp.ones((4, 2)), jnp.ones((2, 3))), "rows must have shape"),
        (
            lambda: ema_schedule(jnp.ones(()), start=1.2, end=1.0, steps=3),
            "start must be in",
        ),
        (lambda: init_queue(jax.random.key(0), 0, 2), "rows must be >= 1"),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
