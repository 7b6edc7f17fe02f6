"""Losses of embeddings of any size: what depends on directions alone has no scale."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jidcl.losses import (
    Similarity,
    accuracy,
    aninfonce,
    barlow,
    byol,
    infonce,
    instance_cross_entropy,
    moco,
    ntxent,
    pairwise,
    r2_loss,
    rowwise,
    simsiam,
    sinkhorn_codes,
    swav,
)
from jidcl.losses.logsumexp import row_logsumexp

BATCH, M = 12, 4


def drawn(rng):
    y = rng.normal(size=(BATCH, M))
    return [x.astype(np.float32) for x in (y, y + 0.5 * rng.normal(size=y.shape))]


# Losses that no scale of the embeddings changes.
LOSSES = {
    "ntxent": lambda y, y_pos: ntxent(y, y_pos)[0],
    "moco": lambda y, y_pos: moco(y, y_pos, y[::-1])[0],
    "simsiam": lambda y, y_pos: simsiam(y, y_pos, y, y_pos)[0],
    "byol": lambda y, y_pos: byol(y, y_pos, y, y_pos)[0],
    "swav": lambda y, y_pos: swav(y, y_pos, y[:5])[0],
    "barlow": lambda y, y_pos: barlow(y, y_pos, epsilon=0.0)[0],
    "aninfonce": lambda y, y_pos: aninfonce(y, y_pos, jnp.arange(1.0, 1 + M))[0],
    "cosine, streamed": lambda y, y_pos: infonce(
        y, y_pos, similarity=Similarity("cosine"), tau=0.5, tile=5
    )[0],
    "unit rows": lambda y, y_pos: instance_cross_entropy(
        y,
        y_pos[:6],
        np.arange(BATCH) % 6,
        normalize_features=True,
        normalize_rows=True,
    ),
    "r2_loss": r2_loss,
}


@pytest.mark.parametrize("name", LOSSES)
def test_directions_have_no_scale_in_value_or_gradient(rng, name):
    y, y_pos = drawn(rng)
    program = jax.jit(jax.value_and_grad(LOSSES[name]))
    value, slope = program(y, y_pos)
    for size in (1e20, 1e-20):
        size = np.float32(size)
        far, steep = program(size * y, size * y_pos)
        np.testing.assert_allclose(far, value, rtol=2e-5)
        np.testing.assert_allclose(steep * size, slope, rtol=1e-3, atol=2e-5)


def test_ntxent_of_large_embeddings_is_that_of_float64(rng):
    y, y_pos = drawn(rng)
    rows = np.concatenate([y, y_pos]).astype(np.float64)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    logits = rows @ rows.T / 0.2
    np.fill_diagonal(logits, -np.inf)
    partner = np.roll(np.arange(2 * BATCH), BATCH)
    own = logits[np.arange(2 * BATCH), partner]
    want = np.mean(np.log(np.exp(logits).sum(axis=1)) - own)
    got, _ = jax.jit(ntxent)(np.float32(1e20) * y, np.float32(1e20) * y_pos)
    assert float(got) == pytest.approx(want, rel=1e-5)
    assert abs(want - np.log(2 * BATCH - 1)) > 0.5  # not that of a constant encoder


def test_a_row_of_zeros_is_finite_with_a_finite_gradient(rng):
    y, y_pos = drawn(rng)
    y[3] = 0
    for name in ("ntxent", "simsiam", "swav", "aninfonce", "unit rows"):
        value, slope = jax.jit(jax.value_and_grad(LOSSES[name]))(y, y_pos)
        assert np.isfinite(value)
        assert np.isfinite(slope).all()


@pytest.mark.parametrize("p", [1.0, 2.0, 3.0, 2.5])
@pytest.mark.parametrize("size", [1e25, 1e-25])
def test_norms_of_differences_are_those_of_float64_at_any_size(rng, p, size):
    similarity = Similarity("lp", p, power=False)
    a, b = (np.float32(size) * x for x in drawn(rng))
    apart = a.astype(np.float64)[:, None] - b.astype(np.float64)[None]
    want = -(np.sum(np.abs(apart / size) ** p, axis=-1) ** (1 / p)) * size

    @jax.jit
    def all_of(a, b):
        streamed = row_logsumexp(similarity, a, b, tau=np.float32(size), tile=5)
        plain = row_logsumexp(similarity, a, b, tau=np.float32(size), tile=None)
        return rowwise(similarity, a, b), pairwise(similarity, a, b), streamed, plain

    rows, pairs, streamed, plain = all_of(a, b)
    np.testing.assert_allclose(pairs, want, rtol=1e-5)
    np.testing.assert_allclose(rows, np.diagonal(want), rtol=1e-5)
    lse = np.log(np.exp(want / size).sum(axis=1))
    np.testing.assert_allclose(streamed, lse, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(plain, lse, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("tile", [None, 16, "kernel"])
def test_logits_of_any_size_have_losses_and_gradients_in_a_program(rng, tile):
    # Logits of 1e9 and more, where the last digit is worth more than exp can hold.
    y = (1e4 * rng.normal(size=(40, 3))).astype(np.float32)
    wide = y.astype(np.float64)
    logits = wide @ wide.T / 0.1
    want = logits.max(axis=1)  # the others are 0 beside it, or ties to rounding

    def rows(y):
        return row_logsumexp(Similarity(), y, y, tau=0.1, tile=tile)

    value, slope = jax.jit(lambda y: (rows(y), jax.grad(lambda y: rows(y).sum())(y)))(y)
    np.testing.assert_allclose(value, want, rtol=1e-5)
    assert np.isfinite(slope).all()
    best = logits.argmax(axis=1)
    exact = wide[best] / 0.1
    np.add.at(exact, best, wide / 0.1)
    clear = np.diff(np.sort(logits, axis=1)[:, -2:])[:, 0] > 1e6
    touched = ~np.isin(np.arange(len(y)), np.append(best[~clear], np.where(~clear)))
    assert touched.sum() > 10
    np.testing.assert_allclose(np.asarray(slope)[touched], exact[touched], rtol=1e-4)


def test_the_loss_of_large_logits_is_finite(rng):
    y, y_pos = ((1e4 * x).astype(np.float32) for x in drawn(rng))
    values = [
        jax.jit(lambda y, y_pos, tile=tile: infonce(y, y_pos, tau=0.1, tile=tile)[0])(
            y, y_pos
        )
        for tile in (None, 4)
    ]
    wide, other = y.astype(np.float64), y_pos.astype(np.float64)
    pos = np.sum(wide * other, axis=1) / 0.1
    entries = np.concatenate([wide @ wide.T / 0.1, pos[:, None]], axis=1)
    want = np.mean(entries.max(axis=1) - pos)
    np.testing.assert_allclose(values, want, rtol=1e-4)


def test_codes_of_large_scores_are_probabilities():
    scores = np.float32(1e9) * np.eye(4, dtype=np.float32)
    codes = jax.jit(sinkhorn_codes)(scores)
    np.testing.assert_allclose(codes, np.eye(4), atol=1e-6)


def test_nan_is_not_hidden_by_a_root_a_power_or_a_choice():
    y = jnp.array([[jnp.nan, 1.0], [2.0, 3.0]])
    clean = jnp.zeros((2, 2))

    @jax.jit
    def all_of(y):
        found = [
            rowwise(Similarity("lp", p, power=power), y, clean)[0]
            for p in (1.0, 2.5, 3.0)
            for power in (False, True)
        ]
        logits = jnp.array([[0.0, 1.0], [1.0, 0.0]])
        good = accuracy(logits, jnp.array([1, 0]))
        return jnp.stack([*found, accuracy(y, jnp.array([0, 1]))]), good

    found, good = all_of(y)
    assert np.isnan(found).all()
    assert good == 1
