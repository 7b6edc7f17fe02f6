"""When does LeJEPA learn a world model? Linear recovery of a stationary process.

Wiring of Klindt, LeCun and Balestriero 2026; `process` and `evaluate` say where its
equations live. The encoders are in `jidcl.encoders`.
"""

import jax
import jax.numpy as jnp

from jidcl.encoders import Encoder, make_inverse_coupling, make_mlp
from jidcl.latents import unit_variance
from jidcl.latents.families import noise
from jidcl.metrics import total_r2
from jidcl.mixing import init_coupling
from jidcl.systems.contract import System
from jidcl.systems.lejepa import conformance, presets
from jidcl.systems.lejepa.evaluate import evaluate as evaluate_encoder
from jidcl.systems.lejepa.presets import LeJEPA
from jidcl.systems.lejepa.process import draw_pair, objective, observe
from jidcl.systems.shared.cross_fitted import cross_fitted_means
from jidcl.systems.shared.wiring import over_batches, run_optimiser
from jidcl.train import gradient
from jidcl.types import Batch, Problem, Program


def build_encoder(config: LeJEPA) -> Encoder:
    """`restarts` encoders side by side: a leading axis on parameters and outputs."""
    if config.encoder == "matched":
        one = make_inverse_coupling(
            config.n, layers=config.mixing_layers, scale=config.init_scale
        )
    else:
        one = make_mlp(
            config.n,
            widths=config.widths,
            slope=config.slope,
            activation=config.activation,
            init=config.init,
        )

    def init(key):
        keys = [jax.random.fold_in(key, k) for k in range(config.restarts)]
        drawn = [one.init(key) for key in keys]
        return jax.tree.map(lambda *leaves: jnp.stack(leaves), *drawn)

    def apply(params, state, x, train=False):
        return jax.vmap(lambda p, s: one.apply(p, s, x, train=train))(params, state)

    return Encoder(init, apply)


def make_problem(config: LeJEPA) -> Problem:
    """The problem of a configuration; see `jidcl.types.Problem`.

    Args:
        config: a preset or any override of one.

    Returns:
        Pure functions `freeze`, `init`, `draw`, `loss`, `probe`, `evaluate`.
    """
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
        values, metrics = objective(config, views, key)
        return jnp.mean(values), (state, jax.tree.map(jnp.mean, metrics))

    def chosen(params, state, frozen, key):
        """The encoder with the lowest loss on fresh batches, as a function of x."""

        def score(key):
            batch = draw(frozen, jax.random.fold_in(key, 0))
            views, _ = _views(encoder, params, state, batch, train=False)
            return objective(config, views, jax.random.fold_in(key, 1))[0]

        values = jnp.mean(over_batches(score, key, config.eval_batches), axis=0)
        best = jnp.argmin(values)
        held = jax.tree.map(lambda leaf: leaf[best][None], (params, state))
        return lambda x: encoder.apply(*held, x)[0][0]

    def probe(params, state, frozen, key):
        k_choice, k_z = jax.random.split(key)
        f = chosen(params, state, frozen, k_choice)
        shape = (min(config.eval_batch, 4096), config.n)
        z = noise(k_z, density, shape, jnp.float32)
        y = f(observe(config, frozen, z))
        few = cross_fitted_means(z, y, ("r2",), xp=jnp)
        return few | {"r2": total_r2(y, z)}

    def evaluate(params, state, frozen, key):
        k_choice, *keys = jax.random.split(key, 3)
        f = chosen(params, state, frozen, k_choice)
        return evaluate_encoder(config, f, lambda z: observe(config, frozen, z), keys)

    return Problem(
        freeze, encoder.init, draw, loss, probe, evaluate, precision=config.precision
    )


def _views(encoder, params, state, batch: Batch, *, train: bool):
    """Representations `[restarts, 2, batch, n]` and the state after both."""
    y, state = encoder.apply(params, state, batch.x, train=train)
    y_pos, state = encoder.apply(params, state, batch.x_pos, train=train)
    return jnp.stack([y, y_pos], axis=1), state


def make_program(config: LeJEPA) -> Program:
    """The program of a configuration."""
    return gradient(make_problem(config), run_optimiser(config))


def floor_kind(config: LeJEPA) -> str:
    """Always `"reference"`: the loss of h = z on the same draws.

    For normal latents its alignment is Theorem 1's minimum, reported beside it
    (`alignment`, `alignment_limit`); SIGReg's mean over samples has no closed form.
    """
    return "reference"


SYSTEM = System(
    name="lejepa",
    title="linear recovery by LeJEPA",
    paper="Klindt et al. 2026",
    presets=presets.presets,
    make_program=make_program,
    frozen_fields=("n", "mixing", "mixing_layers"),
    traced_fields=("lam", "rho"),
    floor_kind=floor_kind,
    vectors="content_style",
    conformance=conformance.CONFORMANCE,
    errata=conformance.ERRATA,
    legend=presets.LEGEND,
)
