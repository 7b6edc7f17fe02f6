"""The process, the mixings and the objectives of LeJEPA's linear identifiability.

Wiring of Klindt, LeCun and Balestriero 2026. Where its equations live: the process in
`jidcl.latents.ou`, the mixings in `jidcl.mixing.maps` and `flows`, the objectives in
`jidcl.losses.sketch`.
"""

from typing import Any

import jax

from jidcl.latents import sample_ou_pair, unit_variance
from jidcl.losses import draw_directions, gauss_infonce, lejepa, whitened_alignment
from jidcl.mixing import PLANE_MAPS, couple
from jidcl.systems.lejepa.presets import LeJEPA
from jidcl.types import Array, Metrics, Pair


def observe(config: LeJEPA, frozen: Any, z: Array) -> Array:
    """x = g(z)."""
    if config.mixing == "coupling":
        return couple(frozen["g"], z)
    return PLANE_MAPS[config.mixing].mix(z)


def draw_pair(config: LeJEPA, key: Array) -> Pair:
    """Latents of one training batch."""
    return sample_ou_pair(
        key,
        unit_variance(config.alpha),
        rho=config.rho,
        shape=(config.batch, config.n),
        pair=config.pair,
    )


def objective(config: LeJEPA, views: Array, key: Array) -> tuple[Array, Metrics]:
    """(losses `[k]`, metrics) of views `[k, 2, batch, n]`, the directions shared."""
    if config.objective == "infonce":
        return jax.vmap(lambda v: gauss_infonce(v[0], v[1], sigma=config.sigma))(views)
    if config.objective == "whitening":
        return jax.vmap(lambda v: whitened_alignment(v, lam=config.lam))(views)
    a = draw_directions(key, config.n, config.directions)
    return jax.vmap(lambda v: lejepa(v, a, lam=config.lam, form=config.form))(views)
