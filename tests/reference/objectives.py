"""Alignment, uniformity and the R2 loss, from their equations."""

import math

import numpy as np


def alignment(y, y_pos, p):
    """sum_d |y_d - y_pos_d|^p of every row."""
    return np.array(
        [
            sum(abs(a - b) ** p for a, b in zip(row, other, strict=True))
            for row, other in zip(y, y_pos, strict=True)
        ]
    )


def uniformity(y, y_neg, p):
    """log mean_i exp(-sum_d |y_neg_d - y_i,d|^p) of every row of y_neg."""
    return np.array(
        [
            math.log(np.mean([math.exp(-np.sum(np.abs(row - a) ** p)) for a in y]))
            for row in y_neg
        ]
    )


def r2_loss(y, z):
    """1 - mean((z - y)^2) / population variance of z, for every dimension."""
    scores = []
    for j in range(z.shape[1]):
        mean = sum(z[:, j]) / len(z)
        variance = sum((value - mean) ** 2 for value in z[:, j]) / len(z)
        error = sum((a - b) ** 2 for a, b in zip(z[:, j], y[:, j], strict=True))
        scores.append(1 - error / len(z) / variance)
    return np.array(scores)
