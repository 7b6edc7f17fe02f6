"""When does LeJEPA learn a world model? Linear recovery of a stationary process.

Wiring of Klindt, LeCun and Balestriero 2026. Where its equations live: the process in
`jidcl.latents.ou`, the mixings in `jidcl.mixing.maps` and `flows`, the encoders in
`jidcl.encoders`, the objectives in `jidcl.losses.sketch`, the scores and the bound of
Theorem 3 in `jidcl.metrics.linear_id`, Theorem 1's minimum in `jidcl.theory.limits`.
"""

import jax
import jax.numpy as jnp

from jidcl.encoders import Encoder, make_inverse_coupling
from jidcl.latents import ou_step, sample_ou_pair, unit_variance
from jidcl.latents.families import noise
from jidcl.losses import draw_directions, gauss_infonce, lejepa, whitened_alignment
from jidcl.metrics import (
    correlation_matrix,
    fit_affine,
    linear_id,
    plane_grid,
    shuffled,
    total_r2,
)
from jidcl.mixing import PLANE_MAPS, couple, init_coupling
from jidcl.systems.lejepa.presets import LeJEPA
from jidcl.systems.shared.wiring import (
    gap_metrics,
    init_encoder,
    over_batches,
    run_optimiser,
)
from jidcl.theory import ou_alignment_limit
from jidcl.types import Array, Batch, Metrics, Problem

# Settings that may differ along a batch of runs: numbers that enter no shape.
TRACED = ("lam", "rho")


def build_encoder(config: LeJEPA) -> Encoder:
    """`restarts` encoders side by side: a leading axis on parameters and outputs."""
    if config.encoder == "matched":
        one = make_inverse_coupling(
            config.n, layers=config.mixing_layers, scale=config.init_scale
        )
    else:
        one = init_encoder(config, config.n, activation=config.activation)

    def init(key):
        keys = [jax.random.fold_in(key, k) for k in range(config.restarts)]
        drawn = [one.init(key) for key in keys]
        return jax.tree.map(lambda *leaves: jnp.stack(leaves), *drawn)

    def apply(params, state, x, train=False):
        return jax.vmap(lambda p, s: one.apply(p, s, x, train=train))(params, state)

    return Encoder(init, apply)


def make_problem(config: LeJEPA) -> Problem:
    """The problem of a configuration; see `jidcl.types.Problem`."""
    density, encoder = unit_variance(config.alpha), build_encoder(config)

    def freeze(key):
        if config.mixing != "coupling":
            return {"g": {}}
        return {"g": init_coupling(key, config.n, layers=config.mixing_layers)}

    def draw(frozen, key):
        z, z_pos = draw_pair(config, key)
        x, x_pos = observe(config, frozen, z), observe(config, frozen, z_pos)
        return Batch(x, x_pos, z, z_pos)

    def loss(params, state, batch, key):
        views, state = _views(encoder, params, state, batch, train=True)
        values, metrics = _objective(config, views, key)
        return jnp.mean(values), (state, jax.tree.map(jnp.mean, metrics))

    def chosen(params, state, frozen, key):
        """The encoder with the lowest loss on fresh batches, as a function of x."""

        def score(key):
            batch = draw(frozen, jax.random.fold_in(key, 0))
            views, _ = _views(encoder, params, state, batch, train=False)
            return _objective(config, views, jax.random.fold_in(key, 1))[0]

        values = jnp.mean(over_batches(score, key, config.eval_batches), axis=0)
        best = jnp.argmin(values)
        held = jax.tree.map(lambda leaf: leaf[best][None], (params, state))
        return lambda x: encoder.apply(*held, x)[0][0]

    def probe(params, state, frozen, key):
        k_choice, k_z = jax.random.split(key)
        f = chosen(params, state, frozen, k_choice)
        shape = (min(config.eval_batch, 4096), config.n)
        z = noise(k_z, density, shape, jnp.float32)
        return {"r2": total_r2(f(observe(config, frozen, z)), z)}

    def evaluate(params, state, frozen, key):
        k_choice, k_score, k_loss = jax.random.split(key, 3)
        f = chosen(params, state, frozen, k_choice)

        def h(z):
            return f(observe(config, frozen, z))

        scores = _scores(config, h, frozen, k_score)
        return scores | _losses(config, h, k_loss)

    return Problem(
        freeze, encoder.init, draw, loss, probe, evaluate, precision=config.precision
    )


make_run_optimiser = run_optimiser


def frozen_identity(config: LeJEPA) -> dict[str, object]:
    """The settings that the frozen draws depend on (for caches)."""
    names = ("n", "mixing", "mixing_layers")
    return {name: getattr(config, name) for name in names}


def floor_kind(config: LeJEPA) -> str:
    """Always `"oracle"`: the loss of h = z on the same draws.

    For normal latents its alignment is Theorem 1's minimum, reported beside it
    (`alignment`, `alignment_limit`); SIGReg's mean over samples has no closed form.
    """
    return "oracle"


def observe(config: LeJEPA, frozen, z: Array) -> Array:
    """x = g(z)."""
    if config.mixing == "coupling":
        return couple(frozen["g"], z)
    return PLANE_MAPS[config.mixing].mix(z)


def draw_pair(config: LeJEPA, key: Array):
    """Latents of one training batch."""
    return sample_ou_pair(
        key,
        unit_variance(config.alpha),
        rho=config.rho,
        shape=(config.batch, config.n),
        pair=config.pair,
    )


def _views(encoder, params, state, batch: Batch, *, train: bool):
    """Representations `[restarts, 2, batch, n]` and the state after both."""
    y, state = encoder.apply(params, state, batch.x, train=train)
    y_pos, state = encoder.apply(params, state, batch.x_pos, train=train)
    return jnp.stack([y, y_pos], axis=1), state


def _objective(config: LeJEPA, views: Array, key: Array):
    """(losses `[k]`, metrics) of views `[k, 2, batch, n]`, the directions shared."""
    if config.objective == "infonce":
        return jax.vmap(lambda v: gauss_infonce(v[0], v[1], sigma=config.sigma))(views)
    if config.objective == "whitening":
        return jax.vmap(lambda v: whitened_alignment(v, lam=config.lam))(views)
    a = draw_directions(key, config.n, config.directions)
    return jax.vmap(lambda v: lejepa(v, a, lam=config.lam, form=config.form))(views)


def _scores(config: LeJEPA, h, frozen, key) -> Metrics:
    """Recovery on one sample, in-sample as published, with Theorem 3's bound."""
    k_z, k_step, k_shuffle = jax.random.split(key, 3)
    density = unit_variance(config.alpha)
    z = noise(k_z, density, (config.eval_batch, config.n), jnp.float32)
    y, y_pos = h(z), h(ou_step(k_step, density, z, config.rho))
    scores = linear_id(z, y, y_pos, config.rho)._asdict()
    scores["r2"] = scores.pop("r2_hz")
    x = observe(config, frozen, z)
    held = scores["procrustes_mse"] <= scores["approx_bound"]
    scores |= {
        "bound_held": held.astype(jnp.float32),
        "r2_shuffled": total_r2(shuffled(k_shuffle, y), z),
        "r2_identity": total_r2(x, z),
    }
    if config.n == 2:
        grid = plane_grid()
        scores["r2_grid"] = total_r2(h(grid), grid)
    some = slice(min(1000, config.eval_batch))
    samples = {
        "z": z[some],
        "y": y[some],
        "z_hat": fit_affine(y, z)(y[some]),
        "matrix": correlation_matrix(z, y),
    }
    return scores | {f"sample/{name}": value for name, value in samples.items()}


def _losses(config: LeJEPA, h, key) -> Metrics:
    """The loss at the training batch beside that of the true latents, paired.

    `chance` is the loss of an encoder that ignores the pairing: a constant one; for
    the matched encoder, which preserves volume and so cannot be constant, the true
    latents with the partners of other rows (but InfoNCE keeps log(batch)).
    """
    broken = config.encoder == "matched" and config.objective != "infonce"

    def score(key):
        pair = draw_pair(config, jax.random.fold_in(key, 0))
        truth, views = jnp.stack(pair), jnp.stack([h(z) for z in pair])
        null = 0 * truth
        if broken:
            null = jnp.stack([pair.z, jnp.roll(pair.z_pos, 1, axis=0)])
        every = jnp.stack([views, truth, null])
        return _objective(config, every, jax.random.fold_in(key, 1))

    losses, terms = over_batches(score, key, config.eval_batches)
    metrics = gap_metrics(losses[:, 0], losses[:, 1], losses[:, 2])
    metrics |= {name: jnp.mean(value[:, 0]) for name, value in terms.items()}
    metrics |= {f"{name}_truth": jnp.mean(v[:, 1]) for name, v in terms.items()}
    metrics["alignment_limit"] = ou_alignment_limit(config.rho, config.pair)
    return metrics | {"train_floor": metrics["floor"]}
