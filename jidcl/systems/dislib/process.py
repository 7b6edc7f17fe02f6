"""Points of a grid of factors, their labels, and what the labels' entropy is.

Wiring of the image experiment of Reizinger et al. 2024, section 5.2. Where its
equations live: pictures and grids of factors in `jidcl.mixing.scenes`, encoders in
`jidcl.encoders.images`, the loss in `jidcl.losses.classification`, the linear read-out
in `jidcl.metrics.decoding`, the law of an instance's latents in
`jidcl.latents.densities`.
"""

import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jidcl.latents import Box, Normal, log_prob, sample
from jidcl.losses import instance_cross_entropy
from jidcl.mixing.scenes import factor_index
from jidcl.systems.dislib.presets import CATEGORY, Dislib
from jidcl.systems.shared.perturbed import perturb
from jidcl.systems.shared.pictures import build_scene
from jidcl.types import Array

NOISE = ("noise",)  # a rotation would mix the category with other factors
_TRAIN, _HELD = 8, 1  # tenths of the grid; the rest is the published test set


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


def floor_kind(config: Dislib) -> str:
    """`"limit"`: the entropy of the label given the picture, where z can be seen.

    0 for classes; H(instance | z) for instances. Where pictures do not tell all of z
    (the orientation of a sprite), that is the loss of the true latents, a
    `"reference"`.
    """
    free = config.factors or ("orientation",)
    hidden = config.mixing == "sprites" and "orientation" in free
    return "reference" if config.labels == "instance" and hidden else "limit"


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


def perturb_others(grid: Grid, key: Array, z: Array) -> Array:
    """z with noise in all factors but the category, inside their box.

    Args:
        grid: of `make_grid`.
        key: a typed key.
        z: latents, `[batch, n]`.

    Returns:
        `[count, batch, n]`, as of `jidcl.systems.shared.perturbed.perturb`.
    """
    worse = jnp.clip(perturb(key, z, NOISE), -1, 1)
    return worse.at[..., grid.category].set(z[:, grid.category])


def _centres(config: Dislib, grid: Grid, frozen: Any) -> Array:
    points = frozen["order"][: config.instances]
    return latents_of(grid, levels_of(grid, points))


def _others(grid: Grid) -> Array:
    """Columns but for the category's."""
    columns = [k for k in range(len(grid.names)) if k != grid.category]
    return jnp.asarray(columns)


def objective(params: Any, y: Array, target: Array) -> Array:
    """Cross-entropy of features `[batch, k]` with the rows of the labels, nats."""
    return instance_cross_entropy(y, params["w"], target, bias=params["bias"])
