"""The von Mises-Fisher law on the sphere: density, normaliser, moments, sampler.

Its density with respect to the surface measure of S^(n-1) is
`c_n(kappa) exp(kappa mean . z)`, with kappa >= 0 the concentration. Everything comes
from mu_n(kappa) = E_{u uniform} exp(kappa u_1): c_n = 1 / (mu_n |S^(n-1)|), and the
mean cosine A_n = E[mean . z] is the derivative of log mu_n. Functions of arrays
(`log_mean_exp_dot`, `log_prob_vmf`, `sample_vmf`) work under every transformation; the
functions of plain numbers (`vmf_*` with floats) compute on the host in float64.

Source: Mardia and Jupp 2000, section 9.3.2 (the law); Wood 1994 (the sampler).
"""

import dataclasses
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jidcl.checks import (
    check_at_least,
    check_count,
    check_finite,
    check_scalar,
    is_number,
)
from jidcl.latents.bessel import (
    bessel_parts,
    log_mean_exp_dot,
)
from jidcl.latents.implicit import (
    moving_with,
)
from jidcl.latents.parameters import in_dtype
from jidcl.latents.rejection import reject
from jidcl.numerics import log_sphere_area, unit


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class VonMisesFisher:
    """c_n(kappa) exp(kappa mean . z) on the sphere.

    Attributes:
        kappa: concentration, >= 0 and finite; 0 is the uniform law.
        family: tells its tree from that of other families with one number.

    Raises:
        ValueError: on a concrete kappa < 0, NaN or infinite.
        TypeError: on text.

    Example:
        >>> VonMisesFisher(10.0)
        VonMisesFisher(kappa=10.0)

    Source: Mardia and Jupp 2000, section 9.3.2.
    """

    kappa: Any
    family: str = dataclasses.field(
        default="VonMisesFisher", repr=False, metadata=dict(static=True)
    )

    def __post_init__(self):
        if is_number("kappa", self.kappa):
            check_at_least("kappa", self.kappa, 0)
            check_finite("kappa", self.kappa)


def log_prob_vmf(z: jax.Array, mean: jax.Array, kappa: jax.Array | float) -> jax.Array:
    """Natural log of the density, log c_n(kappa) + kappa mean . z.

    Args:
        z: `[..., n]`, unit vectors, n >= 2.
        mean: unit vectors that broadcast against z.
        kappa: concentration >= 0, a scalar or broadcast to `[...]`.

    Returns:
        `[...]` in nats, with respect to the surface measure, in z's dtype.

    Example:
        >>> mean = jnp.asarray([1.0, 0.0, 0.0])
        >>> round(float(log_prob_vmf(mean, mean, 0.0)), 4)  # -log(4 pi)
        -2.531

    Source: Mardia and Jupp 2000, section 9.3.2.
    """
    kappa = in_dtype("kappa", kappa, z.dtype)
    n = z.shape[-1]
    log_mu, _ = log_mean_exp_dot(n, kappa)
    # kappa (mean.z - 1) from the chord, which keeps its digits at large kappa.
    chord = jnp.sum((z - mean) ** 2, axis=-1) / 2
    return -kappa * chord - log_mu - log_sphere_area(n)


# Normaliser and moments on the host ---------------------------------------------------


def vmf_log_mean_exp(n: int, kappa: float) -> float:
    """log mu_n(kappa) = log E_{u uniform} exp(kappa u_1), in float64.

    Args:
        n: dimension of the ambient space, >= 2.
        kappa: concentration, >= 0.

    Returns:
        Nats, between 0 and kappa.

    Raises:
        ValueError: if n < 2 or kappa < 0.

    Example:
        >>> round(vmf_log_mean_exp(3, 1.0), 8)  # log(sinh(1) / 1)
        0.16143936

    Source: Mardia and Jupp 2000, section 9.3.2.
    """
    return vmf_parts(n, kappa)[0] + kappa


def vmf_log_normaliser(n: int, kappa: float) -> float:
    """log c_n(kappa) of the density c_n exp(kappa mean . z) on S^(n-1).

    Args:
        n: dimension of the ambient space, >= 2.
        kappa: concentration, >= 0.

    Returns:
        Nats; minus the log of the sphere's area at kappa = 0.

    Raises:
        ValueError: if n < 2 or kappa < 0.

    Example:
        >>> round(vmf_log_normaliser(3, 0.0), 4)  # -log(4 pi)
        -2.531

    Source: Mardia and Jupp 2000, section 9.3.2.
    """
    return -vmf_log_mean_exp(n, kappa) - log_sphere_area(n)


def vmf_mean_cosine(n: int, kappa: float) -> float:
    """A_n(kappa) = I_{n/2}(kappa) / I_{n/2-1}(kappa) = E[z . z_pos].

    Args:
        n: dimension of the ambient space, >= 2.
        kappa: concentration, >= 0.

    Returns:
        The mean resultant length, in [0, 1).

    Raises:
        ValueError: if n < 2 or kappa < 0.

    Example:
        >>> round(vmf_mean_cosine(3, 1.0), 6)  # coth(1) - 1
        0.313035

    Source: Mardia and Jupp 2000, section 9.3.2.
    """
    return vmf_parts(n, kappa)[1]


def vmf_entropy(n: int, kappa: float) -> float:
    """H = -log c_n(kappa) - kappa A_n(kappa), the least cross-entropy with the law.

    Args:
        n: dimension of the ambient space, >= 2.
        kappa: concentration, >= 0.

    Returns:
        Nats; the log of the sphere's area at kappa = 0, less above it.

    Raises:
        ValueError: if n < 2 or kappa < 0.

    Example:
        >>> round(vmf_entropy(3, 0.0), 4)  # log(4 pi)
        2.531

    Source: Mardia and Jupp 2000, section 9.3.2.
    """
    scaled, _, short = vmf_parts(n, kappa)
    return scaled + short + log_sphere_area(n)


def vmf_parts(n: int, kappa: float) -> tuple[float, float, float]:
    """Pieces of the law in which nothing cancels at large kappa, in float64.

    By NumPy: nothing is compiled, whatever is being traced.

    Args:
        n: dimension of the ambient space, >= 2.
        kappa: concentration, in [0, 1e300].

    Returns:
        `(log mu_n(kappa) - kappa, A_n(kappa), kappa (1 - A_n(kappa)))`.

    Raises:
        ValueError: if n < 2 or kappa is outside of [0, 1e300].

    Example:
        >>> [round(part, 4) for part in vmf_parts(3, 1e20)]  # -log(2 kappa), 1, 1
        [-46.7448, 1.0, 1.0]

    Source: Mardia and Jupp 2000, section 9.3.2.
    """
    check_count("n", n, 2)
    check_at_least("kappa", kappa, 0)
    check_scalar("kappa", kappa)
    if not kappa <= 1e300:
        raise ValueError(f"kappa must be <= 1e300, got {kappa!r}")
    scaled, cosine, short = bessel_parts(n, np.float64(kappa), xp=np)
    return float(scaled), float(cosine), float(short)


# The sampler --------------------------------------------------------------------------


class VmfProposal(NamedTuple):
    """Constants of Wood's envelope, as the published sampler names them.

    Attributes:
        b: shape of the envelope, in (0, 1].
        x0: (1 - b) / (1 + b), in [0, 1).
        c: log of the largest ratio of law and envelope.

    Example:
        >>> float(vmf_envelope(3, 0.0).b)
        1.0

    Source: Wood 1994; Zimmermann et al. 2021, published code.
    """

    b: jax.Array
    x0: jax.Array
    c: jax.Array


def vmf_envelope(n: int, kappa: jax.Array) -> VmfProposal:
    """b = d / (sqrt(4 kappa^2 + d^2) + 2 kappa), x0 = (1-b)/(1+b), c; d = n - 1.

    c = kappa x0 + d log(1 - x0^2). No square of kappa is taken.

    Args:
        n: dimension of the ambient space, >= 2.
        kappa: concentration >= 0, any shape.

    Returns:
        `VmfProposal`, each of kappa's shape.

    Example:
        >>> b, x0, c = vmf_envelope(3, 10.0)
        >>> round(float(b), 4), round(float(x0), 4)
        (0.0499, 0.905)

    Source: Wood 1994; Zimmermann et al. 2021, published code.
    """
    kappa = jnp.asarray(kappa)
    d = n - 1
    b = _envelope(d, kappa)[0]
    x0 = (1 - b) / (1 + b)
    # 1 - x0^2 = (1 - x0) (1 + x0) with 1 - x0 = 2 b / (1 + b), no cancellation.
    c = kappa * x0 + d * (jnp.log(2 * b / (1 + b)) + jnp.log1p(x0))
    return VmfProposal(b, x0, c)


def _envelope(d: int, kappa: jax.Array) -> tuple[jax.Array, jax.Array]:
    """(b, kappa b): the product is in [0, d / 4] where b is too small a number."""
    half = kappa / d
    large, small = jnp.maximum(half, 0.5), jnp.minimum(half, 0.5)
    root = jnp.sqrt(1 + (small / large) ** 2)  # of 4 kappa^2 + d^2, over 2 d large
    below = root + half / large
    return 0.5 / (large * below), d / 2 * (half / large) / below


def vmf_proposal(
    n: int, kappa: jax.Array, beta_draws: jax.Array, u: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """One round of Wood's sampler from its two random inputs.

    w = (1 - (1+b) zeta) / (1 - (1-b) zeta), accepted when
    kappa w + d log(1 - x0 w) - c >= log u.

    Args:
        n: dimension of the ambient space, >= 2; d = n - 1.
        kappa: concentration >= 0, broadcast.
        beta_draws: zeta ~ Beta(d/2, d/2), any shape.
        u: uniform in (0, 1), of that shape.

    Returns:
        `(1 - w, accepted)` of that shape: the complement in [0, 2] keeps its digits
        when kappa is large.

    Example:
        >>> below, accepted = vmf_proposal(3, 0.0, jnp.asarray(0.25), jnp.asarray(0.9))
        >>> float(below), bool(accepted)  # the envelope of the uniform law is exact
        (0.5, True)

    Source: Wood 1994, algorithm VM*; Zimmermann et al. 2021, published code.
    """
    ends, accepted = _propose(n, kappa, beta_draws, 1 - beta_draws, u)
    return ends[..., 0], accepted


def _propose(n, kappa, zeta, rest_zeta, u) -> tuple[jax.Array, jax.Array]:
    """`vmf_proposal` from zeta and 1 - zeta: ((1 - w, 1 + w), accepted)."""
    b, kappa_b = _envelope(n - 1, jnp.asarray(kappa))
    x0 = (1 - b) / (1 + b)
    total = rest_zeta + b * zeta
    share = zeta / total
    below, above = 2 * b * share, 2 * rest_zeta / total
    # Over 1 - x0 = 2 b / (1 + b), which may be too small a number at large kappa.
    log_ratio = jnp.log((1 + x0 * (1 + b) * share) / (1 + x0))
    log_accept = 2 * kappa_b * (1 / (1 + b) - share) + (n - 1) * log_ratio
    return jnp.stack([below, above], axis=-1), log_accept >= jnp.log(u)


def sample_vmf(
    key: jax.Array, mean: jax.Array, kappa: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """Draw one point from the von Mises-Fisher law around each mean.

    Args:
        key: a typed key.
        mean: `[..., n]`, unit vectors, n >= 2.
        kappa: concentration >= 0, a scalar or broadcast to `[...]`.

    Returns:
        `(z, acceptance)`: z is `[..., n]` in mean's dtype, acceptance is the share of
        proposals that were accepted, about two thirds or more; 1 for n = 3, where the
        distribution of the cosine is inverted. z has the derivative by kappa of a
        sample that keeps its place in the law, see `jidcl.latents.implicit`, and that
        by mean.

    Example:
        >>> mean = jnp.asarray([[1.0, 0.0, 0.0]])
        >>> z, acceptance = sample_vmf(jax.random.key(0), mean, 1e6)
        >>> bool(z[0, 0] > 0.999)
        True

    Source: Wood 1994; for n = 3 Ulrich 1984.
    """
    n, dtype = mean.shape[-1], mean.dtype
    kappa = jnp.broadcast_to(in_dtype("kappa", kappa, dtype), mean.shape[:-1])
    fixed = jax.lax.stop_gradient(kappa)  # what is drawn has its derivative below
    k_cos, k_tangent = jax.random.split(key)

    def propose(key):
        k_zeta, k_u = jax.random.split(key)
        u = jax.random.uniform(k_u, kappa.shape, dtype)
        return _propose(n, fixed, *_symmetric_beta(k_zeta, mean.shape, dtype), u)

    if n == 3:
        below = _inverted(k_cos, fixed)
        above, acceptance = 2 - below, jnp.ones((), jnp.float32)
    else:
        like = jnp.zeros((*kappa.shape, 2), dtype)
        ends, acceptance = reject(k_cos, propose, like)
        below, above = ends[..., 0], ends[..., 1]
    below, sine = moving_with(n, below, jnp.sqrt(below * above), kappa)
    tangent = jax.random.normal(k_tangent, mean.shape, dtype)
    for _ in range(2):  # twice: once leaves rounding where it was nearly parallel
        along = jnp.sum(tangent * mean, axis=-1, keepdims=True)
        tangent = unit(tangent - along * mean)
    below, sine = below[..., None], sine[..., None]
    return mean - below * mean + sine * tangent, acceptance


def _inverted(key: jax.Array, kappa: jax.Array) -> jax.Array:
    """1 - w on S^2, where w has density ~ exp(kappa w).

    -log1p(u expm1(-2 kappa)) / kappa of a uniform u. Without a loop it compiles in a
    third of the time.
    """
    u = jax.random.uniform(key, kappa.shape, kappa.dtype)
    positive = kappa > 0
    k = jnp.where(positive, kappa, 1)
    # A uniform number below 1 that rounds to 1 with expm1 would be an infinity.
    curved = (
        -jnp.log1p(jnp.maximum(u * jnp.expm1(-2 * k), -1 + jnp.finfo(u.dtype).epsneg))
        / k
    )
    return jnp.where(positive, jnp.minimum(curved, 2), 2 * u)


def _symmetric_beta(key: jax.Array, shape, dtype) -> tuple[jax.Array, jax.Array]:
    """zeta ~ Beta(d/2, d/2) and 1 - zeta, d = n - 1, both to full relative precision.

    (1 + v_1) / 2 of a uniform v on S^(n-1) has this law; on CPU it costs a tenth of
    `jax.random.beta`.
    """
    g = jax.random.normal(key, shape, dtype)
    first, others = g[..., 0], jnp.sum(g[..., 1:] ** 2, axis=-1)
    norm = jnp.sqrt(first**2 + others)
    far = norm + jnp.abs(first)
    large, small = far / (2 * norm), others / (2 * norm * far)
    return jnp.where(first < 0, small, large), jnp.where(first < 0, large, small)
