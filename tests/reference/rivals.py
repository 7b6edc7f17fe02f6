"""Objectives of self-supervised learning, from their equations, in float64."""

import numpy as np


def normalised(z):
    return z / np.linalg.norm(z, axis=1, keepdims=True)


def ntxent(z, z_pos, tau):
    """Loops over the 2B rows; the denominator leaves out the row itself."""
    rows = normalised(np.concatenate([z, z_pos]))
    count, total = len(rows), 0.0
    for i in range(count):
        weights = [np.exp(rows[i] @ rows[j] / tau) for j in range(count)]
        partner = (i + count // 2) % count
        total -= np.log(weights[partner] / (sum(weights) - weights[i]))
    return total / count


def moco(query, key, queue, tau):
    query, key, queue = map(normalised, (query, key, queue))
    total = 0.0
    for q, k in zip(query, key, strict=True):
        others = sum(np.exp(q @ r / tau) for r in queue)
        total -= np.log(np.exp(q @ k / tau) / (np.exp(q @ k / tau) + others))
    return total / len(query)


def mean_cosine(a, b):
    return np.mean(np.sum(normalised(a) * normalised(b), axis=1))


def sinkhorn(scores, epsilon, iterations):
    """The published order, on exponentials: clusters x samples."""
    q = np.exp(scores / epsilon).T
    clusters, batch = q.shape
    q = q / q.sum()
    for _ in range(iterations):
        q = q / q.sum(axis=1, keepdims=True) / clusters
        q = q / q.sum(axis=0, keepdims=True) / batch
    return (q * batch).T


def swav(z, z_pos, prototypes, tau, epsilon, iterations):
    scores = [normalised(v) @ normalised(prototypes).T for v in (z, z_pos)]
    codes = [sinkhorn(s, epsilon, iterations) for s in scores]
    logs = [s / tau - np.log(np.exp(s / tau).sum(1, keepdims=True)) for s in scores]
    both = (codes[0] * logs[1]).sum(1).mean() + (codes[1] * logs[0]).sum(1).mean()
    return -both / 2


def barlow(z, z_pos, lam, scale, epsilon):
    def standard(v):
        return (v - v.mean(0)) / np.sqrt(v.var(0) + epsilon)

    c = standard(z).T @ standard(z_pos) / len(z)
    total = 0.0
    for i in range(len(c)):
        for j in range(len(c)):
            total += (c[i, j] - 1) ** 2 if i == j else lam * c[i, j] ** 2
    return scale * total


def vicreg(z, z_pos, invariance, variance, covariance, epsilon):
    total = invariance * np.mean((z - z_pos) ** 2)
    for view in (z, z_pos):
        std = np.sqrt(view.var(0, ddof=1) + epsilon)
        total += variance * np.maximum(1 - std, 0).mean()
        cov = np.cov(view.T)
        total += covariance * ((cov**2).sum() - (np.diag(cov) ** 2).sum()) / len(cov)
    return total
