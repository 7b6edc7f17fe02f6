"""Exchangeable environments: samples that are i.i.d. given parameters of their own.

Within an environment samples are exchangeable, environments are i.i.d. copies. Pairs
(x, y) of numbers with a cause, a mechanism and a mask that switches the mechanism, and
binary variables on a graph.

`recorded_environments` replays the data of the published runs.

Source: Guo, Toth, Schoelkopf, Huszar 2023, *Causal de Finetti*; Reizinger, Guo,
Huszar, Schoelkopf, Brendel 2025, *Identifiable Exchangeable Mechanisms*.
"""

import itertools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jidcl.checks import (
    check_above,
    check_array,
    check_choice,
    check_count,
    check_key,
    check_memory,
    check_scalar,
    check_shape,
    check_type,
)

STRUCTURES = ("x_to_y", "y_to_x", "independent")
VARIES = ("both", "cause", "mechanism", "none")
LEGACY = ("legacy_row0_noise", "legacy_row1_noise")
QUADRATIC = ("none", "half", "all")
LARGEST_WEIGHT = 9
_MOST_VARIABLES = 5


class PairDraws(NamedTuple):
    """What pairs are made of; `observe_pairs` makes them. Leading axes are free.

    Attributes:
        parameters: one a row and environment, `[2, environments]`; row 0 belongs to
            the noise of x, row 1 to that of y.
        noise: unit Laplace numbers, `[2, environments, samples]`.
        structure: index into `STRUCTURES`, a scalar.
        weights: matrix A, `[2, 2]`: triangular, 1 for the cause's own noise.
        mask: 1 in environments with the quadratic term, `[environments]`.
        strength: r of that term, a scalar.

    Example:
        >>> sample_pairs(jax.random.key(0), 5).noise.shape
        (2, 5, 2)

    Source: Guo et al. 2023, bivariate experiment.
    """

    parameters: Any
    noise: Any
    structure: Any
    weights: Any
    mask: Any
    strength: Any


class Switches(NamedTuple):
    """What differs between environments, as arrays: one program serves every choice.

    Attributes:
        varies: whether the cause's parameter varies, and the mechanism's, `[2]`.
        noisy: whether row 0 keeps its noise, and row 1, `[2]`.
    """

    varies: Any
    noisy: Any


def switches(vary: str) -> Switches:
    """The switches of a `vary` of `observe_pairs`."""
    check_choice("vary", vary, (*VARIES, *LEGACY))
    legacy = vary in LEGACY
    varies = [legacy or vary in ("both", part) for part in ("cause", "mechanism")]
    return Switches(np.array(varies), np.array([vary != row for row in LEGACY[::-1]]))


def observe_pairs(draws: PairDraws, *, vary: str = "both") -> tuple[Any, Any]:
    """x and y of every environment and sample, from what they are made of.

    S = parameter + noise, D = A S + mask r (A - I) S^2, x = D_0, y = D_1. A parameter
    that does not vary has its value of environment 0 everywhere. Which of them is the
    cause's depends on the structure; x where the two are independent.

    Args:
        draws: one data set; `jax.vmap` adds more.
        vary: of `VARIES`, which parameters vary. Or one of `LEGACY`, behind the
            published figure: the named row keeps its noise, the other is its parameter
            without any, whatever the structure.

    Returns:
        `(x, y)`, `[environments, samples]` each.

    Raises:
        ValueError: on another `vary`, or shapes that do not fit.

    Example:
        >>> draws = sample_pairs(jax.random.key(0), 5)
        >>> observe_pairs(draws, vary="cause")[0].shape
        (5, 2)

    Source: Guo et al. 2023 and Reizinger et al. 2025, bivariate experiments and their
    published code; switches by this library.
    """
    check_type("draws", draws, PairDraws)
    on = switches(vary)
    p, noise = jnp.asarray(draws.parameters), jnp.asarray(draws.noise)
    if noise.ndim != 3 or noise.shape[0] != 2:
        raise ValueError(
            "noise of draws must have shape [2, environments, samples], got "
            f"{list(noise.shape)}"
        )
    check_shape("parameters of draws", p, noise.shape[:2])
    return observed(draws, on)


def observed(draws: PairDraws, on: Switches) -> tuple[Any, Any]:
    """`observe_pairs` with switches that may be traced."""
    p, noise = jnp.asarray(draws.parameters), jnp.asarray(draws.noise)
    cause = jnp.where(jnp.asarray(draws.structure) == 1, 1, 0)
    is_cause = (jnp.arange(2) == cause)[:, None]
    varies = jnp.where(is_cause, on.varies[0], on.varies[1])
    s = jnp.where(varies, p, p[:, :1])[..., None]
    s = s + jnp.where(jnp.asarray(on.noisy)[:, None, None], noise, 0)
    a, mask = jnp.asarray(draws.weights, s.dtype), jnp.asarray(draws.mask, s.dtype)
    strength = jnp.asarray(draws.strength, s.dtype) * mask[None, :, None]
    bent = jnp.einsum("ij,jen->ien", a - jnp.eye(2, dtype=s.dtype), s**2)
    x, y = jnp.einsum("ij,jen->ien", a, s) + strength * bent
    return x, y


def sample_pairs(
    key: jax.Array,
    environments: int,
    *,
    samples: int = 2,
    structure: str | None = None,
    quadratic: str = "half",
    spread: float = 1.0,
) -> PairDraws:
    """One data set of pairs, to be given to `observe_pairs`.

    Args:
        key: a typed key.
        environments: how many, >= 2.
        samples: of an environment, >= 1.
        structure: of `STRUCTURES`; None: each with probability 1/3.
        quadratic: environments with the quadratic term: none, all, or a random half,
            which is a change of the mechanism.
        spread: parameters are uniform in (-spread, spread).

    Returns:
        `PairDraws`.

    Raises:
        ValueError: on a number out of range or an unknown name.

    Example:
        >>> draws = sample_pairs(jax.random.key(0), 5, quadratic="none")
        >>> draws.parameters.shape, float(draws.mask.sum())
        ((2, 5), 0.0)

    Source: Guo et al. 2023, bivariate experiment; switches by this library.
    """
    check_key("key", key)
    check_count("environments", environments, 2)
    check_count("samples", samples)
    check_choice("quadratic", quadratic, QUADRATIC)
    check_scalar("spread", spread)
    check_above("spread", spread, 0)
    if structure is not None:
        check_choice("structure", structure, STRUCTURES)
    check_memory("environments", environments, 4 * environments * samples, 8)
    on = masked(environments, quadratic)
    kind = None if structure is None else STRUCTURES.index(structure)
    return drawn_pairs(key, (environments, samples), kind, on, spread)


def masked(environments: int, quadratic: str) -> int:
    """How many environments have the quadratic term."""
    return {"none": 0, "half": environments // 2, "all": environments}[quadratic]


def drawn_pairs(
    key: jax.Array, shape: tuple[int, int], kind: int | None, on: Any, spread: Any
) -> PairDraws:
    """`sample_pairs` whose numbers may be traced: of `masked`, and the spread."""
    environments, samples = shape
    keys = jax.random.split(key, 6)
    rows = (2, environments)
    parameters = jax.random.uniform(keys[0], rows, float, -spread, spread)
    noise = jax.random.laplace(keys[1], (*rows, samples), float)
    drawn = jax.random.randint(keys[2], (), 0, 3)
    form = drawn if kind is None else jnp.asarray(kind, drawn.dtype)
    a, b = jax.random.randint(keys[3], (2,), 1, LARGEST_WEIGHT + 1).astype(float)
    mask = jax.random.permutation(keys[4], jnp.arange(environments) < on).astype(float)
    strength = jax.random.randint(keys[5], (), 1, LARGEST_WEIGHT + 1).astype(float)
    one, zero = jnp.ones_like(a), jnp.zeros_like(a)
    entries = (one, zero, a, b, b, a, zero, one, one, zero, zero, one)
    forms = jnp.stack(entries).reshape(3, 2, 2)  # in the order of STRUCTURES
    return PairDraws(parameters, noise, form, forms[form], mask, strength)


# Binary variables on a graph ----------------------------------------------------------


def binary_graphs(variables: int) -> np.ndarray:
    """Graphs with edges from lower to higher variables that leave none alone.

    Args:
        variables: 2 to 5.

    Returns:
        `[graphs, variables, variables]`, true where there is an edge row -> column.

    Raises:
        ValueError: on another number of variables.

    Example:
        >>> binary_graphs(3).shape
        (4, 3, 3)

    Source: Guo et al. 2023, multivariate experiment.
    """
    check_count("variables", variables, 2)
    if variables > _MOST_VARIABLES:
        raise ValueError(
            f"variables must be at most {_MOST_VARIABLES}, as all graphs are listed, "
            f"got {variables}"
        )
    rows, columns = np.triu_indices(variables, 1)
    found = []
    for edges in itertools.product((False, True), repeat=len(rows)):
        graph = np.zeros((variables, variables), bool)
        graph[rows, columns] = edges
        if (graph.any(0) | graph.any(1)).all():
            found.append(graph)
    return np.stack(found)


def binary_variables(factors: Any, graph: Any) -> Any:
    """V_d = F_d, or F_d XOR the product of d's parents where it has some.

    Args:
        factors: 0 or 1, `[variables, ...]`.
        graph: `[variables, variables]`, edges from lower to higher variables.

    Returns:
        The variables, integers of the factors' shape.

    Raises:
        ValueError: on a graph of another shape.

    Example:
        >>> binary_variables(jnp.array([1, 1]), jnp.array([[0, 1], [0, 0]])).tolist()
        [1, 0]

    Source: Guo et al. 2023, multivariate experiment.
    """
    check_array("factors", factors)
    check_array("graph", graph)
    factors, graph = jnp.asarray(factors), jnp.asarray(graph)
    count = factors.shape[0] if factors.ndim else 0
    check_shape("graph", graph, (count, count))
    held: list[Any] = []
    for d in range(count):
        parents = graph[:d, d].astype(bool).reshape(d, *[1] * (factors.ndim - 1))
        before = jnp.stack(held) if held else jnp.ones((0, *factors.shape[1:]), int)
        product = jnp.all(~parents | (before == 1), axis=0) & jnp.any(parents, axis=0)
        held.append(factors[d] ^ product.astype(factors.dtype))
    return jnp.stack(held)


def sample_binary(
    key: jax.Array, environments: int, *, variables: int = 3, samples: int = 2
) -> tuple[jax.Array, jax.Array]:
    """A random graph and its binary variables; their parameters are Beta(1, 3).

    Args:
        key: a typed key.
        environments: how many, >= 2.
        variables: 2 to 5.
        samples: of an environment, >= 1.

    Returns:
        `(variables [variables, samples, environments], graph [variables, variables])`.

    Raises:
        ValueError: on a number out of range.

    Example:
        >>> values, graph = sample_binary(jax.random.key(0), 10)
        >>> values.shape, graph.shape
        ((3, 2, 10), (3, 3))

    Source: Guo et al. 2023, multivariate experiment.
    """
    check_key("key", key)
    check_count("environments", environments, 2)
    check_count("samples", samples)
    graphs = jnp.asarray(binary_graphs(variables))
    numbers = variables * environments * samples
    check_memory("environments", environments, 3 * numbers, 8)
    k_graph, k_theta, k_factor = jax.random.split(key, 3)
    graph = graphs[jax.random.randint(k_graph, (), 0, len(graphs))]
    # Beta(1, 3) by its inverse distribution function.
    uniform = jax.random.uniform(k_theta, (variables, 1, environments), float)
    theta = -jnp.expm1(jnp.log1p(-uniform) / 3)
    shape = (variables, samples, environments)
    factors = (jax.random.uniform(k_factor, shape, float) < theta).astype(int)
    return binary_variables(factors, graph), graph


def table_of(values: np.ndarray) -> np.ndarray:
    """Counts of binary variables at two positions, over environments.

    Args:
        values: 0 or 1, `[variables, 2, environments]`, NumPy.

    Returns:
        `[2] * (2 variables)`: the variables at position 1, then at position 2.

    Raises:
        ValueError: on another shape.

    Example:
        >>> table_of(np.array([[[0, 1], [0, 0]]])).tolist()
        [[1.0, 0.0], [1.0, 0.0]]

    Source: this library.
    """
    check_type("values", values, np.ndarray)
    if values.ndim != 3 or values.shape[1] != 2:
        raise ValueError(
            "values must have shape [variables, 2, environments], got "
            f"{list(values.shape)}"
        )
    count = len(values)
    bits = np.concatenate([values[:, 0], values[:, 1]])
    code = (bits * 2 ** np.arange(2 * count - 1, -1, -1)[:, None]).sum(0)
    found = np.bincount(code, minlength=4**count)
    return found.reshape([2] * (2 * count)).astype(float)
