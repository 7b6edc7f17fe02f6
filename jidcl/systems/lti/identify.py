"""A user's own series: an estimate, what is open of it, and what to do next.

Only pairs (y_t, y_(t+1)) of two rows that were seen count, all of them, so environments
may have any length and rows may be missing.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import scipy.stats

from jidcl.numerics import numbers_in
from jidcl.systems.lti import estimators
from jidcl.systems.lti.estimators import Moments
from jidcl.theory import (
    Diversity,
    design_interventions,
    diversity,
    diversity_margin,
    expected_mcc_loss,
    free_directions,
    pair_information,
)

ENOUGH = 0.01  # 1 - MCC that still counts as identified: an MCC of 0.99
_RANK = 1e-6  # share of the innovations' variance below which there is no input
_SAME = 1e-12  # the same of outputs that follow from each other
_LEVEL = 1e-3  # of the test that two estimated profiles are proportional
_PER_PARAMETER = 10  # pairs of an environment


class Identified(NamedTuple):
    """What a multi-environment series says of a linear system.

    Attributes:
        g: G = C A C^-1, `[outputs, outputs]`: determined in any case.
        m: M = C B, `[outputs, inputs]`; its columns up to order and scale where
            variances are unknown, up to sign where they are known.
        variance: of the controls in each environment, `[environments, inputs]`; known,
            or estimated in units in which their mean over environments is 1.
        known: whether variances were given.
        log_likelihood: mean over pairs, nats.
        radius: spectral radius of G.
        pairs: of each environment.
        told: both conditions on the variances.
        margin: see `jidcl.theory.diversity_margin`.
        mcc: expected MCC of the controls, in closed form.
        open_pairs: inputs that may be turned into each other.
        basis: directions in which M may move, `[open pairs, outputs, inputs]`.
        next_variance: of the environment that should come next, `[inputs]`.
        next_margin: the margin with it.
        memory: largest |correlation| of what G leaves of a step with that of the step
            before: 0 but for chance where all states are seen without noise.
        by_chance: what it may be then.
    """

    g: np.ndarray
    m: np.ndarray
    variance: np.ndarray
    known: bool
    log_likelihood: float
    radius: float
    pairs: tuple[int, ...]
    told: Diversity
    margin: float
    mcc: float
    open_pairs: tuple[tuple[int, int], ...]
    basis: np.ndarray
    next_variance: np.ndarray
    next_margin: float
    memory: float
    by_chance: float

    @property
    def identified(self) -> bool:
        """Whether the environments suffice."""
        return not self.open_pairs and self.mcc >= 1 - ENOUGH


def checked_series(outputs: Sequence[Any]) -> list[np.ndarray]:
    """Series of all environments as float64 arrays `[time, outputs]`.

    Args:
        outputs: one array an environment; NaN where nothing was seen.

    Returns:
        The arrays.

    Raises:
        ValueError: naming the environment and what is wrong with it.
    """
    if not len(outputs):
        raise ValueError("outputs must hold at least one environment, got none")
    held, width = [], None
    for index, series in enumerate(outputs):
        name = f"outputs of environment {index}"
        array = np.asarray(series)
        if array.dtype.kind not in "fiub":
            raise ValueError(f"{name} must hold numbers, got {array.dtype}")
        array = array.astype(np.float64)
        if array.ndim == 1:
            array = array[:, None]
        if array.ndim != 2 or array.shape[0] < 3 or not array.shape[1]:
            raise ValueError(
                f"{name} must have shape [time >= 3, outputs], got {list(array.shape)}"
            )
        width = array.shape[1] if width is None else width
        if array.shape[1] != width:
            raise ValueError(
                f"{name} must have {width} outputs, as environment 0 has, got "
                f"{array.shape[1]}"
            )
        if np.isinf(array).any():
            raise ValueError(f"{name} must be finite, or NaN where nothing was seen")
        for column in range(width):
            seen = array[~np.isnan(array[:, column]), column]
            if seen.size < 3:
                raise ValueError(
                    f"{name} must be seen, output {column} is NaN all over"
                )
            if np.ptp(seen) == 0:
                raise ValueError(
                    f"{name} must vary, output {column} is {seen[0]:g} all over: a "
                    "constant input, or a sensor that is off"
                )
        held.append(array)
    return held


def check_sampling(times: Sequence[Any]) -> None:
    """Refuse series whose samples are not equally far apart, in all environments.

    Args:
        times: of the samples, one array an environment.

    Raises:
        ValueError: naming the environment and its longest and shortest step.
    """
    first = None
    for index, time in enumerate(times):
        steps = np.diff(np.asarray(time, np.float64))
        if not len(steps) or not steps.min() > 0:
            raise ValueError(f"times of environment {index} must rise")
        first = float(np.median(steps)) if first is None else first
        if np.abs(steps - first).max() > 1e-3 * first:
            raise ValueError(
                f"times of environment {index} must be {first:g} apart throughout, got "
                f"steps of {steps.min():g} to {steps.max():g}: resample, or give a "
                "missing sample as a row of NaN"
            )


def pair_moments_of(series: Sequence[np.ndarray]) -> tuple[Moments, list[int]]:
    """Centred moments of all pairs that were seen, and how many each environment has.

    Args:
        series: of `checked_series`.

    Returns:
        `(moments, pairs)`.

    Raises:
        ValueError: where an environment has too few of them.
    """
    means, covariances, counts = [], [], []
    for index, y in enumerate(series):
        z = np.concatenate([y[:-1], y[1:]], axis=1)
        z = z[np.isfinite(z).all(axis=1)]
        least = _PER_PARAMETER * z.shape[1]
        if len(z) < least:
            raise ValueError(
                f"environment {index} must have at least {least} pairs of rows in "
                f"which all outputs were seen, got {len(z)}"
            )
        means.append(z.mean(0))
        covariances.append(np.cov(z.T, bias=True))
        counts.append(len(z))
    weights = np.array(counts) / sum(counts)
    return Moments(
        *map(jnp.asarray, (np.stack(means), np.stack(covariances), weights))
    ), counts


def _check_apart(moments: Moments, width: int) -> None:
    """Refuse outputs of which one is a linear map of the others."""
    held = np.asarray(moments.covariance)[:, :width, :width]
    pooled = np.einsum("e,eij->ij", np.asarray(moments.weights), held)
    size = np.sqrt(np.diag(pooled))
    values = np.linalg.eigvalsh(pooled / size[:, None] / size)
    if values[0] < _SAME * values[-1]:
        raise ValueError(
            "outputs must not follow from each other, so that each state is seen "
            f"once: {int((values < _SAME * values[-1]).sum())} of {width} do"
        )


def _inputs_of(covariance: np.ndarray, inputs: int | None) -> int:
    """How many inputs the innovations have, by their rank unless told."""
    values = np.linalg.eigvalsh(covariance)
    found = int((values > _RANK * values[-1]).sum())
    if inputs is None:
        return found
    if not 1 <= inputs <= len(values):
        raise ValueError(
            f"inputs must be in [1, {len(values)}] (outputs), got {inputs}"
        )
    if inputs > found:
        raise ValueError(
            f"inputs must be at most {found}, got {inputs}: what drives the outputs "
            f"has rank {found}, so an input never moves or two move as one"
        )
    return inputs


def identify(
    outputs: Sequence[Any],
    *,
    variance: Any = None,
    inputs: int | None = None,
    seed: int = 0,
) -> Identified:
    """Estimate a system from several environments, and say what is open.

    Args:
        outputs: y of each environment, `[time, outputs]`; rows of NaN were not seen.
        variance: of the controls, `[environments, inputs]`, where it is known.
        inputs: how many; by the rank of what drives the outputs when None.
        seed: of the random starts.

    Returns:
        `Identified`.

    Raises:
        ValueError: on series that cannot be used, saying why.
    """
    series = checked_series(outputs)
    count, width = len(series), series[0].shape[1]
    if variance is not None:
        variance = _checked_known(variance, count)
        inputs = variance.shape[1] if inputs is None else inputs
        if inputs != variance.shape[1]:
            raise ValueError(
                f"variance must have {inputs} columns (inputs), got {variance.shape[1]}"
            )
    with numbers_in("float64"):
        moments, pairs = pair_moments_of(series)
        _check_apart(moments, width)
        back, covariance = map(np.asarray, jax.jit(estimators.innovations)(moments))
        m = _inputs_of(covariance, inputs)
        if count == 1 and m > 1:
            raise ValueError(
                f"outputs must come from at least 2 environments to tell {m} inputs "
                f"apart, and from {m + 1} for the published condition, got 1: repeat "
                "it with more of one input"
            )
        kept = np.eye(width)
        if m < width:
            found = estimators.leading_directions(jnp.asarray(covariance), m)
            kept = np.asarray(found)
        scale = kept @ covariance @ kept.T
        # Units in which innovations are near 1: the starts are of that size.
        kept = np.diag(1 / np.sqrt(np.diag(scale))) @ kept
        held = estimators.projected(moments, jnp.asarray(kept))
        known = None if variance is None else jnp.asarray(variance)
        fit = jax.jit(lambda key: estimators.fit(key, held, m, known, starts=8))
        found = jax.device_get(fit(jax.random.key(seed)))
        memory = _memory(series, kept @ np.concatenate([-back, np.eye(width)], axis=1))
        return _told(found, back, kept, pairs, variance, seed, memory)


def _checked_known(variance: Any, count: int) -> np.ndarray:
    held = np.asarray(variance, np.float64)
    if held.ndim != 2 or len(held) != count or not held.shape[1]:
        raise ValueError(
            f"variance must have shape [{count}, inputs], a row an environment, got "
            f"{list(held.shape)}"
        )
    if not (np.isfinite(held).all() and (held > 0).all()):
        raise ValueError(
            "variance must be > 0: an input that is held constant says nothing, so "
            "leave it out and let its effect be part of the state"
        )
    return held


def _memory(series: Sequence[np.ndarray], left: np.ndarray) -> tuple[float, float]:
    """Largest lag-1 correlation of rows of `left` z, and what it is by chance."""
    total, count = np.zeros((len(left), len(left))), 0
    for y in series:
        z = np.concatenate([y[:-1], y[1:]], axis=1)
        error = (z - np.nanmean(z, axis=0)) @ left.T
        error = error / np.nanstd(error, axis=0)
        both = error[1:, :, None] * error[:-1, None]
        both = both[np.isfinite(both).all(axis=(1, 2))]
        total, count = total + both.sum(0), count + len(both)
    bar = scipy.stats.norm.isf(_LEVEL / (2 * total.size)) / max(count, 1) ** 0.5
    return float(np.abs(total).max() / max(count, 1)), float(bar)


def _told(found, back, kept, pairs, variance, seed, memory) -> Identified:
    """What is open of a fit."""
    (m, width), known = kept.shape, variance is not None
    v, spread = found.v, np.asarray(found.variance)
    if not known:
        size = np.sqrt(np.asarray(pairs) @ spread / sum(pairs))
        spread, v = spread / size**2, v / size[:, None]
    w = v[:, width:] @ kept
    # M lies in the range of innovations, which `kept` spans.
    into = np.linalg.pinv(kept)
    m_hat = into @ np.linalg.inv(w @ into)
    g = -m_hat @ v[:, :width] if m == width else back
    weights = np.asarray(pairs, np.float64)
    open_pairs = _open_pairs(spread, weights, known)
    basis = dict(zip(*free_directions(np.eye(m), spread, least_sine=1.0), strict=True))
    # d M = -M Omega where d W = Omega W.
    moves = [-m_hat @ basis[pair] for pair in open_pairs]
    budget = float(spread.sum(1).max())
    low = min(0.05 * budget / m, float(spread.min()))
    key = jax.random.key(seed)
    new = design_interventions(key, m, 1, budget=budget, least=low, before=spread)
    after = np.concatenate([spread, np.asarray(new)])
    loss = expected_mcc_loss(spread, float(sum(pairs)), outputs=width, weights=weights)
    return Identified(
        g=np.asarray(g),
        m=m_hat,
        variance=spread,
        known=known,
        log_likelihood=float(found.log_likelihood),
        radius=float(np.abs(np.linalg.eigvals(g)).max()),
        pairs=tuple(pairs),
        told=jax.device_get(diversity(spread)),
        margin=float(diversity_margin(spread, weights)),
        mcc=max(0.0, 1 - float(loss)),
        open_pairs=open_pairs,
        basis=np.stack([move / np.linalg.norm(move) for move in moves])
        if moves
        else np.zeros((0, width, m)),
        next_variance=np.asarray(new)[0],
        next_margin=float(diversity_margin(after)),
        memory=memory[0],
        by_chance=memory[1],
    )


def _open_pairs(spread, weights, known: bool) -> tuple[tuple[int, int], ...]:
    """Pairs whose profiles are proportional, or may be for all that the data say.

    Estimated profiles of inputs that cannot be told apart differ by chance, and the fit
    picks the rotation where they differ most. N (rho - 1) / 4 then is at most
    chi-squared with 2 (environments - 1) degrees of freedom.
    """
    left = np.asarray(pair_information(spread, weights))
    least = 1e-9
    if not known:
        bar = scipy.stats.chi2.isf(_LEVEL, 2 * (len(spread) - 1))
        least = 4 * float(bar) / float(weights.sum())
    m = len(left)
    return tuple(
        (i, j) for i in range(m) for j in range(i + 1, m) if left[i, j] < least
    )
