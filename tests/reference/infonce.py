"""InfoNCE in explicit loops: every entry of every denominator is written down."""

import math

import numpy as np


def similarity(a, b, kind="dot", p=2.0, power=True):
    """s(a, b) of two vectors."""
    a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
    if kind == "lp":
        total = float(np.sum(np.abs(a - b) ** p))
        return -total if power else -(total ** (1 / p))
    product = float(np.dot(a, b))
    if kind == "cosine":
        norms = math.sqrt(float(np.dot(a, a))) * math.sqrt(float(np.dot(b, b)))
        return product / norms if norms else 0.0
    return product


def pairwise(a, b, **sim):
    """s(a_i, b_k), `[rows, cols]`."""
    return np.array([[similarity(row, col, **sim) for col in b] for row in a])


def denominator(i, batch, cols, policy):
    """Pairs (pool, k) in the denominator of row i, as a list.

    The pools are "y", "y_pos" and "y_neg"; the pair ("positive", i) stands for the
    positive pair itself.
    """
    entries = []
    compared = "y" if policy["compare"] == "anchor" else "y_pos"
    pools = {
        "in_batch": [("y", batch)],
        "two_view": [("y", batch), ("y_pos", batch)],
        "independent": [("y_neg", cols)],
    }[policy["negatives"]]
    for pool, size in pools:
        for k in range(size):
            if policy["negatives"] == "two_view":
                itself = k == i and pool == compared
                partner = k == i and pool != compared
            else:
                itself = k == i and pool == "y"
                partner = False
            if itself and policy["exclude_self"]:
                continue
            if partner and not policy["include_positive"]:
                continue
            entries.append((pool, k))
    if policy["include_positive"] and policy["negatives"] != "two_view":
        entries.append(("positive", i))
    return entries


def _direction(y, y_pos, y_neg, tau, policy, sim):
    arrays = {"y": y, "y_pos": y_pos, "y_neg": y_neg}
    compared = y if policy["compare"] == "anchor" else y_pos
    cols = 0 if y_neg is None else len(y_neg)
    positive, negative = [], []
    for i in range(len(y)):
        own = similarity(y[i], y_pos[i], **sim) / tau
        logits = [
            own
            if pool == "positive"
            else similarity(compared[i], arrays[pool][k], **sim) / tau
            for pool, k in denominator(i, len(y), cols, policy)
        ]
        top = max(logits)
        total = sum(math.exp(logit - top) for logit in logits)
        log_sum = top + math.log(total)
        if policy["log_mean"]:
            log_sum -= math.log(len(logits))
        positive.append(-own)
        negative.append(log_sum)
    return np.array(positive), np.array(negative)


DEFAULTS = {
    "negatives": "in_batch",
    "include_positive": True,
    "exclude_self": False,
    "compare": "anchor",
    "log_mean": False,
    "alpha": 0.5,
    "symmetric": False,
}


def infonce(y, y_pos, y_neg=None, *, tau=1.0, policy=None, sim=None):
    """(loss of every row, mean P, mean N)."""
    policy, sim = {**DEFAULTS, **(policy or {})}, sim or {}
    positive, negative = _direction(y, y_pos, y_neg, tau, policy, sim)
    if policy["symmetric"]:
        other = _direction(y_pos, y, y_neg, tau, policy, sim)
        positive, negative = (positive + other[0]) / 2, (negative + other[1]) / 2
    alpha = policy["alpha"]
    rows = 2 * (alpha * positive + (1 - alpha) * negative)
    return rows, positive.mean(), negative.mean()
