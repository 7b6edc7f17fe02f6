"""Orthonormal columns by products of matrices, for arrays of the host."""

import numpy as np
from scipy.linalg import get_blas_funcs, get_lapack_funcs

(_TRSM,) = get_blas_funcs(("trsm",), dtype=np.float64)
_POTRF, _POTRS, _POCON = get_lapack_funcs(("potrf", "potrs", "pocon"), dtype=np.float64)


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
        lower, failed = _POTRF(square, lower=1)
        if failed:
            return None
        q, t = (_TRSM(1.0, lower, x, lower=1) for x in (q, t))
    return (q.T, t.T) if far < 1e-6 else None


def factor(square: np.ndarray, least: float) -> np.ndarray | None:
    """The Cholesky factor L of a matrix, L L^T; None where it is nearly singular.

    Args:
        square: float64, `[m, m]`, symmetric, finite.
        least: reciprocal of the largest condition number, of the 1-norm.

    Returns:
        `[m, m]`, of which the lower triangle counts.

    Example:
        >>> factor(np.diag([4.0, 9.0]), 1e-3).tolist()
        [[2.0, 0.0], [0.0, 3.0]]
        >>> factor(np.diag([4.0, 1e-9]), 1e-3) is None
        True
    """
    lower, failed = _POTRF(square, lower=1)
    size = np.abs(square).sum(axis=0).max()
    return None if failed or _POCON(lower, size, uplo="L")[0] < least else lower


def solve(lower: np.ndarray, right: np.ndarray) -> np.ndarray:
    """(L L^T)^-1 times a matrix.

    Args:
        lower: of `factor`.
        right: float64, `[m, columns]`.

    Returns:
        `[m, columns]`.

    Example:
        >>> solve(np.array([[2.0]]), np.array([[8.0]])).tolist()
        [[2.0]]
    """
    return _POTRS(lower, right, lower=1)[0]
