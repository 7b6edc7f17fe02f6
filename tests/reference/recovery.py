"""Recovery scores in float64 NumPy and SciPy."""

import numpy as np
from scipy import optimize, stats


def correlations(z, y, spearman=False):
    """Signed correlations `[n, m]`, one SciPy call for each pair of columns."""
    correlate = stats.spearmanr if spearman else stats.pearsonr
    return np.array([[correlate(a, b)[0] for b in y.T] for a in z.T])


def mcc(z, y, spearman=False):
    """(mean |correlation|, assigned columns) of the best assignment."""
    matrix = correlations(z, y, spearman)
    rows, columns = optimize.linear_sum_assignment(-np.abs(matrix))
    return np.abs(matrix)[rows, columns].mean(), columns


def haar(rng, n):
    """A Haar-distributed orthogonal matrix: QR with the signs of R's diagonal."""
    q, r = np.linalg.qr(rng.normal(size=(n, n)))
    return q * np.sign(np.diag(r))


def rotation_null(rng, z, draws):
    """MCC of z under random rotations, `[draws]`."""
    scores = []
    for _ in range(draws):
        y = z @ haar(rng, z.shape[1])
        matrix = np.corrcoef(z.T, y.T)[: z.shape[1], z.shape[1] :]
        rows, columns = optimize.linear_sum_assignment(-np.abs(matrix))
        scores.append(np.abs(matrix)[rows, columns].mean())
    return np.array(scores)
