"""Losses of rows spread over devices: the value and the gradients of one device."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import PartitionSpec as P

from jidcl import losses
from jidcl.train.sharding import make_mesh

BATCH, M = 16, 3
SPREAD, WHOLE = P("data"), P()
VIEWS = P(None, "data")
PAIR = ((BATCH, M), SPREAD), ((BATCH, M), SPREAD)
BOTH = (((2, BATCH, M), VIEWS),)
DIRECTIONS, CENTRES = ((M, 5), WHOLE), ((4, M), WHOLE)
# The loss, and of each of its arrays the shape and where its rows are. What these are
# made of (`sigreg`, `kernel_entropy`, `whitening`, `view_alignment`) is theirs too.
ROWS = {
    "align_maxent": (losses.align_maxent, PAIR),
    "barlow": (losses.barlow, PAIR),
    "byol": (losses.byol, PAIR * 2),
    "gauss_infonce": (losses.gauss_infonce, PAIR),
    "lejepa": (functools.partial(losses.lejepa, lam=0.3), (*BOTH, DIRECTIONS)),
    "lejepa_per_view": (
        functools.partial(losses.lejepa, lam=0.3, form="per_view", global_views=1),
        (*BOTH, DIRECTIONS),
    ),
    "moco": (losses.moco, (*PAIR, ((6, M), WHOLE))),
    "ntxent": (losses.ntxent, PAIR),
    "simsiam": (losses.simsiam, PAIR * 2),
    "swav": (losses.swav, (*PAIR, CENTRES)),
    "vicreg": (losses.vicreg, PAIR),
    "whitened_alignment": (losses.whitened_alignment, BOTH),
}


def all_results(arrays, wrap):
    """Of each loss its value, metrics and gradients, as one program.

    No two losses share an array: the gradient of their sum is the gradient of each.
    """

    def total(arrays):
        found = {
            name: wrap(loss, [where for _, where in kinds])(*arrays[name])
            for name, (loss, kinds) in ROWS.items()
        }
        values = [v[0] if isinstance(v, tuple) else v for v in found.values()]
        return sum(values), found

    (_, found), grads = jax.jit(jax.value_and_grad(total, has_aux=True))(arrays)
    return {name: (found[name], grads[name]) for name in ROWS}


@functools.cache
def whole():
    """Arrays of each loss, and its results on one device."""
    rng = np.random.default_rng(0)
    arrays = {
        name: [rng.normal(size=shape).astype(np.float32) for shape, _ in kinds]
        for name, (_, kinds) in ROWS.items()
    }
    return arrays, all_results(arrays, lambda loss, where: loss)


# Inside `shard_map`, types may say what varies over devices; both ways are used. Four
# devices are those of `tests/objectives`.
@pytest.mark.share(2)
@pytest.mark.parametrize(("devices", "typed"), [(2, True), (8, False)])
def test_spread_rows_give_the_whole_values_and_gradients(devices, typed):
    arrays, want = whole()

    def wrap(loss, where):
        return jax.shard_map(
            functools.partial(loss, axis="data"),
            mesh=make_mesh(data=devices),
            in_specs=tuple(where),
            out_specs=WHOLE,
            check_vma=typed,
        )

    got = all_results(arrays, wrap)
    for name in ROWS:
        _, grads = want[name]
        assert any(np.any(np.abs(g) > 1e-4) for g in grads), name
        both = jax.tree.leaves(got[name]), jax.tree.leaves(want[name])
        for a, b in zip(*both, strict=True):
            np.testing.assert_allclose(a, b, rtol=2e-5, atol=2e-6, err_msg=name)


@pytest.mark.parametrize("name", ["standardised", "sinkhorn_codes"])
def test_rows_are_scaled_by_the_whole_batch(name, rng):
    y = rng.normal(size=(BATCH, M)).astype(np.float32)
    scaled = getattr(losses, name)
    want = jax.jit(scaled)(y)
    for devices in (2, 8):
        spread = jax.shard_map(
            functools.partial(scaled, axis="data"),
            mesh=make_mesh(data=devices),
            in_specs=SPREAD,
            out_specs=SPREAD,
        )
        np.testing.assert_allclose(jax.jit(spread)(y), want, rtol=2e-5, atol=2e-6)


def test_moments_of_a_device_are_another_loss():
    """The mean of the devices' own losses, which no objective may be."""
    rng = np.random.default_rng(0)
    z, z_pos = (jnp.asarray(rng.normal(size=(BATCH, M)), jnp.float32) for _ in "ab")

    @jax.jit
    def both(z, z_pos):
        halves = [losses.barlow(*pair)[0] for pair in zip(z, z_pos, strict=True)]
        return losses.barlow(*(x.reshape(BATCH, M) for x in (z, z_pos)))[0], halves

    whole, halves = both(*(x.reshape(2, -1, M) for x in (z, z_pos)))
    assert abs(float(whole) - np.mean(halves)) > 0.1


def test_one_row_a_device_is_enough_of_two():
    z = np.eye(2, dtype=np.float32)
    spread = jax.shard_map(
        functools.partial(losses.barlow, axis="data"),
        mesh=make_mesh(data=2),
        in_specs=SPREAD,
        out_specs=WHOLE,
    )
    np.testing.assert_allclose(
        jax.jit(spread)(z, z)[0], jax.jit(losses.barlow)(z, z)[0], rtol=1e-6
    )
    with pytest.raises(ValueError, match="batch >= 2"):
        losses.barlow(z[:1], z[:1])
