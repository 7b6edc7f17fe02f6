"""InfoE: how much of a binned factor a linear classifier reads from the codes.

On the host, in float64, by Newton's method.

Source: Hsu et al. 2023; weights as Joshi et al. 2026, published code.
"""

from typing import Any, NamedTuple

import numpy as np
from scipy.special import logsumexp

from jidcl.checks import check_above, check_count, check_finite, check_scalar
from jidcl.metrics.columns import both, standardised
from jidcl.metrics.information import binned


class Explicitness(NamedTuple):
    """InfoE, and what it was read from.

    Attributes:
        score: mean of `per_factor` over factors that vary.
        per_factor: clip((entropy - log_loss) / entropy, 0, 1), `[d]`.
        log_loss: of the fitted classifier, `[d]`, nats.
        entropy: of the binned factor, `[d]`, nats.
    """

    score: float
    per_factor: np.ndarray
    log_loss: np.ndarray
    entropy: np.ndarray


def info_e(
    z: Any,
    y: Any,
    *,
    bins: int = 20,
    strength: float = 1e4,
    balanced: bool = False,
) -> Explicitness:
    """InfoE: share of a factor's entropy that multinomial logistic regression explains.

    The read-out minimises |W|^2 / 2 + strength sum_t w_t log-loss_t on all rows, codes
    standardised, intercepts free.

    Args:
        z: factors, `[samples, d]`.
        y: codes, `[samples, m]`.
        bins: of each factor, of equal width.
        strength: weight of the log-loss, > 0 (scikit-learn's C): hardly a penalty by
            default, as published by Hsu et al.; 1 in the code of Joshi et al.
        balanced: weigh rows by samples / (classes n_class), as in that code. The
            predictions then aim at equal classes, so the loss is no bound of an
            entropy.

    Returns:
        `Explicitness`.

    Raises:
        ValueError: on wrong shapes or values that are not finite.
        TypeError: on a `balanced` that is no bool.

    Example:
        >>> z = np.random.default_rng(0).normal(size=(80, 1))
        >>> info_e(z, z, bins=4).score > 0.8
        True

    Source: Hsu et al. 2023.

    Notes:
        It is in sample: with few rows for each of bins (m + 1) weights it is high by
        chance. It is 1 where the bins of every factor are separated by planes in the
        codes, so it accepts linear mixtures. It wants some ten rows for each weight.
    """
    wide_z, wide_y = both(z, y, np)
    check_finite("z", z)
    check_finite("y", y)
    check_count("bins", bins, 2)
    check_above("strength", strength, 0)
    check_scalar("strength", strength)
    check_finite("strength", strength)
    strength = float(strength)
    if not isinstance(balanced, bool):
        raise TypeError(f"balanced must be a bool, got {balanced!r}")
    wide = np.column_stack([standardised(wide_y, np), np.ones(len(wide_y))])
    labels: Any = binned(wide_z, bins, np)
    losses, entropies = [], []
    for label in labels.T:
        _, label, counts = np.unique(label, return_inverse=True, return_counts=True)
        share = counts / len(label)
        entropies.append(float(-np.sum(share * np.log(share))))
        weights = 1 / (len(counts) * share[label]) if balanced else np.ones(len(label))
        losses.append(_fitted_loss(wide, label, len(counts), strength * weights))
    loss, entropy = np.asarray(losses), np.asarray(entropies)
    varies = entropy > 0
    gained = (entropy - loss) / np.where(varies, entropy, 1)
    per_factor = np.where(varies, np.clip(gained, 0, 1), 0)
    score = float(per_factor[varies].mean()) if varies.any() else 0.0
    return Explicitness(score, per_factor, loss, entropy)


def _fitted_loss(rows: np.ndarray, label: np.ndarray, classes: int, weights) -> float:
    """Mean log-loss of the classifier that minimises the weighted, penalised one."""
    if classes == 1:
        return 0.0
    samples, width = rows.shape
    hot = np.eye(classes)[label]
    ridge = np.ones((width, classes))
    ridge[-1] = 1e-9  # intercepts: one number on all changes nothing
    w = np.zeros((width, classes))

    def logs(w):
        logits = rows @ w
        return logits - logsumexp(logits, axis=1, keepdims=True)

    def objective(w):
        return np.sum(ridge * w**2) / 2 - np.sum(
            weights * logs(w)[range(samples), label]
        )

    value = objective(w)
    for _ in range(200):
        p = np.exp(logs(w))
        slope = rows.T @ (weights[:, None] * (p - hot)) + ridge * w
        # Columns of each class beside one another: block c holds d/dw_c.
        wide = (p[:, :, None] * rows[:, None]).reshape(samples, -1)
        hessian = -(wide.T @ (weights[:, None] * wide))
        for c in range(classes):
            own = slice(c * width, (c + 1) * width)
            hessian[own, own] += rows.T @ ((weights * p[:, c])[:, None] * rows)
        hessian[range(len(hessian)), range(len(hessian))] += ridge.T.ravel()
        rounding = 1e-13 * np.trace(hessian)
        hessian[range(len(hessian)), range(len(hessian))] += rounding
        step = np.linalg.solve(hessian, slope.T.ravel()).reshape(classes, width).T
        decrement = float(np.sum(step * slope))
        size = 1.0
        while (
            size > 1e-10 and objective(w - size * step) > value - 0.1 * size * decrement
        ):
            size /= 2
        w = w - size * step
        value = objective(w)
        if decrement < 1e-11 * max(abs(value), 1e-300) + 1e-15:
            break
    return float(-np.mean(logs(w)[range(samples), label]))
