"""The linear variational autoencoder in closed form, with NumPy, in float64."""

import math
from typing import Any, NamedTuple

import numpy as np

from jidcl.checks import (
    check_above,
    check_count,
    check_features,
    check_finite,
    check_rows,
    check_shape,
    check_single,
)


class LinearVAE(NamedTuple):
    """The linear model f(z) = W z + b with a standard normal prior, at one x.

    Attributes:
        mean: of the posterior, and of the best diagonal Gaussian, `[k]`.
        variance: of the best diagonal Gaussian, `[k]`.
        log_px: log p(x).
        gap: log p(x) - ELBO*(x), the same for every x.
        elbo: ELBO*(x).
        residual: f(mean) - x, `[D]`.

    Example:
        >>> linear_vae(np.eye(2), np.zeros(2), np.ones(2), 1.0).variance
        array([0.5, 0.5])

    Source: Lucas et al. 2019; Reizinger et al. 2022, appendix.
    """

    mean: np.ndarray
    variance: np.ndarray
    log_px: float
    gap: float
    elbo: float
    residual: np.ndarray


class PPCA(NamedTuple):
    """The linear model of greatest likelihood, and of greatest ELBO*.

    Attributes:
        w: columns along the principal axes, `[D, k]`; 0 where an eigenvalue is below
            the noise.
        variance: of the decoder's noise.
        log_likelihood: mean over the data.

    Example:
        >>> ppca(np.diag([4.0, 1.0, 1.0]), 1).variance
        1.0

    Source: Tipping and Bishop 1999.
    """

    w: np.ndarray
    variance: float
    log_likelihood: float


def linear_vae(w: Any, b: Any, x: Any, gamma2: float) -> LinearVAE:
    """Posterior, likelihood and ELBO* of the linear model, in closed form.

    With Lambda = 1 + gamma2 W^T W: mean gamma2 Lambda^-1 W^T (x - b), variances
    1 / Lambda_jj, and the gap of `linear_gap`.

    Args:
        w: W, `[D, k]`.
        b: `[D]`.
        x: `[D]`.
        gamma2: inverse variance of the decoder, > 0.

    Returns:
        `LinearVAE`, float64.

    Raises:
        ValueError: on shapes that do not fit, or numbers that are not finite.

    Example:
        >>> round(linear_vae(np.eye(1), np.zeros(1), np.ones(1), 1.0).log_px, 4)
        -1.5155

    Source: Lucas et al. 2019; Reizinger et al. 2022, appendix.
    """
    check_precision(gamma2)
    check_finite("gamma2", gamma2)
    w = _matrix("w", w)
    for name, value in (("b", b), ("x", x)):
        check_features(name, value)
        check_shape(name, value, w.shape[:1])
        check_finite(name, value)
    seen = np.asarray(x, np.float64) - np.asarray(b, np.float64)
    # Least squares of both terms: also where W^T W is singular.
    k, root = w.shape[1], math.sqrt(gamma2)
    terms = np.concatenate([root * w, np.eye(k)])
    mean = np.linalg.lstsq(terms, np.append(root * seen, np.zeros(k)))[0]
    residual = w @ mean - seen
    # The exponent at its maximum over z: no term cancels another.
    exponent = gamma2 * residual @ residual + mean @ mean
    dim = len(seen)
    log_det = _log_det(w, gamma2) - dim * math.log(gamma2)
    log_px = -(dim * math.log(2 * math.pi) + log_det + exponent) / 2
    gap = linear_gap(w, gamma2)
    own = 1 / (1 + gamma2 * np.sum(w**2, axis=0))
    return LinearVAE(mean, own, float(log_px), gap, float(log_px) - gap, residual)


def linear_gap(w: Any, gamma2: float) -> float:
    """log p(x) - ELBO*(x) of the linear model.

    1/2 (sum_j log Lambda_jj - log det Lambda) with Lambda = 1 + gamma2 W^T W.

    It is 0 where the columns of W are orthogonal, and tends to their IMA contrast.

    Args:
        w: W, `[D, k]`.
        gamma2: inverse variance of the decoder, > 0.

    Returns:
        A number >= 0, nats.

    Raises:
        ValueError: on another shape, or numbers that are not finite.

    Example:
        >>> linear_gap(np.eye(2), 10.0)
        0.0

    Source: Reizinger et al. 2022, appendix (the linear case of theorem 1).
    """
    check_precision(gamma2)
    check_finite("gamma2", gamma2)
    w = _matrix("w", w)
    each = np.log1p(gamma2 * np.sum(w**2, axis=0))
    apart = np.sum(each) - _log_det(w, gamma2)
    return max(float(apart) / 2, 0.0)


def ppca(s: Any, k: int, *, gamma2: float | None = None) -> PPCA:
    """The linear model of greatest likelihood on data of mean 0 and covariance S.

    W = U diag(l_i - v)^(1/2) of the k largest eigenvalues l_i, with v the mean of the
    others, or 1 / gamma2. Rotated latents have the same likelihood; of all of them
    these columns, which are orthogonal, have the greatest ELBO*, equal to it.

    Args:
        s: S, `[D, D]`, symmetric.
        k: latents, from 1 to D, or to D - 1 without gamma2.
        gamma2: inverse variance of the decoder where it is fixed, > 0.

    Returns:
        `PPCA`, float64.

    Raises:
        ValueError: on another shape or a k out of range.

    Example:
        >>> ppca(np.diag([4.0, 1.0]), 2, gamma2=0.5).w.round(3)
        array([[1.414, 0.   ],
               [0.   , 0.   ]])

    Source: Tipping and Bishop 1999; Lucas et al. 2019 (the ELBO).
    """
    s = _matrix("s", s)
    dim = len(s)
    if s.shape != (dim, dim) or not np.allclose(s, s.T, rtol=1e-4):
        raise ValueError(f"s must be square and symmetric, got shape {list(s.shape)}")
    check_count("k", k)
    most = dim if gamma2 is not None else dim - 1
    if k > most:
        raise ValueError(f"k must be <= {most} for this s and gamma2, got {k}")
    values, axes = np.linalg.eigh((s + s.T) / 2)
    values, axes = values[::-1], axes[:, ::-1]
    if gamma2 is None:
        variance = float(values[k:].mean())
        if not variance > 0:
            raise ValueError("s must have noise beside its k largest eigenvalues")
    else:
        check_precision(gamma2)
        variance = 1 / gamma2
    beyond = np.maximum(values[:k] - variance, 0)
    axes = axes[:, :k] * np.where(axes[:, :k].sum(axis=0) < 0, -1, 1)
    model = np.full(dim, variance)
    model[:k] += beyond
    terms = math.log(2 * math.pi) + np.log(model) + values / model
    return PPCA(axes * np.sqrt(beyond), variance, float(-terms.sum() / 2))


def _log_det(w: np.ndarray, gamma2: float) -> float:
    """log det(1 + gamma2 W^T W)."""
    roots = np.linalg.svd(w, compute_uv=False)
    return float(np.sum(np.log1p(gamma2 * roots**2)))


def _matrix(name: str, value: Any) -> np.ndarray:
    check_rows(name, value)
    check_finite(name, value)
    return np.asarray(value, np.float64)


def check_precision(gamma2: Any) -> None:
    """Raise unless gamma2 is one number > 0."""
    check_single("gamma2", gamma2)
    check_above("gamma2", gamma2, 0)
