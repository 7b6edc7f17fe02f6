"""Pictures as observations x = g(z), and the encoders that read them.

g is a scene, rendered, or a set of pictures on disk, where every latent vector shows as
the picture whose own latents are nearest.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from jidcl.data.nearest import nearest_rows
from jidcl.data.picture_grid import (
    PictureGrid,
    load_picture_grid,
    picture_grid_digest,
)
from jidcl.data.picture_set import (
    PictureSet,
    load_picture_sets,
    picture_sets_digest,
)
from jidcl.data.views import ViewSettings, random_view
from jidcl.encoders import MLP, Encoder, from_nnx, make_cnn, make_resnet
from jidcl.mixing.scenes import factor_index, make_scene, render
from jidcl.systems.shared.settings import WITH_LEVELS, Pictures
from jidcl.types import Array

HELD_LEAST = 10  # pictures for scores to a latent


def make_image_encoder(config: Pictures, m: int | None, **output: Any) -> Encoder:
    """The encoder of pictures.

    Args:
        config: settings with the part `Pictures`.
        m: outputs, >= 1; None: without a last layer.
        **output: the output space: `output` and `output_size`.

    Returns:
        An `Encoder` of pictures `[batch, size, size, channels]` in [0, 1].
    """
    scene = build_scene(config)
    dtype = jnp.bfloat16 if config.bfloat16 else jnp.float32
    if config.encoder == "mlp":
        net = _make_flat_mlp(config, scene.channels * config.size**2, m, **output)
    elif config.encoder == "cnn":
        net = make_cnn(config.size, scene.channels, m, dtype=dtype, **output)
    else:
        net = make_resnet(
            int(config.encoder[6:]),
            m,
            stem="full" if config.size >= 64 else "small",
            channels=scene.channels,
            hidden=0 if m is None else config.hidden,
            dtype=dtype,
            **output,
        )

    def apply(params, state, x, train=False):
        # About zero mean and a deviation of 1, what the start of the network expects.
        return net.apply(params, state, 4 * (x - 0.3), train=train)

    return Encoder(net.init, apply)


def _make_flat_mlp(config: Pictures, d: int, m: int | None, **output: Any) -> Encoder:
    """Three layers with batch normalisation and ReLU over all values of a picture.

    Source: Reizinger et al. 2024, section 5.2 and published code.
    """
    net = from_nnx(
        lambda rngs: MLP(
            d,
            m,
            hidden=(config.hidden,) * 3,
            slope=0.0,
            init="fan_in_uniform",
            batch_norm=True,
            **output,
            rngs=rngs,
        )
    )

    def apply(params, state, x, train=False):
        return net.apply(params, state, x.reshape(len(x), -1), train=train)

    return Encoder(net.init, apply)


def build_scene(config: Pictures) -> Any:
    """The scene of a configuration.

    Args:
        config: settings with the part `Pictures`.

    Returns:
        What `jidcl.mixing.scenes.make_scene` returns.
    """
    own = dict(level=config.level, hue=config.hue)
    own = own if config.mixing in WITH_LEVELS else {}
    return make_scene(config.mixing, size=config.size, **own)


def draw_pictures(config: Pictures, z: Array) -> Array:
    """The rendered pictures of latents.

    Args:
        config: settings with the part `Pictures`; z sets `config.factors`, all those of
            the scene where it names none.
        z: `[batch, n]`, in [-1, 1].

    Returns:
        `[batch, size, size, channels]`, in [0, 1].

    Raises:
        ValueError: on a factor the scene does not have, or another number of them.
    """
    scene = build_scene(config)
    names = config.factors or scene.factors
    columns = [factor_index(scene.factors, name) for name in names]
    if z.shape[-1] != len(columns):
        raise ValueError(
            f"n must be the number of factors, {len(columns)} ({', '.join(names)}), "
            f"got n={z.shape[-1]}"
        )

    def picture(row):
        full = jnp.zeros(len(scene.factors), row.dtype).at[jnp.asarray(columns)]
        return render(scene, full.set(row))

    return jax.vmap(picture)(z)


def shared_pictures(config: Pictures) -> dict[str, PictureSet] | PictureGrid | None:
    """The sets `train` and `test` of the configured folder, or the pictures of a grid.

    None without a folder.

    Args:
        config: settings with the part `Pictures`.

    Returns:
        `{"train": PictureSet, "test": PictureSet}`, a `PictureGrid`, or None.

    Raises:
        ValueError: as `load_picture_sets`, and on another number of latents than the
            scene or the system has.
    """
    if not config.folder:
        return None
    size = config.size
    if config.layout == "grid":
        own: Any = dict(scene=config.mixing, counts=build_scene(config).grid)
        return load_picture_grid(config.folder, **own, size=size)
    sets = load_picture_sets(config.folder, layout=config.layout, size=size)
    factors = len(build_scene(config).factors)
    for name, want in (("factors of the scene", factors), ("n", _width(config))):
        if sets["train"].z.shape[1] != want:
            raise ValueError(
                f"{name} must be as many as the latents of the pictures in "
                f"{config.folder}, {sets['train'].z.shape[1]}, got {want}"
            )
    if len(sets["test"].z) < HELD_LEAST * factors:
        raise ValueError(
            f"folder must hold {HELD_LEAST} pictures for scores to a latent, "
            f"{HELD_LEAST * factors}, got {len(sets['test'].z)} in {config.folder}: of "
            "fewer the scores say nothing"
        )
    return sets


def _width(config: Any) -> int:
    """How many latents the system draws."""
    return getattr(config, "n", len(build_scene(config).factors))


def pictures_identity(config: Pictures) -> dict[str, Any]:
    """What the observations depend on beside the settings: a folder's contents.

    Args:
        config: settings with the part `Pictures`.

    Returns:
        Empty for a scene; for a folder `data`, a digest of its contents.
    """
    if not config.folder:
        return {}
    if config.layout == "grid":
        digest = picture_grid_digest(config.folder, scene=config.mixing)
    else:
        digest = picture_sets_digest(config.folder, layout=config.layout)
    return {"data": digest}


def look_up(config: Pictures, held: PictureSet | PictureGrid, z: Array) -> Array:
    """The pictures of a set that are nearest to latents.

    Args:
        config: settings with the part `Pictures`.
        held: the set, or a grid of pictures.
        z: `[batch, n]`, in [-1, 1].

    Returns:
        `[batch, size, size, channels]`, in [0, 1].
    """
    scene = build_scene(config)
    if isinstance(held, PictureGrid):
        steps = jnp.asarray(scene.grid, z.dtype)[None] - 1
        levels = jnp.round(0.5 * (z + 1) * steps).astype(jnp.int32)
        rows = jnp.ravel_multi_index(tuple(levels.T), scene.grid, mode="clip")
    else:
        rows = nearest_rows(held.z, z)
    return held.x[rows][..., : scene.channels].astype(z.dtype) / 255


def two_views(
    key: Array, x: Array, settings: ViewSettings, *, turned: bool = False
) -> Array:
    """Two random views of each picture: `[batch, size, size, 3] -> [2, batch, ...]`.

    Args:
        key: a typed key.
        x: pictures in [0, 1].
        settings: what may be done to a view.
        turned: the two views are turned by different quarters first.

    Returns:
        `[2, batch, size, size, 3]`, in [0, 1].
    """
    first_key, step_key, key = jax.random.split(key, 3)
    batch = len(x)
    first = jax.random.randint(first_key, (batch,), 0, 4)
    step = jax.random.randint(step_key, (batch,), 1, 4)
    turns = jnp.stack([first, (first + step) % 4])

    def view(key, turn, image):
        if turned:
            image = jnp.stack([jnp.rot90(image, k) for k in range(4)])[turn]
        return random_view(key, image, settings)[0] / 255

    keys = jax.random.split(key, (2, batch))
    both = jax.vmap(jax.vmap(view), in_axes=(0, 0, None))
    return both(keys, turns, jnp.round(255 * x))


def coarse(x: Array, side: int = 4) -> Array:
    """Features of observations: themselves; of pictures, means over side^2 blocks.

    Rows and columns beyond a multiple of `side` are left out.

    Args:
        x: features `[batch, d]`, or pictures `[batch, height, width, channels]`.
        side: blocks along each edge, >= 1 and at most the height.

    Returns:
        `[batch, d]`, or `[batch, side * side * channels]`.
    """
    if x.ndim == 2:
        return x
    block, channels = x.shape[1] // side, x.shape[-1]
    x = x[:, : side * block, : side * block]
    blocks = x.reshape(-1, side, block, side, block, channels)
    return jnp.mean(blocks, axis=(2, 4)).reshape(len(x), -1)


def in_parts(read: Callable[[Array], Any], z: Array, *, rows: int = 256) -> Any:
    """`read(z)` of at most `rows` rows at once: what it holds meanwhile stays small.

    Args:
        read: `[rows, ...] -> tree` of arrays with the rows in front.
        z: `[batch, ...]`.
        rows: how many at once, >= 1.

    Returns:
        The tree, each array `[batch, ...]`.
    """
    count = -(-len(z) // rows)
    size = -(-len(z) // count)  # as even as it goes
    filled = jnp.pad(z, [(0, count * size - len(z))] + [(0, 0)] * (z.ndim - 1))
    parts = jax.lax.map(read, filled.reshape(count, size, *z.shape[1:]))
    return jax.tree.map(lambda p: p.reshape(-1, *p.shape[2:])[: len(z)], parts)
