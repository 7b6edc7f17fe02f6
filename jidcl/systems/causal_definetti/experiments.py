"""The experiments: draw data sets, test them, count what is right.

Each returns an `Evaluation`. Baselines that look at no environment are the nulls of
its main score.
"""

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jidcl.latents import (
    STRUCTURES,
    binary_graphs,
    recorded_binary,
    recorded_pairs,
    sample_binary,
)
from jidcl.latents.environments import (
    Switches,
    drawn_pairs,
    masked,
    observed,
    switches,
)
from jidcl.metrics import fisher_z, normalised_shd
from jidcl.systems.causal_definetti.graphs import all_tests, search
from jidcl.systems.causal_definetti.pairs import (
    RELATIONS,
    bivariate_decision,
    bivariate_tests,
    is_clean,
    lingam_decision,
    relation_tests,
)
from jidcl.systems.causal_definetti.presets import CausalDeFinetti
from jidcl.theory import fisher_power, linear_pair
from jidcl.types import Array, Evaluation

# Slope, and variances of the cause's parameter and noise and of the mechanism's: the
# cause varies, the mechanism does, both do, both at an equal ratio, nothing does.
GAUSSIAN = (
    (1.0, 1.0, 2.0, 0.0, 1.0),
    (2.0, 0.0, 1.0, 0.7, 1.0),
    (1.5, 0.4, 0.8, 0.1, 0.9),
    (1.0, 1 / 3, 2.0, 1 / 3, 2.0),
    (2.0, 0.0, 1.0, 0.0, 1.0),
)


class Held(NamedTuple):
    """What an experiment on pairs is told: arrays, so that presets share a program.

    Attributes:
        draws: the recorded data sets; None where they are drawn.
        on: switches of what varies.
        masked: environments with the quadratic term.
        spread: of the parameters.
        holds: of each of `RELATIONS`, whether it holds.
        varies: whether the cause is said to vary, and the mechanism.
    """

    draws: Any
    on: Switches
    masked: Any
    spread: Any
    holds: Any
    varies: Any


def shared_data(config: CausalDeFinetti) -> Any:
    """Arrays that the program is called with: recorded data sets, and `Held`."""
    replayed = config.source == "recorded"
    count, sets = config.environments, config.repetitions
    if config.experiment == "power":
        return None
    if config.experiment == "binary":
        return recorded_binary(count, repetitions=sets) if replayed else None
    return Held(
        recorded_pairs(count, repetitions=sets) if replayed else None,
        switches(config.vary),
        np.asarray(masked(count, config.quadratic)),
        np.asarray(config.spread, np.float64),
        np.array([config.vary in where for where in RELATIONS.values()]),
        np.array([config.vary in ("both", part) for part in ("cause", "mechanism")]),
    )


def _data_of_pairs(config: CausalDeFinetti, held: Held, key: Array, kind=None):
    """(x, y, structure): `[repetitions, environments, 2]` and `[repetitions]`."""
    draws = held.draws
    if draws is None:
        shape = config.environments, 2
        keys = jax.random.split(key, config.repetitions)
        draw = partial(
            drawn_pairs, shape=shape, kind=kind, on=held.masked, spread=held.spread
        )
        draws = jax.vmap(draw)(keys)
    x, y = jax.vmap(partial(observed, on=held.on))(draws)
    return x, y, draws.structure


def pairs(config: CausalDeFinetti, frozen: Any, key: Array) -> Evaluation:
    """How often the structure of two variables is found."""
    x, y, truth = _data_of_pairs(config, frozen["shared"], key)
    p = bivariate_tests(x, y, test=config.test)
    found = bivariate_decision(p, config.alpha)
    truth = truth.astype(found.dtype)
    right = found == truth
    scores = {"accuracy": _share(right)}
    for index, name in enumerate(STRUCTURES):
        scores[f"accuracy_{name}"] = _share(right, truth == index)
    scores["direction"] = _share(right, (truth < 2) & (found < 2))
    scores["clean"] = _share(is_clean(p, config.alpha))
    accuracy = scores["accuracy"]
    nulls = {
        "always-empty": _share(truth == 2),
        "random": jnp.full((), 1 / 3),
        "lingam": _share(lingam_decision(x, y) == truth),
        "direct-lingam": _share(lingam_decision(x, y, prune=True) == truth),
    }
    error = jnp.sqrt(accuracy * (1 - accuracy) / config.repetitions)
    return Evaluation(
        scores,
        nulls={"accuracy": nulls},
        samples={"p": p, "found": found, "truth": truth},
        errors={"accuracy": error},
    )


def relations(config: CausalDeFinetti, frozen: Any, key: Array) -> Evaluation:
    """How often each of the six relations of x -> y is rejected."""
    held = frozen["shared"]
    x, y, _ = _data_of_pairs(config, held, key, kind=STRUCTURES.index("x_to_y"))
    found = relation_tests(x, y, test=config.test)
    rejected = {name: p <= config.alpha for name, p in found.items()}
    rates = {name: _share(r) for name, r in rejected.items()}
    scores = {f"rejected_{name}": rate for name, rate in rates.items()}
    known = jnp.stack([rates[name] for name in RELATIONS])
    scores["false_alarms"] = jnp.max(jnp.where(held.holds, known, 0))
    cause = rejected["c1_c2"] == held.varies[0]
    mechanism = rejected["e1_e2_given_c1_c2"] == held.varies[1]
    scores["profile"] = _share(cause & mechanism)
    return Evaluation(scores, samples={f"p_{name}": p for name, p in found.items()})


def binary(config: CausalDeFinetti, frozen: Any, key: Array) -> Evaluation:
    """How near the graph of several binary variables is found."""
    if config.source == "recorded":
        tables, truth = frozen["shared"]
    else:
        tables, truth = _tables(config, key)
    found = jax.vmap(partial(search, alpha=config.alpha))(*all_tests(tables))
    shd = normalised_shd(found.edges, truth)
    graphs = jnp.asarray(binary_graphs(truth.shape[-1]))
    guesses = jax.vmap(lambda t: normalised_shd(graphs, jnp.stack([t] * len(graphs))))
    nulls = {"always-empty": jnp.ones(()), "random": jnp.mean(guesses(truth))}
    scores = {"shd": jnp.mean(shd), "exact": _share(shd == 0)}
    spread = jnp.std(shd) / jnp.sqrt(1.0 * config.repetitions)
    return Evaluation(
        scores,
        nulls={"shd": nulls},
        samples={"shd": shd, "found": found.edges, "truth": truth},
        errors={"shd": spread},
    )


def _tables(config: CausalDeFinetti, key: Array) -> tuple[Array, Array]:
    """Counts and graphs of fresh data sets, one after another."""
    count = 2 * config.variables

    def one(key):
        values, graph = sample_binary(
            key, config.environments, variables=config.variables
        )
        bits = jnp.concatenate([values[:, 0], values[:, 1]])
        code = jnp.sum(bits * 2 ** jnp.arange(count - 1, -1, -1)[:, None], axis=0)
        return jnp.bincount(code, length=2**count).astype(float), graph

    tables, graphs = jax.lax.map(one, jax.random.split(key, config.repetitions))
    return tables.reshape(-1, *[2] * count), graphs


def power(config: CausalDeFinetti, frozen: Any, key: Array) -> Evaluation:
    """Fisher's z on linear Gaussian pairs, beside its closed form."""
    with jax.ensure_compile_time_eval():
        true = [float(linear_pair(*held).y1_x2_given_y2) for held in GAUSSIAN]
    count, alpha = config.environments, config.alpha
    forms = np.array([fisher_power(r, count, alpha=alpha) for r in true])
    a, theta, e, psi, h = np.array(GAUSSIAN).T[:, :, None, None, None]
    shape = (6, len(GAUSSIAN), config.repetitions, config.environments)
    normal = jax.random.normal(key, shape, float)[..., None]
    # What belongs to an environment, and the noise of two samples of it.
    noise = (
        jnp.concatenate(list(normal[2:4]), -1),
        jnp.concatenate(list(normal[4:]), -1),
    )
    x = np.sqrt(theta) * normal[0] + np.sqrt(e) * noise[0]
    y = a * x + np.sqrt(psi) * normal[1] + np.sqrt(h) * noise[1]
    p = fisher_z(y[..., :1], x[..., 1:], y[..., 1:]).p
    measured = jnp.mean((p <= config.alpha).astype(float), axis=-1)
    errors = np.sqrt(forms * (1 - forms) / config.repetitions)
    # The closed form is of first order: half a point is its own.
    off = jnp.maximum(jnp.abs(measured - forms) - 0.005, 0) / errors
    return Evaluation(
        {
            "power": measured[0],
            "predicted": jnp.asarray(forms[0]),
            "worst_error": jnp.max(off),
        },
        samples={"power_each": measured, "predicted_each": jnp.asarray(forms)},
    )


def _share(right: Array, among: Array | None = None) -> Array:
    """Share of data sets; NaN where there are none of that kind."""
    if among is None:
        return jnp.mean(right.astype(float))
    return jnp.sum(right & among) / jnp.sum(among)
