"""The experiments: draw data sets, test them, count what is right.

Each returns an `Evaluation`. Baselines that look at no environment are the nulls of
its main score.
"""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jidcl.latents import (
    STRUCTURES,
    binary_graphs,
    observe_pairs,
    recorded_binary,
    recorded_pairs,
    sample_binary,
    sample_pairs,
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


def shared_data(config: CausalDeFinetti) -> Any:
    """The recorded data sets, None where data are drawn."""
    if config.source == "drawn":
        return None
    recorded = recorded_binary if config.experiment == "binary" else recorded_pairs
    return recorded(config.environments, repetitions=config.repetitions)


def _data_of_pairs(config: CausalDeFinetti, frozen: Any, key: Array, structure=None):
    """(x, y, structure): `[repetitions, environments, 2]` and `[repetitions]`."""
    if config.source == "recorded":
        draws = frozen["shared"]
    else:
        draw = partial(
            sample_pairs,
            environments=config.environments,
            structure=structure,
            quadratic=config.quadratic,
            spread=config.spread,
        )
        draws = jax.vmap(draw)(jax.random.split(key, config.repetitions))
    x, y = jax.vmap(partial(observe_pairs, vary=config.vary))(draws)
    return x, y, draws.structure


def pairs(config: CausalDeFinetti, frozen: Any, key: Array) -> Evaluation:
    """How often the structure of two variables is found."""
    x, y, truth = _data_of_pairs(config, frozen, key)
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
    x, y, _ = _data_of_pairs(config, frozen, key, structure="x_to_y")
    found = relation_tests(x, y, test=config.test)
    rejected = {name: p <= config.alpha for name, p in found.items()}
    scores = {f"rejected_{name}": _share(r) for name, r in rejected.items()}
    hold = [name for name, where in RELATIONS.items() if config.vary in where]
    rates = [scores[f"rejected_{name}"] for name in hold]
    scores["false_alarms"] = jnp.max(jnp.stack(rates)) if rates else jnp.zeros(())
    cause = rejected["c1_c2"] == (config.vary in ("both", "cause"))
    varies = config.vary in ("both", "mechanism")
    mechanism = rejected["e1_e2_given_c1_c2"] == varies
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
