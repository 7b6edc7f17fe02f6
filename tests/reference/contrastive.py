"""Monte Carlo of the contrastive loss of the true encoder, in float64."""

import numpy as np
from scipy import special, stats


def finite_loss(rng, positive, negative, count, *, exact, self_score=None, rows=20_000):
    """E[-s_pos + log(e^s_pos + sum of negatives)], and its standard error.

    `positive(rng, rows) -> (scores, anchors)` and
    `negative(rng, anchors, count) -> scores [rows, count]`, each per tau. `exact`
    is E[s_pos]: it replaces the sample mean, which dominates the variance.
    """
    scores, anchors = positive(rng, rows)
    logits = [scores[:, None], negative(rng, anchors, count)]
    if self_score is not None:
        logits.append(np.full((rows, 1), self_score))
    log_sum = special.logsumexp(np.concatenate(logits, axis=1), axis=1)
    return log_sum.mean() - exact, log_sum.std(ddof=1) / np.sqrt(rows)


def sphere3_scores(kappa, model_kappa):
    """Scores on S^2, where a uniform point's cosine is uniform on [-1, 1]."""

    def positive(rng, rows):
        below = -np.log1p(rng.random(rows) * np.expm1(-2 * kappa)) / kappa
        return model_kappa * (1 - below), np.zeros(rows)

    def negative(rng, anchors, count):
        return model_kappa * rng.uniform(-1, 1, (len(anchors), count))

    return positive, negative


def laplace_box_scores(lam):
    """Scores -|d| / lam on [0, 1] with the matched truncated Laplace conditional."""

    def positive(rng, rows):
        z = rng.random(rows)
        law = stats.laplace(scale=lam)
        low, high = law.cdf(-z), law.cdf(1 - z)
        offset = law.ppf(low + (high - low) * rng.random(rows))
        return -np.abs(offset) / lam, z

    def negative(rng, z, count):
        return -np.abs(rng.random((len(z), count)) - z[:, None]) / lam

    return positive, negative
