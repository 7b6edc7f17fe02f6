"""The data-generating process and the objective of AnInfoNCE, and its floor.

Wiring of Rusak et al. 2024. Where its equations live: the conditional in
`jidcl.latents.anisotropic`, the mixing g in `jidcl.mixing.dense` (a decoder trained on
MNIST: `jidcl.train.generator`), the loss in `jidcl.losses.anisotropic`.
"""

import math
from typing import Any

import jax
import jax.numpy as jnp
from jax.sharding import Mesh

from jidcl.latents import (
    Anisotropic as AnisotropicDensity,
)
from jidcl.latents import (
    Normal,
    Sphere,
    Uniform,
    VonMisesFisher,
    sample,
    sample_marginal,
)
from jidcl.losses import aninfonce_ensemble, to_lam
from jidcl.numerics import unit
from jidcl.systems.anisotropic.presets import Anisotropic
from jidcl.systems.shared.wiring import over_rows
from jidcl.types import Array, Pair


def draw_pairs(config: Anisotropic, key: Array, batch: int) -> Pair:
    """Latents of `batch` pairs of each of K pair distributions, `[batch K, n]`.

    Row i is of distribution i mod K: a share of the rows has its share of each.
    """
    space = Sphere(config.n)

    def one(key, lam):
        z_key, pos_key = jax.random.split(key)
        if config.marginal == "lam":
            normal = jax.random.normal(z_key, (batch, config.n))
            z = unit(normal / jnp.sqrt(lam)[None])
        else:
            scale = config.marginal_param
            density = Normal(scale) if config.marginal == "normal" else Uniform()
            z = sample_marginal(z_key, density, space, shape=(batch,))
        return z, sample(pos_key, conditional(config, lam), space, z)

    drawn = [
        one(jax.random.fold_in(key, k), jnp.asarray(lam))
        for k, lam in enumerate(config.lams)
    ]
    rows = (jnp.stack(parts, axis=1) for parts in zip(*drawn, strict=True))
    return Pair(*(x.reshape(-1, config.n) for x in rows))


def conditional(config: Anisotropic, lam: Array):
    """p(z_pos | z) of one pair distribution."""
    match config.pair:
        case "vmf":
            return VonMisesFisher(config.kappa)
        case "projected":
            return AnisotropicDensity(lam, math.inf)
        case "laplace":
            return AnisotropicDensity(lam, config.shell, "laplace")
    return AnisotropicDensity(lam, config.shell)


def model_lam(config: Anisotropic, params: Any) -> Array:
    """Lambda of the loss, `[K, m]`."""
    shape = len(config.lams), config.outputs
    match config.lam_model:
        case "fixed":
            return jnp.full(shape, config.lam_start)
        case "truth":
            return jnp.asarray(config.lams)
    return jnp.broadcast_to(to_lam(params["raw_lam"]), shape)


def objective(
    config: Anisotropic, y: Array, y_pos: Array, lam: Array, *, mesh: Mesh | None = None
) -> Array:
    """The loss of representations `[batch K, m]` with Lambda `[K, m]`; nats."""
    count = len(config.lams)

    def loss(y, y_pos, lam, *, axis):
        y, y_pos = (
            x.reshape(-1, count, x.shape[-1]).swapaxes(0, 1) for x in (y, y_pos)
        )
        return aninfonce_ensemble(
            y,
            y_pos,
            lam,
            jnp.full((count,), 1 / count),
            cross=config.cross,
            beta=config.beta,
            tau_plus=config.tau_plus,
            axis=axis,
        )[0]

    return over_rows(loss, mesh, (y, y_pos), (lam,))


def oracle_lam(config: Anisotropic, key: Array) -> Array:
    """The model's best Lambda for the true latents, `[K, n]`."""
    truth = jnp.asarray(config.lams)
    ones = jnp.ones_like(truth)
    match config.lam_model:
        case "diagonal" | "truth":
            return truth
        case "fixed":
            return ones * config.lam_start
    pair = draw_pairs(config, key, config.eval_batch)
    grid = jnp.geomspace(min(map(min, config.lams)), max(map(max, config.lams)), 25)

    def loss(value):
        return objective(config, pair.z, pair.z_pos, ones * value)

    return ones * grid[jnp.argmin(jax.lax.map(loss, grid))]


def floor_kind(config: Anisotropic) -> str:
    """`"reference"`: the Monte Carlo loss of the true latents; supervised: `"none"`.

    With the true Lambda where the model's is learned as a diagonal, with the best
    number where it is one number, and with the fixed one where it is fixed.
    """
    return "none" if config.objective == "supervised" else "reference"
