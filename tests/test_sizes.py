"""Sizes that a caller gives are checked against memory before they are taken."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jidcl import checks, latents, losses, metrics, theory
from jidcl.losses.logsumexp import row_logsumexp
from jidcl.pairs import sample_pair
from jidcl.theory.asymptotics import true_encoder_curve

MANY = 10**13
KEY = jax.random.key(0)
VMF = latents.VonMisesFisher(1.0)
SPHERE = latents.Sphere(3)


def large():
    """Rows that take no memory: one row, seen many times."""
    return np.broadcast_to(np.zeros((1, 2), np.float32), (10**7, 2))


CALLS = {
    "points": lambda: metrics.plane_grid(MANY),
    "draws": lambda: metrics.rotation_null(KEY, jnp.eye(3), draws=MANY),
    "resamples": lambda: metrics.bootstrap_interval(
        KEY, lambda z, y: z.mean(), jnp.eye(3), jnp.eye(3), resamples=MANY
    ),
    "number of rows": lambda: metrics.fit_kernel_ridge(large(), large()),
    "samples": lambda: theory.bayes_floor(KEY, jnp.eye(3), 1.0, samples=MANY),
    "counts": lambda: true_encoder_curve(
        KEY,
        SPHERE,
        VMF,
        similarity=losses.Similarity(),
        tau=1.0,
        mean_positive=0.0,
        counts=[MANY],
    ),
    "points of best_scale": lambda: theory.best_scale(lambda s: s, points=MANY),
    "shape": lambda: latents.sample_marginal(
        KEY, latents.Uniform(), SPHERE, shape=(MANY, 2)
    ),
    "shape of a sphere": lambda: SPHERE.uniform(KEY, (MANY,)),
    "shape of a box": lambda: latents.Box(2).uniform(KEY, (MANY,)),
    "shape of a ball": lambda: latents.Ball(2).uniform(KEY, (MANY,)),
    "shape of a simplex": lambda: latents.Simplex(2).uniform(KEY, (MANY,)),
    "shape of a process": lambda: latents.sample_ou_pair(
        KEY, latents.Normal(1.0), rho=0.5, shape=(MANY, 2)
    ),
    "clusters": lambda: latents.sample_cluster_vectors(KEY, MANY, 3),
    "clusters of instances": lambda: latents.index_counts(MANY, MANY),
    "batch of instances": lambda: latents.sample_instances(
        KEY, jnp.eye(3), VMF, instances=3, batch=MANY
    ),
    "batch": lambda: sample_pair(KEY, SPHERE, latents.Uniform(), VMF, batch=MANY),
    "batch of a graph": lambda: latents.sample_causal(KEY, batch=MANY),
    "batch of blocks": lambda: latents.sample_block_pair(
        KEY, latents.init_blocks(KEY, 2, 2), batch=MANY
    ),
    "n_c": lambda: latents.init_blocks(KEY, MANY, 2),
    "n_s": lambda: latents.init_blocks(KEY, 2, MANY),
    "rows": lambda: losses.init_queue(KEY, MANY, 3),
    "count": lambda: losses.draw_directions(KEY, 3, MANY),
    "knots": lambda: losses.sigreg(jnp.eye(3), jnp.eye(3), knots=MANY),
    "rows of one matrix": lambda: row_logsumexp(
        losses.Similarity(), large(), large(), tile=None
    ),
}


@pytest.mark.parametrize("name", CALLS)
def test_a_size_that_does_not_fit_in_memory_is_refused(name):
    pattern = rf"^{name.split(' of a ')[0].split(' of b')[0].split(' of i')[0]}"
    with pytest.raises(ValueError, match=f"{pattern}.* must be smaller to fit in mem"):
        CALLS[name]()


def test_free_memory_is_asked_for_where_an_array_is_large(monkeypatch):
    monkeypatch.setattr(checks, "free_memory", lambda: 2**30)
    checks.check_memory("rows", 10, 2**27)  # half of it
    message = "^rows must be smaller to fit in memory .1.0 GiB are free., got 9, "
    with pytest.raises(ValueError, match=message + "which takes 2.0 GiB$"):
        checks.check_memory("rows", 9, 2**29)
    with pytest.raises(ValueError, match="which takes 2.0 GiB$"):
        checks.check_memory("rows", 9, 2**28, width=8)

    def unasked():
        raise AssertionError("a small array asks for nothing")

    monkeypatch.setattr(checks, "free_memory", unasked)
    checks.check_memory("rows", 9, 1000)


def test_free_memory_is_less_than_all():
    assert 2**20 < checks.free_memory() < 2**50
