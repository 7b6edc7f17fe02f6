"""Cluster vectors, labels and conditionals on the sphere."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from budget import one_program
from jidcl import latents
from jidcl.latents import (
    Laplace,
    Normal,
    TruncatedLaplace,
    VonMisesFisher,
    class_of_index,
    index_counts,
    sample_cluster_vectors,
    sample_conditional,
    sample_instances,
)
from reference import vmf

affine_generator = one_program(latents.affine_generator)
diverse = one_program(latents.diverse)


def norms(z):
    return np.linalg.norm(z, axis=-1)


def test_classes_of_instances_and_their_exact_counts():
    assert class_of_index(jnp.arange(7), 3).tolist() == [0, 1, 2, 0, 1, 2, 0]
    for instances, clusters in ((10_240, 100), (7, 3), (3, 3)):
        labels = np.arange(instances) % clusters
        want = np.bincount(labels, minlength=clusters)
        np.testing.assert_array_equal(index_counts(instances, clusters), want)


def test_fewer_instances_than_clusters_are_refused():
    message = "instances must be >= clusters = 5, got 3: 2 clusters would be empty"
    with pytest.raises(ValueError, match=re.escape(message)):
        index_counts(3, 5)
    with pytest.raises(ValueError, match=re.escape(message)):
        sample_instances(
            jax.random.key(0), jnp.eye(5), VonMisesFisher(1.0), instances=3, batch=2
        )


def test_cluster_vectors_are_uniform_or_lean_to_the_first_axis():
    uniform = sample_cluster_vectors(jax.random.key(0), 4000, 3)
    np.testing.assert_allclose(norms(uniform), 1, rtol=1e-5)
    # On S^2 each coordinate is uniform on [-1, 1]; one false alarm in 10,000 seeds.
    law = stats.uniform(-1, 2)
    assert all(stats.kstest(column, law.cdf).pvalue > 3e-5 for column in uniform.T)
    rng = np.random.default_rng(0)
    for density, noise in ((Laplace(1.0), rng.laplace), (Normal(1.0), rng.normal)):
        v = sample_cluster_vectors(jax.random.key(1), 4000, 3, density)
        want = np.eye(3)[0] + noise(size=(4000, 3))
        want = want / norms(want)[:, None]
        for i in range(3):
            assert stats.ks_2samp(v[:, i], want[:, i]).pvalue > 2e-5


def test_instances_are_uniform_and_latents_surround_their_cluster():
    v = sample_cluster_vectors(jax.random.key(0), 3, 4)
    drawn = jax.jit(
        lambda key: sample_instances(
            key, v, VonMisesFisher(8.0), instances=7, batch=6000
        )
    )(jax.random.key(1))
    np.testing.assert_array_equal(drawn.label, drawn.index % 3)
    counts = np.bincount(drawn.index, minlength=7)
    assert stats.chisquare(counts).pvalue > 1e-4
    cosine = np.sum(np.asarray(drawn.z) * np.asarray(v)[drawn.label], axis=1)
    error = cosine.std() / np.sqrt(6000)
    assert abs(cosine.mean() - vmf.mean_cosine(4, 8.0)) < 4 * error


@pytest.mark.parametrize("project", [True, False])
def test_truncated_laplace_has_its_law(project):
    v = jnp.tile(jnp.asarray([[0.6, -0.8]]), (5000, 1))
    conditional = TruncatedLaplace(0.7, 1.5, project)
    z = np.asarray(sample_conditional(jax.random.key(0), v, conditional))
    if project:
        np.testing.assert_allclose(norms(z), 1, rtol=1e-5)
        return
    assert np.abs(z).max() <= 1.5
    for i, centre in enumerate((0.6, -0.8)):
        law = stats.laplace(centre, 0.7)
        low, high = law.cdf(-1.5), law.cdf(1.5)

        def cdf(x, law=law, low=low, high=high):
            return (law.cdf(x) - low) / (high - low)

        assert stats.kstest(z[:, i], cdf).pvalue > 5e-5


def test_ranks_that_the_theorem_asks_for():
    e = jnp.eye(3)
    assert not affine_generator(e).full  # three points span a plane at most
    assert affine_generator(jnp.concatenate([e, -e])).full
    # On the coordinate axes the squares take each value twice: rank 3 + 3.
    axes = jnp.concatenate([e, -e])
    assert diverse(axes).full
    # Equal squares: the rows [v * v, v] of the cube's corners have rank 1 + 3.
    signs = [[i, j, k] for i in (-1, 1) for j in (-1, 1) for k in (-1, 1)]
    corners = jnp.asarray(signs, jnp.float32) / jnp.sqrt(3.0)
    assert affine_generator(corners).full
    assert int(diverse(corners).rank) == 4
    # A circle around an axis: its points differ in two directions.
    angle = jnp.linspace(0, 5, 9)
    circle = jnp.stack([jnp.cos(angle), jnp.sin(angle), jnp.ones(9)], axis=1)
    assert int(affine_generator(circle / jnp.sqrt(2.0)).rank) == 2


def test_bad_limits_are_refused():
    with pytest.raises(ValueError, match="limit must be > 0, got 0"):
        TruncatedLaplace(1.0, 0.0)
