"""The anisotropic conditional of the sphere: normal steps that end in a thin shell."""

import dataclasses
import math
from typing import Any

import jax
import jax.numpy as jnp

from jidcl.checks import (
    check_above,
    check_choice,
    check_finite,
    check_single,
    is_number,
)
from jidcl.latents.parameters import in_dtype
from jidcl.latents.rejection import reject
from jidcl.numerics import safe_norm, unit

_CHUNK = 16  # proposals of one round: the worst anchors need a hundred and more


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Anisotropic:
    """~ exp(-(z - mean)' diag(lam) (z - mean) / 2) on the sphere, lam > 0.

    Attributes:
        lam: precision of each coordinate, `[n]`, > 0: large ones vary little.
        shell: half width > 0 of the shell that a step has to end in; infinite for steps
            that are projected wherever they end (another law).
        noise: "normal" or "laplace" steps, of variance 1 / lam.

    Raises:
        ValueError: on a concrete lam <= 0, NaN or infinite, a shell <= 0, or another
            noise.
        TypeError: on text for lam.

    Example:
        >>> Anisotropic(2.0)
        Anisotropic(lam=2.0, shell=0.1, noise='normal')

    Source: Rusak et al. 2024, section 3.
    """

    lam: Any
    shell: float = dataclasses.field(default=0.1, metadata=dict(static=True))
    noise: str = dataclasses.field(default="normal", metadata=dict(static=True))

    def __post_init__(self):
        if is_number("lam", self.lam):
            check_above("lam", self.lam, 0)
            check_finite("lam", self.lam)
        check_above("shell", self.shell, 0)
        check_single("shell", self.shell)
        check_choice("noise", self.noise, ("normal", "laplace"))


def shell_step(
    mean: jax.Array, lam: jax.Array, eps: jax.Array, shell: float
) -> tuple[jax.Array, jax.Array]:
    """One proposal from its standard draws: u = mean + eps / sqrt(lam).

    Args:
        mean: anchors, `[..., n]`, unit vectors.
        lam: precisions, `[n]`.
        eps: draws of mean 0 and variance 1, `[..., n]`.
        shell: half width theta of the shell.

    Returns:
        `(u / ||u||, accepted)`, accepted where | ||u|| - 1 | < theta.

    Source: Rusak et al. 2024, published code.
    """
    u = mean + eps / jnp.sqrt(jnp.expand_dims(lam, tuple(range(eps.ndim - 1))))
    return unit(u), jnp.abs(safe_norm(u) - 1) < shell


def sample_anisotropic(
    key: jax.Array, density: Anisotropic, mean: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """Draw z_pos ~ p(z_pos | mean) by rejection, many proposals a round.

    Args:
        key: a typed key.
        density: precisions `[n]`, shell and noise.
        mean: `[..., n]`, unit vectors.

    Returns:
        `(z_pos [..., n], acceptance)`; NaN, never a wrong sample, where 2048 proposals
        were refused.

    Raises:
        ValueError: on a lam of another shape.

    Notes:
        The law is the restricted normal of `Anisotropic` up to the width of the shell.
        Its normaliser depends on the anchor, so z_pos is not quite uniform for a
        uniform anchor.
    """
    n, dtype = mean.shape[-1], mean.dtype
    lam = in_dtype("lam", density.lam, dtype)
    if lam.shape != (n,):
        raise ValueError(f"lam must have shape [{n}], got {list(lam.shape)}")

    def draws(key, shape):
        if density.noise == "laplace":
            return jax.random.laplace(key, shape, dtype) / math.sqrt(2)
        return jax.random.normal(key, shape, dtype)

    if math.isinf(density.shell):
        z, _ = shell_step(mean, lam, draws(key, mean.shape), density.shell)
        return z, jnp.ones((), jnp.float32)

    def propose(key):
        eps = draws(key, (_CHUNK, *mean.shape))
        z, accepted = shell_step(mean[None], lam, eps, density.shell)
        first, any_ = jnp.argmax(accepted, axis=0), jnp.any(accepted, axis=0)
        z = jnp.take_along_axis(z, first[None, ..., None], axis=0)[0]
        return z, any_, jnp.where(any_, first + 1, _CHUNK)

    return reject(key, propose, mean)
