"""Linear systems that are driven by controls: x' = A x + B u, y = C x.

An environment fixes the mean and the variance of every control, which are white,
Gaussian and independent. The system is the same in all of them.

Source: Rajendran, Reizinger, Brendel, Ravikumar 2024, *An Interventional Perspective on
Identifiability in Gaussian LTI Systems with Independent Component Analysis*.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jidcl.checks import (
    check_at_least,
    check_choice,
    check_count,
    check_features,
    check_float,
    check_key,
    check_memory,
    check_rows,
    check_scalar,
    check_shape,
    check_type,
)
from jidcl.compiled import compiled
from jidcl.latents.small import rescaled

DESIGNS = ("minimal", "maximal", "uniform", "proportional")
MEANS = ("zero", "normal")
LEAST_VARIANCE = 1e-4  # of the maximal design


class LTI(NamedTuple):
    """A linear system in discrete time: x_(t+1) = A x_t + B u_t, y_t = C x_t.

    Attributes:
        a: A, `[states, states]`.
        b: B, `[states, inputs]`.
        c: C, `[outputs, states]`.

    Example:
        >>> LTI(jnp.zeros((2, 2)), jnp.ones((2, 1)), jnp.eye(2)).b.shape
        (2, 1)

    Source: Rajendran et al. 2024, section 2.
    """

    a: Any
    b: Any
    c: Any


class Environments(NamedTuple):
    """What the controls of each environment are drawn from.

    Attributes:
        mean: `[environments, inputs]`.
        variance: `[environments, inputs]`, > 0.

    Example:
        >>> Environments(jnp.zeros((2, 1)), jnp.ones((2, 1))).variance.shape
        (2, 1)

    Source: Rajendran et al. 2024, section 2.
    """

    mean: Any
    variance: Any


def checked_system(name: str, system: Any) -> LTI:
    """The system with arrays of JAX's own float type.

    Args:
        name: of the argument.
        system: an `LTI`.

    Returns:
        The same, checked.

    Raises:
        ValueError: on matrices that do not fit.
    """
    check_type(name, system, LTI)
    for part, matrix in zip("abc", system, strict=True):
        check_float(f"{part} of {name}", matrix)
    n = system.a.shape[0] if system.a.ndim else 0
    check_shape(f"a of {name}", system.a, (n, n))
    if system.b.ndim != 2 or system.c.ndim != 2:
        raise ValueError(f"b and c of {name} must be matrices")
    check_shape(f"b of {name}", system.b, (n, system.b.shape[1]))
    check_shape(f"c of {name}", system.c, (system.c.shape[0], n))
    return LTI(*(jnp.asarray(matrix, float) for matrix in system))


def sample_system(
    key: jax.Array,
    states: int,
    *,
    inputs: int | None = None,
    outputs: int | None = None,
    random_b: bool = True,
    random_c: bool = True,
    triangular: bool = False,
    radius: float = 0.9,
) -> LTI:
    """A random system of a given spectral radius, with normal entries.

    It is controllable and observable with probability 1, so nothing is drawn again.

    Args:
        key: a typed key.
        states: how many, >= 1.
        inputs: how many, at most states; None: as many.
        outputs: how many, at most states; None: as many.
        random_b: else B has ones on its diagonal.
        random_c: else C has ones on its diagonal.
        triangular: A has nothing above its diagonal.
        radius: spectral radius of A, > 0.

    Returns:
        `LTI`.

    Raises:
        ValueError: on a number out of range.

    Example:
        >>> sample_system(jax.random.key(0), 3, inputs=2).b.shape
        (3, 2)

    Source: Rajendran et al. 2024, section 5, and its published code.
    """
    check_key("key", key)
    check_count("states", states)
    held = []
    for name, count in (("inputs", inputs), ("outputs", outputs)):
        count = states if count is None else count
        check_count(name, count)
        if count > states:
            raise ValueError(f"{name} must be at most {states}, got {count}")
        held.append(count)
    check_memory("states", states, 3 * states**2, 8)
    keys = jax.random.split(key, 3)
    a = jax.random.normal(keys[0], (states, states), float)
    a = rescaled(jnp.tril(a) if triangular else a, radius)
    b = jax.random.normal(keys[1], (states, held[0]), float)
    c = jax.random.normal(keys[2], (held[1], states), float)
    b = b if random_b else jnp.eye(states, held[0])
    return LTI(a, b, c if random_c else jnp.eye(held[1], states))


def sample_environments(
    key: jax.Array,
    environments: int,
    inputs: int,
    *,
    design: str = "minimal",
    means: str = "zero",
) -> Environments:
    """What controls are drawn from, in several environments.

    | design | variance of input j in environment e |
    |---|---|
    | minimal | a normal number's size over 2; diverse for inputs + 1 environments |
    | maximal | 1 where e = j + 1, else 1e-4; inputs + 1 environments |
    | uniform | uniform in (0.1, 2) |
    | proportional | such a number of e times one of j: never diverse |

    Args:
        key: a typed key.
        environments: how many, >= 1.
        inputs: how many, >= 1.
        design: of `DESIGNS`.
        means: zero, or normal: a normal number for each environment and input.

    Returns:
        `Environments`.

    Raises:
        ValueError: on an unknown name, or a number that a design does not have.

    Example:
        >>> found = sample_environments(jax.random.key(0), 3, 2, design="maximal")
        >>> found.variance.round(2).tolist()
        [[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]]

    Source: Rajendran et al. 2024, sections 4 and 5; uniform by this library.
    """
    check_key("key", key)
    check_count("environments", environments)
    check_count("inputs", inputs)
    check_choice("design", design, DESIGNS)
    check_choice("means", means, MEANS)
    if design == "maximal" and environments != inputs + 1:
        raise ValueError(
            f"environments must be {inputs + 1} (inputs + 1) for the maximal design, "
            f"got {environments}"
        )
    shape = (environments, inputs)
    check_memory("environments", environments, 2 * environments * inputs, 8)
    keys = jax.random.split(key, 3)
    mean = jnp.zeros(shape)
    if means == "normal":
        mean = jax.random.normal(keys[0], shape, float)
    if design == "minimal":
        variance = jnp.abs(jax.random.normal(keys[1], shape, float)) / 2
    elif design == "maximal":
        rows = jnp.concatenate([jnp.zeros((1, inputs)), jnp.eye(inputs)])
        variance = LEAST_VARIANCE + (1 - LEAST_VARIANCE) * rows
    else:
        variance = jax.random.uniform(keys[1], shape, float, 0.1, 2.0)
        if design == "proportional":
            each = jax.random.uniform(keys[2], (1, inputs), float, 0.1, 2.0)
            variance = variance[:, :1] * each
    return Environments(mean, variance)


def simulate(
    system: LTI, controls: Any, *, start: Any = None
) -> tuple[jax.Array, jax.Array]:
    """States and outputs under given controls.

    x_(t+1) = A x_t + B u_t, y_t = C x_t: row t of the controls acts on row t + 1.

    Args:
        system: an `LTI`.
        controls: u, `[time, inputs]`; `jax.vmap` adds environments.
        start: x_0, `[states]`; zero when None.

    Returns:
        `(x [time, states], y [time, outputs])`.

    Raises:
        ValueError: on shapes that do not fit.

    Example:
        >>> one = jnp.eye(1)
        >>> x, y = simulate(LTI(0.5 * one, one, 2 * one), jnp.ones((3, 1)))
        >>> y[:, 0].tolist()
        [0.0, 2.0, 3.0]

    Source: Rajendran et al. 2024, section 2.
    """
    system = checked_system("system", system)
    check_rows("controls", controls, 0, system.b.shape[1])
    n = len(system.a)
    if start is None:
        start = jnp.zeros(n)
    check_float("start", start)
    check_shape("start", start, (n,))
    return _simulate(system, jnp.asarray(controls, float), jnp.asarray(start, float))


@compiled
def _simulate(system: LTI, controls: jax.Array, start: jax.Array):
    def step(x, push):
        return system.a @ x + push, x

    _, states = jax.lax.scan(step, start, controls @ system.b.T)
    return states, states @ system.c.T


class Series(NamedTuple):
    """What was done and what was seen, in every environment.

    Attributes:
        controls: u, `[environments, time, inputs]`.
        outputs: y, `[environments, time, outputs]`.

    Example:
        >>> Series(jnp.zeros((2, 5, 1)), jnp.zeros((2, 5, 1))).controls.shape
        (2, 5, 1)

    Source: Rajendran et al. 2024, section 5.
    """

    controls: Any
    outputs: Any


def sample_series(
    key: jax.Array,
    system: LTI,
    environments: Environments,
    length: int,
    *,
    noise: float = 0.0,
) -> Series:
    """Controls and outputs of every environment, each from x_0 = 0.

    Args:
        key: a typed key.
        system: an `LTI`.
        environments: `Environments` of the system's inputs.
        length: steps of each, >= 2.
        noise: variance of the noise of each output, >= 0.

    Returns:
        `Series`.

    Raises:
        ValueError: on shapes that do not fit, or a number out of range.

    Example:
        >>> keys = jax.random.split(jax.random.key(0), 3)
        >>> some = sample_environments(keys[0], 3, 2)
        >>> sample_series(keys[1], sample_system(keys[2], 2), some, 9).outputs.shape
        (3, 9, 2)

    Source: Rajendran et al. 2024, section 5. Its published code takes noise of
        variance v to have the covariance sqrt(v) I; here v is the variance.
    """
    check_key("key", key)
    system = checked_system("system", system)
    check_type("environments", environments, Environments)
    mean, variance = (jnp.asarray(part, float) for part in environments)
    check_features("mean of environments", mean, system.b.shape[1])
    check_shape("variance of environments", variance, mean.shape)
    check_count("length", length, 2)
    check_scalar("noise", noise)
    check_at_least("noise", noise, 0)
    numbers = len(mean) * length * (len(system.a) + mean.shape[-1])
    check_memory("length", length, 2 * numbers, 8)
    k_controls, k_noise = jax.random.split(key)
    shape = (len(mean), length, mean.shape[-1])
    normal = jax.random.normal(k_controls, shape, float)
    controls = mean[:, None] + jnp.sqrt(variance)[:, None] * normal
    outputs = jax.vmap(lambda u: simulate(system, u)[1])(controls)
    errors = jax.random.normal(k_noise, outputs.shape, float)
    return Series(controls, outputs + jnp.sqrt(jnp.asarray(noise, float)) * errors)
