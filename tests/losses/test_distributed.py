"""Ring and gathered forms on eight devices: equal to the plain one, at known cost."""

import functools
import re
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import AxisType
from jax.sharding import PartitionSpec as P

from jidcl.losses import NegativePolicy, Similarity, infonce

SIMILARITIES = [Similarity(), Similarity("cosine"), Similarity("lp", 1.0)]
SIMILARITIES += [Similarity("lp", 2.0), Similarity("lp", 3.0, power=False)]
POLICIES = [
    NegativePolicy(),
    NegativePolicy(exclude_self=True, symmetric=True, log_mean=True),
    NegativePolicy("two_view", include_positive=False, exclude_self=True),
    NegativePolicy(compare="positive", exclude_self=True, alpha=0.3),
    NegativePolicy("independent", log_mean=True),
]


def mesh_of(devices):
    return jax.make_mesh(
        (devices,), ("data",), (AxisType.Auto,), devices=jax.devices()[:devices]
    )


def program(devices, **options):
    """(loss, gradients) of sharded rows, as one jitted function of whole arrays."""

    def local(y, y_pos, y_neg, tau):
        negatives = y_neg if options["policy"].negatives == "independent" else None
        return infonce(y, y_pos, negatives, tau=tau, axis="data", **options)[0]

    spread = jax.shard_map(
        local,
        mesh=mesh_of(devices),
        in_specs=(P("data"), P("data"), P("data"), P()),
        out_specs=P(),
    )
    return jax.jit(jax.value_and_grad(spread, argnums=(0, 1, 2, 3)))


@functools.cache
def whole(which):
    """Arrays, and the plain loss of them with its gradients."""
    rng, policy = np.random.default_rng(0), POLICIES[which]
    drawn = (rng.normal(size=(rows, 3)).astype(np.float32) for rows in (24, 24, 16))
    arrays = *drawn, np.float32(0.6)

    def plain(y, y_pos, y_neg, tau):
        negatives = y_neg if policy.negatives == "independent" else None
        options = dict(similarity=SIMILARITIES[which], policy=policy, tile=None)
        return infonce(y, y_pos, negatives, tau=tau, **options)[0]

    return arrays, jax.jit(jax.value_and_grad(plain, argnums=(0, 1, 2, 3)))(*arrays)


# One and two devices are edges of the ring, whatever the similarity.
EDGES = [
    pytest.param(which, devices, marks=[pytest.mark.long] * (which > 0 and devices < 8))
    for which in range(5)
    for devices in (1, 2, 8)
]


@pytest.mark.share(3)
@pytest.mark.parametrize("form", ["ring", "gathered"])
@pytest.mark.parametrize(("which", "devices"), EDGES)
def test_spread_rows_give_the_whole_loss_and_gradient(form, devices, which):
    arrays, want = whole(which)
    options = dict(similarity=SIMILARITIES[which], policy=POLICIES[which])
    got = program(devices, form=form, tile=(2, 3), **options)(*arrays)
    for a, b in zip(jax.tree.leaves(got), jax.tree.leaves(want), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=2e-6)


@functools.cache
def compiled(devices, form, batch=4096, m=10):
    rows = jax.ShapeDtypeStruct((batch, m), jnp.float32)
    options = dict(similarity=Similarity("lp", 1.0), policy=NegativePolicy())
    run = program(devices, form=form, tile=(64, 64), **options)
    tau = jax.ShapeDtypeStruct((), jnp.float32)
    return run.lower(rows, rows, rows, tau).compile()


def collectives(text):
    names = "collective-permute|all-gather|all-reduce|reduce-scatter|all-to-all"
    return {
        name: len(re.findall(rf" {name}(?:-start)?\(", text))
        for name in names.split("|")
    }


def test_the_ring_sends_blocks_and_gathers_nothing():
    text = compiled(8, "ring").as_text()
    counts = collectives(text)
    # The block's first hop (one for both ways); forwards and backwards the hop of the
    # loop; its gradient's hop in the loop, and the last one home.
    assert counts["collective-permute"] == 5
    assert counts["all-gather"] == counts["reduce-scatter"] == counts["all-to-all"] == 0
    sent = re.findall(r"= (\S+?)\{\S* collective-permute(?:-start)?\(", text)
    assert all("f32[512,10]" in shape for shape in sent), sent
    # What is reduced over devices are scalars.
    reduced = re.findall(r"= (\S+) all-reduce\(", text)
    assert all("f32[]" in shape for shape in reduced), reduced


def test_the_gathered_form_gathers_once_and_sends_nothing():
    counts = collectives(compiled(8, "gathered").as_text())
    assert counts["collective-permute"] == 0
    assert counts["all-gather"] >= 1


def test_memory_of_a_device_falls_with_their_number():
    ring = {p: compiled(p, "ring").memory_analysis() for p in (2, 8)}
    used = {p: memory.temp_size_in_bytes for p, memory in ring.items()}
    gathered = compiled(8, "gathered").memory_analysis().temp_size_in_bytes
    arrays = 4 * 10 * 4096
    assert ring[8].argument_size_in_bytes < 0.3 * ring[2].argument_size_in_bytes
    tile = 12 * 4 * 64 * 64
    assert used[8] - tile < 0.3 * (used[2] - tile) + tile
    assert gathered > used[8] + arrays


@pytest.mark.parametrize("form", ["star", 3])
def test_unknown_forms_are_refused(form):
    with pytest.raises((ValueError, TypeError), match="form"):
        program(2, form=form, similarity=Similarity(), policy=NegativePolicy())(
            *(jnp.ones((4, 2)) for _ in range(3)), jnp.asarray(1.0)
        )


def test_more_features_than_are_unrolled(rng):
    y = jnp.asarray(rng.normal(size=(8, 20)), jnp.float32)
    for p in (1.5, 2.0):
        s = Similarity("lp", p)
        spread = jax.shard_map(
            lambda y, s=s: infonce(y, -y, similarity=s, axis="data")[0],
            mesh=mesh_of(4),
            in_specs=P("data"),
            out_specs=P(),
        )
        np.testing.assert_allclose(
            jax.jit(spread)(y),
            jax.jit(lambda y, s=s: infonce(y, -y, similarity=s)[0])(y),
            rtol=1e-5,
        )


def test_one_row_a_device_without_its_own_entry_has_a_hessian(rng):
    y = jnp.asarray(rng.normal(size=(4, 2)), jnp.float32)
    policy = NegativePolicy(exclude_self=True, include_positive=False)

    def local(y):
        return infonce(y, 0.5 * y, policy=policy, axis="data", tile=1)[0]

    spread = jax.shard_map(local, mesh=mesh_of(4), in_specs=P("data"), out_specs=P())
    plain = jax.jit(jax.hessian(lambda y: infonce(y, 0.5 * y, policy=policy)[0]))(y)
    np.testing.assert_allclose(jax.jit(jax.hessian(spread))(y), plain, atol=1e-5)
    alone = jax.shard_map(local, mesh=mesh_of(1), in_specs=P("data"), out_specs=P())
    with pytest.raises(ValueError, match="batch >= 2"):
        alone(y[:1])


def test_a_mesh_that_does_not_divide_the_batch_is_refused():
    run = program(8, similarity=Similarity(), policy=NegativePolicy())
    y = jnp.ones((12, 2))
    with pytest.raises(ValueError, match="divisible"):
        run(y, y, y, jnp.asarray(1.0))


def test_vmap_over_seeds_outside_the_ring(rng):
    y = jnp.asarray(rng.normal(size=(3, 16, 2)), jnp.float32)
    local = partial(infonce, axis="data", tile=(4, 4))
    spread = jax.shard_map(
        lambda y: local(y, -y)[0], mesh=mesh_of(4), in_specs=P("data"), out_specs=P()
    )
    got = jax.jit(jax.vmap(spread))(y)
    plain = jax.jit(lambda v: infonce(v, -v)[0])
    np.testing.assert_allclose(got, [plain(v) for v in y], rtol=1e-5)
