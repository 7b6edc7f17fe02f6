"""Pairs of masks a lag apart: of the drawn walk, or of sequences on disk.

Source: Klindt et al. 2021 and Zimmermann et al. 2021, published code.
"""

from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jidcl.data import kitti_digest, read_kitti_masks, split_by_video
from jidcl.data.frame_pairs import FrameStarts, draw_frame_pairs, frame_starts
from jidcl.mixing.scenes import Masks, render
from jidcl.mixing.scenes.masks import walk
from jidcl.systems.kitti_masks.presets import FACTORS, KittiMasks
from jidcl.types import Array, Batch

HELD_LEAST = 10 * FACTORS  # frames to be scored


class Sequences(NamedTuple):
    """Sequences on disk, as all seeds read them.

    Attributes:
        x: masks, uint8 `[frames, 64, 64]`, 0 or 1.
        z: their latents, float32 `[frames, 3]`: centre y, centre x, area.
        starts: where pairs may start.
        count: of the sequences of the whole file.
    """

    x: Array
    z: Array
    starts: FrameStarts
    count: Array


def load_sequences(config: KittiMasks) -> dict[str, Sequences] | None:
    """The parts `train` and `test` of the configured folder; None without one.

    Args:
        config: settings of a run.

    Returns:
        The parts, videos apart; `train` alone where none is held out.

    Raises:
        ValueError: as `read_kitti_masks`, `split_by_video` and `frame_starts`, on a
            path that is not there, and on few frames to be scored.
    """
    if not config.folder:
        return None
    held = read_kitti_masks(_path(config))
    parts = [held]
    if config.held_out:
        parts = split_by_video(held, share=config.held_out)
    count = jnp.asarray(len(held.lengths), jnp.int32)
    found = {
        name: Sequences(
            jnp.asarray(part.masks),
            jnp.asarray(part.latents),
            frame_starts(part.lengths, max_lag=config.max_lag),
            count,
        )
        for name, part in zip(("train", "test"), parts, strict=False)
    }
    test = found.get("test", found["train"])
    if len(test.starts.start) < HELD_LEAST:
        raise ValueError(
            f"held_out must leave {HELD_LEAST} frames to be scored, got "
            f"{len(test.starts.start)} of {config.folder}"
        )
    return found


def data_identity(config: KittiMasks) -> dict[str, Any]:
    """What pairs depend on beside the settings: a digest of the file, or nothing."""
    return {"data": kitti_digest(_path(config))} if config.folder else {}


def _path(config: KittiMasks) -> Path:
    path = Path(config.folder)
    if not path.exists():
        raise ValueError(f"folder must be there, got {config.folder!r}")
    return path


def draw_pairs(
    config: KittiMasks, frozen: Any, key: Array, batch: int, part: str = "train"
) -> Batch:
    """Masks of pairs, `[batch, size, size, 1]` in [0, 1], and their latents.

    Drawn ones start anywhere in the box, uniformly, and walk for 1 to `max_lag` steps.

    Args:
        config: settings of a run.
        frozen: its frozen draws, which hold the sequences on disk if any.
        key: a typed key.
        batch: pairs.
        part: of the sequences, train or test; the first stands for both where it is
            alone.

    Returns:
        A `Batch`; latents are `[batch, 3]`.
    """
    if "shared" in frozen:
        parts = frozen["shared"]
        held = parts.get(part, parts["train"])
        rows = draw_frame_pairs(key, held.starts, batch=batch, max_lag=config.max_lag)
        x = [held.x[row][..., None].astype(jnp.float32) for row in rows]
        return Batch(*x, *(held.z[row] for row in rows))
    start_key, walk_key, lag_key = jax.random.split(key, 3)
    z = jax.random.uniform(start_key, (batch, FACTORS), minval=-1.0, maxval=1.0)
    path = walk(walk_key, z, length=config.max_lag, scale=config.scale)
    lag = jax.random.randint(lag_key, (batch,), 0, config.max_lag)
    both = jnp.stack([z, path[lag, jnp.arange(batch)]])
    x = jax.vmap(jax.vmap(partial(render, Masks(config.size))))(both)
    return Batch(*x, *both)


def mask_moments(x: Array) -> Array:
    """Centre y, centre x and area of masks, `[batch, size, size, 1] -> [batch, 3]`.

    Args:
        x: masks, each with a pixel.

    Returns:
        `[batch, 3]`, in pixels.
    """
    x = x[..., 0]
    area = jnp.sum(x, axis=(1, 2))
    places = jnp.arange(x.shape[1], dtype=x.dtype)
    centres = [jnp.sum(x, axis=axis) @ places / area for axis in (2, 1)]
    return jnp.stack([*centres, area], axis=1)
