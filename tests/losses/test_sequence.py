"""The likelihood of sequences: values, masks, floors."""

import jax
import numpy as np
import pytest
from scipy.special import log_softmax

from jidcl.latents import grammar
from jidcl.losses.sequence import (
    excess_nats,
    first_b_law,
    next_token_nll,
    sequence_floor,
)

RNG = np.random.default_rng(0)
LOGITS = np.float32(RNG.normal(size=(3, 6, 5)))
TARGETS = np.int32(RNG.integers(0, 5, size=(3, 6)))
PLAIN = -np.take_along_axis(
    log_softmax(np.float64(LOGITS), axis=-1), TARGETS[..., None], axis=-1
)[..., 0]


@pytest.mark.parametrize("start", [0, 2])
@pytest.mark.parametrize("pad", [None, 4])
def test_the_likelihood_is_that_of_the_definition(start, pad):
    part = PLAIN[:, start:]
    counts = np.ones_like(part, bool) if pad is None else TARGETS[:, start:] != pad
    own = dict(start=start, pad=pad)
    got = next_token_nll(LOGITS, TARGETS, **own)
    np.testing.assert_allclose(got, part[counts].mean(), rtol=1e-5)
    got = next_token_nll(LOGITS, TARGETS, reduction="none", **own)
    np.testing.assert_allclose(got, np.where(counts, part, 0), rtol=1e-5, atol=1e-6)
    got = next_token_nll(LOGITS, TARGETS, reduction="sum", **own)
    np.testing.assert_allclose(got, np.where(counts, part, 0).sum(1), rtol=1e-5)


def test_a_traced_target_that_is_no_token_makes_the_loss_nan():
    run = jax.jit(next_token_nll)
    assert np.isnan(run(LOGITS, TARGETS + 1))
    assert np.isfinite(run(LOGITS, TARGETS))


@pytest.mark.parametrize("length", [8, 33])
def test_the_floor_is_the_loss_of_the_true_conditionals(length):
    tokens = np.asarray(grammar.sentences("aNbN", length))
    count = len(tokens)
    law = np.asarray(first_b_law(count), np.float64)
    probability = np.zeros((count, length + 1, 5))
    for i, row in enumerate(tokens):
        n = i + 1
        for t in range(length + 1):
            if 1 <= t <= n:  # after t times a
                probability[i, t, 1], probability[i, t, 0] = law[t - 1], 1 - law[t - 1]
            else:
                probability[i, t, row[t + 1]] = 1
    logits = np.log(np.maximum(probability, 1e-30))
    floor = sequence_floor(count, length + 1)
    with jax.enable_x64(True):
        loss = float(next_token_nll(logits, tokens[:, 1:]))
        excess = float(excess_nats(loss, count, length + 1))
    np.testing.assert_allclose(loss, floor.per_position, rtol=1e-6)
    assert abs(excess) < 1e-5
    best = probability.argmax(-1) == tokens[:, 1:]
    np.testing.assert_allclose(best.mean(), floor.accuracy, rtol=1e-12)
    assert floor.accuracy_without_b == pytest.approx(1 - 1 / (length + 1))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: next_token_nll(LOGITS[0, 0], TARGETS[0]), "logits must have shape"),
        (lambda: next_token_nll(LOGITS, TARGETS[:, :5]), "targets must have shape"),
        (lambda: next_token_nll(LOGITS, TARGETS + 1), r"targets must be in \[0, 5\)"),
        (lambda: next_token_nll(LOGITS, TARGETS, start=6), "start must be <= 5, got 6"),
        (lambda: next_token_nll(LOGITS, TARGETS, pad=5), "pad must be <= 4, got 5"),
        (
            lambda: next_token_nll(LOGITS, TARGETS, reduction="all"),
            "reduction must be one of",
        ),
        (lambda: next_token_nll(LOGITS[..., :0], TARGETS), "logits must have shape"),
        (lambda: sequence_floor(0, 3), "count must be >= 1, got 0"),
        (lambda: sequence_floor(3, 0), "positions must be >= 1, got 0"),
    ],
)
def test_bad_input_is_refused_by_name(call, message):
    with pytest.raises(ValueError, match=message):
        call()
