"""Every loss form and the sharded step lower for TPU and CUDA without the hardware."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import PartitionSpec as P

from jidcl.losses import Similarity, infonce
from jidcl.systems.contrastive_ica import problem as system
from jidcl.systems.contrastive_ica.presets import presets
from jidcl.train import loop
from jidcl.train.sharding import make_mesh
from jidcl.train.step import make_chunk

PLATFORMS = ("tpu", "cuda")
ROWS = jax.ShapeDtypeStruct((512, 10), jnp.float32)
SIMILARITIES = {
    "dot": Similarity(),
    "cosine": Similarity("cosine"),
    "p1": Similarity("lp", 1.0),
    "p1.5": Similarity("lp", 1.5),
    "p2": Similarity("lp", 2.0),
    "p3root": Similarity("lp", 3.0, power=False),
}


def lowered(function, *args):
    exported = jax.export.export(function, platforms=PLATFORMS)(*args)
    assert exported.platforms == PLATFORMS
    return exported


@pytest.mark.share(3)
@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16])
@pytest.mark.parametrize("tile", [None, "auto", (64, 128)])
@pytest.mark.parametrize("name", SIMILARITIES)
def test_losses_with_gradients(name, tile, dtype):
    def loss(y, y_pos, tau):
        s = SIMILARITIES[name]
        return infonce(y, y_pos, similarity=s, tau=tau, tile=tile)[0]

    rows = jax.ShapeDtypeStruct(ROWS.shape, dtype)
    tau = jax.ShapeDtypeStruct((), jnp.float32)
    exported = lowered(
        jax.jit(jax.value_and_grad(loss, argnums=(0, 1, 2))), rows, rows, tau
    )
    assert [out.shape for out in exported.out_avals] == [(), ROWS.shape, ROWS.shape, ()]


@pytest.mark.parametrize("form", ["ring", "gathered"])
def test_spread_losses(form):
    spread = jax.shard_map(
        lambda y: infonce(y, -y, axis="data", form=form)[0],
        mesh=make_mesh(data=8),
        in_specs=P("data"),
        out_specs=P(),
    )
    exported = lowered(jax.jit(jax.value_and_grad(spread)), ROWS)
    assert exported.nr_devices == 8


@pytest.mark.share(3)
@pytest.mark.parametrize("row", ["t1r3", "t2r6", "t2r2"])
def test_the_sharded_step_of_published_rows(row):
    config = dataclasses.replace(
        presets()[f"full/{row}"], batch=512, widths=(4, 4), mixing_draws=2
    )
    mesh = make_mesh(seed=2, data=4)
    program = system.make_program(config)
    state = loop.start(program, np.arange(2), mesh=mesh)
    chunk = make_chunk(program, steps=3, mesh=mesh)
    exported = lowered(chunk, state)
    assert exported.nr_devices == 8
