"""Orthonormal columns by products of matrices, for arrays of the host."""

import numpy as np
from scipy.linalg import blas, lapack


def by_cholesky(y: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
    """Q with orthonormal columns that span y, and T with Q = y T.

    Two passes of Cholesky factors of y^T y: products of matrices, several times faster
    than reflections. The first pass squares the condition of y, so what it left is
    measured.

    Args:
        y: float64, `[samples, m]`, finite, of ordinary size.

    Returns:
        `(q, t)` to rounding; None where columns are nearly dependent (condition beyond
        some 1e5).

    Example:
        >>> q, t = by_cholesky(np.array([[2.0, 2.0], [0.0, 1.0]]))
        >>> (q.T @ q).round(12).tolist()
        [[1.0, 0.0], [0.0, 1.0]]
        >>> by_cholesky(np.ones((3, 2))) is None
        True

    Source: Fukaya et al. 2014 (CholeskyQR2).
    """
    q, t, far = y.T, np.eye(y.shape[1]), np.inf
    for _ in range(2):
        square = q @ q.T
        far = np.abs(square - np.eye(len(square))).max()
        lower, failed = lapack.dpotrf(square, lower=1)
        if failed:
            return None
        q, t = (blas.dtrsm(1.0, lower, x, lower=1) for x in (q, t))
    return (q.T, t.T) if far < 1e-6 else None
