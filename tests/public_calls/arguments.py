"""What an argument of a public function may be, and wrappers of some functions."""

import dataclasses
import math
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from jidcl import encoders, latents, losses, metrics, objectives, optim, theory


@dataclasses.dataclass(frozen=True)
class Argument:
    """A valid value, and what else would be.

    Attributes:
        kind: of the mutations that are tried: see `harness.MUTATIONS`.
        value: a valid one.
        low: least number.
        high: largest number.
        open: whether `low` itself is refused.
        free: what may change alone: axes by number, "rank", "nan" or "infinite" (both
            may be answered with finite numbers), "any" number.
    """

    kind: str
    value: Any
    low: float = -math.inf
    high: float = math.inf
    open: bool = False
    free: tuple = ()


@dataclasses.dataclass(frozen=True)
class Call:
    """A function and its arguments by name.

    Attributes:
        function: what is called.
        arguments: by name.
        says: other words by which a refusal may name an argument.
        host: computes with NumPy, so it is called with numbers and never traced.
        random: draws, so float64 has other numbers.
    """

    function: Callable
    arguments: dict[str, Argument]
    says: dict[str, str] = dataclasses.field(default_factory=dict)
    host: bool = False
    random: bool = False


def floats(*shape, seed=0, of=None, free=()):
    """An array of normal numbers, or `of` these."""
    drawn = np.random.default_rng([seed, *shape]).normal(size=shape)
    return Argument("floats", np.float32(drawn if of is None else of(drawn)), free=free)


def given(values, free=()):
    """An array of these numbers."""
    return Argument("floats", np.float32(values), free=free)


def rows(*shape, seed=0, free=()):
    """An array of unit vectors."""
    return floats(*shape, seed=seed, of=_unit, free=free)


def _unit(x):
    return x / np.linalg.norm(x, axis=-1, keepdims=True)


def positive(*shape, free=()):
    """An array of numbers > 0."""
    found = floats(*shape, of=lambda x: np.exp(0.3 * x), free=free)
    return dataclasses.replace(found, low=0, open=True)


def integers(values, free=()):
    """An array of labels, from 0."""
    return Argument("integers", np.int32(values), free=free)


def number(value, low=-math.inf, high=math.inf, *, above=None, free=()):
    """A number in [low, high], or above `above`."""
    low = low if above is None else above
    return Argument("number", value, low, high, above is not None, free)


def whole(value, least=1, high=math.inf):
    """A whole number in [least, high]."""
    return Argument("whole", value, least, high)


def text(value, free=()):
    """A name of several."""
    return Argument("text", value, free=free)


def thing(value, free=()):
    """A setting, a law, a function or a tree: nothing else will do."""
    return Argument("thing", value, free=free)


def sequence(value, free=()):
    """A list or tuple of numbers or names."""
    return Argument("sequence", value, free=free)


KEY = Argument("key", 0)


VIEW, OTHER = floats(8, 3), floats(8, 3, seed=1)


VIEWS = floats(2, 8, 3)


BATCHED = ("rank", 0)  # any leading shape


NUMBERS = ("integers", "floats", "bool")  # dtypes


TAU, UNIT_INTERVAL = number(0.5, above=0), number(0.5, 0, 1)


INDEPENDENT = losses.NegativePolicy("independent")


def law():
    """A block law, drawn by NumPy: importing this file compiles nothing."""
    eye = np.eye(2, dtype=np.float32)
    return latents.BlockLaw(eye, eye, eye, 0.5 * eye, np.zeros(2, np.float32))


def mixing_of(layers=2, n=3):
    """Parameters of a dense mixing."""
    drawn = np.random.default_rng(5).normal(size=(layers, n, n))
    kernels = np.float32(np.linalg.qr(drawn)[0])
    return {"kernels": kernels, "cond": np.ones(layers, np.float32)}


def coupling():
    """Parameters of coupling layers."""
    return {"kernels": np.float32(np.stack([np.eye(2), np.eye(2)[::-1]]))}


def kernel_ridge():
    """A fitted regression of four rows, written down."""
    y = np.float32([[-1.0], [-0.3], [0.4], [0.9]])
    one, flat = np.ones((1, 1), np.float32), np.zeros((1, 1), np.float32)
    of_block = np.float32([0.1])
    scores = np.zeros((1, 1, 1), np.float32)
    parts = y, flat, one, flat, one, 0.5 * y, of_block, of_block, scores
    return metrics.KernelRidge(*map(jax.numpy.asarray, parts), (1,))


def pair_draws():
    """What pairs are made of, written down."""
    p = np.float32([[0.1, 0.2, 0.3], [0.3, 0.2, 0.1]])
    noise = np.ones((2, 3, 2), np.float32)
    a = np.float32([[1, 0], [2, 3]])
    return latents.PairDraws(p, noise, np.int32(0), a, np.ones(3, np.float32), 2.0)


def linear_pair():
    """The law of a pair whose cause alone varies, written down."""
    of = [[2, 1, 2, 1], [1, 2, 1, 2], [2, 1, 3, 1], [1, 2, 1, 3]]
    return theory.LinearPair(np.float32(of), 0.0, 0.25, 0.816, 1.0)


def lti(n=2, m=2):
    """A stable system of n states and outputs, written down."""
    a = np.float32(0.5 * np.eye(n) + 0.1 * np.ones((n, n)))
    b = np.float32(np.eye(n, m) + 0.2)
    return latents.LTI(a, b, np.float32(np.eye(n) - 0.1))


def environments():
    """Three of two controls."""
    variance = np.float32([[1.0, 1.0], [1.0, 3.0], [0.5, 0.2]])
    return latents.Environments(np.zeros((3, 2), np.float32), variance)


def call(function, says=None, *, host=False, random=False, **arguments):
    """A row of `CALLS`."""
    return Call(function, arguments, says or {}, host, random)


def fitted(fit, name):
    """What a fitted function makes of the argument of that name."""

    def function(**arguments):
        return fit(**arguments)(arguments[name])

    return function


def started(make, *shape):
    """Outputs of an encoder that has just been drawn."""

    def function(**arguments):
        encoder = make(**arguments)
        params, state = encoder.init(jax.random.key(0))
        dtype = jax.tree.leaves(params)[0].dtype
        return encoder.apply(params, state, np.ones(shape, dtype))[0]

    return function


def made(make):
    """Shapes of an encoder's parameters, which are numbers to compare."""

    def function(**arguments):
        shapes = jax.eval_shape(make(**arguments).init, jax.random.key(0))
        return [np.int32(leaf.shape) for leaf in jax.tree.leaves(shapes)]

    return function


def of_example(module, example):
    encoder = encoders.from_linen(module, example)
    params, state = encoder.init(jax.random.key(0))
    return encoder.apply(params, state, example)[0]


def equal_blocks(first, second):
    return metrics.equal_blocks(first, second)


def of_objective(name, settings):
    objective = objectives.make_objective(name, settings)
    x = jax.random.normal(jax.random.key(0), (4, 2))
    views = objectives.Views(x, x + 1, x - 1)
    head, held = objective.init(jax.random.key(1), {}, 2)
    trained = {"f": {}, "head": head}
    return objective.loss(trained, held, lambda _, x: x, views, jax.random.key(2))[0]


def rate_of(**arguments):
    return optim.make_schedule(**arguments)(3)


def updated(**arguments):
    optimiser = optim.make_optimiser(**arguments)
    params = jax.numpy.ones((2, 2))
    with jax.numpy_dtype_promotion("standard"):  # Optax needs it
        return optimiser.update(params, optimiser.init(params), params)[0]


def entropy_of(z, y):
    """A score, as `bootstrap_interval` takes one."""
    return jax.numpy.mean((z - y[:, : z.shape[1]]) ** 2)


def entropy_on_host(z, y):
    """The same, of columns of any units."""
    return -float(np.mean(np.abs(np.corrcoef(z[:, 0], y[:, 0]))))


def squared_log(scale):
    return (jax.numpy.log(scale) - 1) ** 2


def oracle_loss(y, y_pos):
    return jax.numpy.mean((y - y_pos) ** 2)


def box(name, *more):
    numbers = {
        "low": number(0.0, high=1.0), "high": number(1.0, above=0.0),
        "lam": number(0.1, above=0), "beta": number(1.5, 1),
    }  # fmt: skip
    first = {"n": whole(2)} if name not in ("box_mean_energy",) else {}
    if name in ("box_energy", "box_log_mass"):
        first = {"z": given([0.2, 0.7], free=(0, "rank", "width", "number", *NUMBERS))}
    return call(getattr(theory, name), host=True, **first, **numbers, **dict(more))


SPACED = {"density": thing(latents.Normal(0.3)), "space": thing(latents.Box(3))}


VARIANCE = dataclasses.replace(positive(3, 2), free=(0, 1))


INSIDE = floats(5, 3, of=lambda x: 1 / (1 + np.exp(-x)), free=BATCHED)


VMF = {"n": whole(3, 2), "kappa": number(2.0, 0)}


def on_host(function):
    """The same with `xp=numpy`."""

    def wrapped(**arguments):
        return function(**arguments, xp=np)

    return wrapped
