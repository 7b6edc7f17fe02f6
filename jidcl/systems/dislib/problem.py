"""Does a label alone make the other factors of a picture linearly readable?

Wiring of the image experiment of Reizinger et al. 2024. Where its equations live:
pictures and grids of factors in `jidcl.mixing.scenes`, encoders in
`jidcl.encoders.images`, the loss in `jidcl.losses.classification`, the linear read-out
in `jidcl.metrics.decoding`, the law of an instance's latents in
`jidcl.latents.densities`.

Source: Reizinger et al. 2024, section 5.2 and Table 4.
"""

import math
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jidcl.latents import Box, Normal, log_prob, sample
from jidcl.losses import accuracy, class_logits, instance_cross_entropy
from jidcl.metrics import correlation_matrix, decode_factors, read_back, shuffled
from jidcl.mixing.scenes import factor_index
from jidcl.systems.dislib.presets import CATEGORY, Dislib
from jidcl.systems.shared.pictures import (
    build_scene,
    coarse,
    in_parts,
    make_image_encoder,
    on_part,
    pictures_identity,
    set_metrics,
    shared_pictures,
)
from jidcl.systems.shared.wiring import (
    gap_metrics,
    mean_over_batches,
    observe,
    over_batches,
    run_optimiser,
)
from jidcl.types import Array, Metrics, Problem

# Settings that may differ along a batch of runs: none.
TRACED = ()
make_run_optimiser = run_optimiser
_TRAIN, _HELD = 8, 1  # tenths of the grid; the rest is the published test set

_RIDGE = 1e-5  # of pixels, some of which are lit in hardly any picture


class Labelled(NamedTuple):
    """Pictures `[batch, size, size, channels]`, labels `[batch]`, latents."""

    x: Array
    target: Array
    z: Array


class Grid(NamedTuple):
    """The factors that vary, how many values each has, and where the category is."""

    names: tuple[str, ...]
    counts: tuple[int, ...]
    category: int

    @property
    def train(self) -> int:
        """Points that are trained on."""
        return _TRAIN * math.prod(self.counts) // 10

    @property
    def held(self) -> int:
        """Points that are scored on."""
        return _HELD * math.prod(self.counts) // 10


def make_grid(config: Dislib) -> Grid:
    """The grid of a configuration.

    Raises:
        ValueError: on a factor that the scene does not have, or more instances than
            points to train on.
    """
    scene = build_scene(config)
    names = config.factors or scene.factors
    counts = tuple(scene.grid[factor_index(scene.factors, name)] for name in names)
    grid = Grid(names, counts, names.index(CATEGORY))
    if config.labels == "instance" and config.instances > grid.train:
        raise ValueError(
            f"instances must be <= {grid.train}, 80 % of the grid of {names}, got "
            f"{config.instances}"
        )
    return grid


def make_problem(config: Dislib) -> Problem:
    """The problem of a configuration; see `jidcl.types.Problem`."""
    grid = make_grid(config)
    encoder = make_image_encoder(config, None)
    classes = num_labels(config, grid)

    def freeze(key):
        # Which pictures are trained on and which are held out.
        order = jax.random.permutation(key, math.prod(grid.counts))
        return {"g": {}, "order": order}

    def init(key):
        e_key, w_key, b_key = (jax.random.fold_in(key, i) for i in range(3))
        params, state = encoder.init(e_key)
        x = jnp.zeros((2, config.size, config.size, build_scene(config).channels))
        width = jax.eval_shape(encoder.apply, params, state, x)[0].shape[1]
        bound = width**-0.5
        w, bias = (
            jax.random.uniform(k, shape, minval=-bound, maxval=bound)
            for k, shape in ((w_key, (classes, width)), (b_key, (classes,)))
        )
        return {"encoder": params, "w": w, "bias": bias}, state

    def draw(frozen, key):
        frozen = on_part(config, frozen, "train")
        z, target = draw_latents(config, grid, frozen, key, config.batch)
        return Labelled(observe(config, frozen, z), target, z)

    def loss(params, state, batch, key):
        y, state = encoder.apply(params["encoder"], state, batch.x, train=True)
        return _cross_entropy(params, y, batch.target), (state, {})

    def f(params, state, x):
        return encoder.apply(params["encoder"], state, x)[0]

    def probe(params, state, frozen, key):
        frozen = on_part(config, frozen, "test")

        def read(z):
            return f(params, state, observe(config, frozen, z))

        # As many rows as the last evaluation fits, for scores that compare.
        (y, t), (y_new, t_new) = _read_both(config, grid, frozen, key, read, 1)
        return _by_name(grid, _decoded(y, t, y_new, t_new))

    def evaluate(params, state, frozen, key):
        frozen = on_part(config, frozen, "test")
        read = partial(f, params, state)
        scores = _evaluate(config, grid, read, params, frozen, key)
        return scores | set_metrics(frozen)

    rest: Any = dict(precision=config.precision, shared=shared_pictures(config))
    return Problem(freeze, init, draw, loss, probe, evaluate, **rest)


def frozen_identity(config: Dislib) -> dict[str, object]:
    """The settings that the frozen draws depend on."""
    # Which points are held out depends on the grid, not on who drew its pictures.
    own = {"mixing": config.mixing, "factors": list(config.factors)}
    return {**pictures_identity(config), **own}


def floor_kind(config: Dislib) -> str:
    """`"limit"`: the entropy of the label given the picture, where z can be seen.

    0 for classes; H(instance | z) for instances. Where pictures do not tell all of z
    (the orientation of a sprite), that is the loss of the true latents, an `"oracle"`.
    """
    free = config.factors or ("orientation",)
    hidden = config.mixing == "sprites" and "orientation" in free
    return "oracle" if config.labels == "instance" and hidden else "limit"


def num_labels(config: Dislib, grid: Grid) -> int:
    """How many labels there are."""
    if config.labels == "instance":
        return config.instances
    return grid.counts[grid.category]


def levels_of(grid: Grid, index: Array) -> Array:
    """Which value each factor has at points of the grid: `[...] -> [..., n]`, whole.

    The last factor changes fastest.
    """
    return jnp.stack(jnp.unravel_index(index, grid.counts), -1)


def latents_of(grid: Grid, levels: Array) -> Array:
    """Values evenly spaced in [-1, 1], `[..., n]`, of levels counted from 0."""
    steps = jnp.asarray(grid.counts, jnp.float32) - 1
    return (
        2 * levels.astype(jnp.float32) / steps.reshape((1,) * (levels.ndim - 1) + (-1,))
        - 1
    )


def draw_points(grid: Grid, frozen: Any, key: Array, count: int, *, held: bool):
    """Levels of points of the grid, with replacement: trained on, or held out."""
    low, high = (grid.train, grid.train + grid.held) if held else (0, grid.train)
    place = jax.random.randint(key, (count,), low, high)
    return levels_of(grid, frozen["order"][place])


def draw_latents(
    config: Dislib,
    grid: Grid,
    frozen: Any,
    key: Array,
    count: int,
    *,
    held: bool = False,
) -> tuple[Array, Array]:
    """Latents `[count, n]` and their labels, `[count]`.

    Of a class: points of the grid. Of an instance: latents about one of the first
    points that are trained on, of its category (there are no others to hold out).
    """
    if config.labels == "class":
        levels = draw_points(grid, frozen, key, count, held=held)
        return latents_of(grid, levels), levels[:, grid.category]
    which_key, z_key = jax.random.split(key)
    target = jax.random.randint(which_key, (count,), 0, config.instances)
    centre = _centres(config, grid, frozen)[target]
    rest = _others(grid)
    drawn = sample(z_key, Normal(config.spread), Box(len(rest), -1, 1), centre[:, rest])
    return centre.at[:, rest].set(drawn), target


def label_entropy(config: Dislib, grid: Grid, frozen: Any, z, target) -> Array:
    """Mean of -log p(label | z) under the law that the labels are drawn from.

    Labels are equally likely. A class follows from z: 0. Of instances with centres c_i,
    p(i | z) is proportional to p(z | c_i) for those of z's category.
    """
    if config.labels == "class":
        return jnp.zeros(())
    centre, rest = _centres(config, grid, frozen), _others(grid)
    law = Normal(config.spread), Box(len(rest), -1, 1)
    near = log_prob(*law, z[:, None, rest], centre[None, :, rest])
    same = jnp.abs(z[:, None, grid.category] - centre[None, :, grid.category]) < 1e-3
    log_p = jax.nn.log_softmax(jnp.where(same, near, -jnp.inf), axis=1)
    return -jnp.mean(jnp.take_along_axis(log_p, target[:, None], axis=1))


def _centres(config: Dislib, grid: Grid, frozen: Any) -> Array:
    points = frozen["order"][: config.instances]
    return latents_of(grid, levels_of(grid, points))


def _others(grid: Grid) -> Array:
    """Columns but for the category's."""
    columns = [k for k in range(len(grid.names)) if k != grid.category]
    return jnp.asarray(columns)


def _cross_entropy(params: Any, y: Array, target: Array) -> Array:
    return instance_cross_entropy(y, params["w"], target, bias=params["bias"])


def _read_both(config: Dislib, grid: Grid, frozen: Any, key, read, batches: int):
    """((y, levels) of points trained on, (y, levels) of held-out ones)."""
    keys = jax.random.split(key)
    rows = (config.fit_rows, batches * config.eval_batch)
    parts = []
    for k, count, held in zip(keys, rows, (False, True), strict=True):
        levels = draw_points(grid, frozen, k, count, held=held)
        y = in_parts(read, latents_of(grid, levels))
        parts.append((y, levels.astype(jnp.float32)))
    return parts


def _decoded(y: Array, t: Array, y_new: Array, t_new: Array) -> dict[str, Array]:
    """Scores of the published read-out, and of one that has an intercept."""
    return {
        "": decode_factors(y, t, y_new, t_new),
        "_intercept": decode_factors(y, t, y_new, t_new, intercept=True),
    }


def _by_name(grid: Grid, by_kind: dict[str, Array]) -> Metrics:
    """One metric for each factor and kind of read-out."""
    return {
        f"{name}{kind}": score
        for kind, scores in by_kind.items()
        for name, score in zip(grid.names, scores, strict=True)
    }


def _evaluate(config: Dislib, grid: Grid, f, params, frozen, key) -> Metrics:
    """Correlation of every factor with its read-out, beside the controls; the loss."""
    read_key, loss_key, null_key = jax.random.split(key, 3)

    def both(z):
        x = observe(config, frozen, z)
        return {"y": f(x), "raw": coarse(x, config.raw_side)}

    batches = config.eval_batches
    (seen, t), (new, t_new) = _read_both(config, grid, frozen, read_key, both, batches)
    null_keys = jax.random.split(null_key)
    mixed = [shuffled(k, y["y"]) for k, y in zip(null_keys, (seen, new), strict=True)]
    by_kind = _decoded(seen["y"], t, new["y"], t_new) | {
        "_identity": decode_factors(seen["raw"], t, new["raw"], t_new, ridge=_RIDGE),
        "_shuffled": decode_factors(mixed[0], t, mixed[1], t_new),
    }
    metrics = _by_name(grid, by_kind)

    def score(key):
        z, target = draw_latents(
            config, grid, frozen, key, config.eval_batch, held=True
        )
        y = in_parts(lambda z: f(observe(config, frozen, z)), z)
        logits = class_logits(y, params["w"], bias=params["bias"])
        return {
            "loss": _cross_entropy(params, y, target),
            "floor": label_entropy(config, grid, frozen, z, target),
            "accuracy": accuracy(logits, target),
        }

    scores = over_batches(score, loss_key, batches)
    chance = jnp.log(jnp.full_like(scores["loss"], num_labels(config, grid)))
    metrics |= gap_metrics(scores.pop("loss"), scores.pop("floor"), chance)
    metrics |= mean_over_batches(scores)
    z, z_hat = latents_of(grid, t_new[:1000]), read_back(t_new, new["y"])[:1000]
    samples = {"z": z, "y": new["y"][:1000], "z_hat": latents_of(grid, z_hat)}
    samples["matrix"] = correlation_matrix(z, z_hat)
    return metrics | {f"sample/{name}": value for name, value in samples.items()}
