"""Latents with a causal graph, and two views of each picture.

Wiring of von Kuegelgen et al. 2021, section 5.2 (Causal3DIdent). Where its equations
live: graph and latent transformations in `jidcl.latents.causal`, pictures in
`jidcl.mixing.scenes`, random views in `jidcl.data.views`, NT-Xent in
`jidcl.losses.regularised`, read-outs in `jidcl.metrics.blocks` and
`jidcl.metrics.decoding`.
"""

from typing import Any

import jax

from jidcl.data import ViewSettings, nearest_rows
from jidcl.latents.causal import sample_causal, transform
from jidcl.systems.causal3d.presets import AUGMENTED, TRANSFORMED, Causal3D
from jidcl.systems.shared.pictures import two_views
from jidcl.systems.shared.sources import Source
from jidcl.types import Array, Batch


def draw_latents(frozen: Any, key: Array, batch: int) -> tuple[Array, Array]:
    """(z, class) from the graph, or of pictures of the set, any of them as likely."""
    held = frozen.get("set")
    if held is None:
        return sample_causal(key, batch=batch)
    rows = jax.random.randint(key, (batch,), 0, len(held.z))
    return held.z[rows], held.label[rows]


def draw_apart(frozen: Any, key: Array, rows: int, others: int):
    """(z, class) of `rows` samples, and `others` more, of other pictures of the set.

    No picture of a set is twice among the first, nor in both.
    """
    held = frozen.get("set")
    if held is None:
        drawn = sample_causal(key, batch=rows + others)
        parts = slice(rows), slice(rows, None)
        return [tuple(leaf[part] for leaf in drawn) for part in parts]
    order_key, key = jax.random.split(key)
    order = jax.random.permutation(order_key, len(held.z))
    rest = jax.random.randint(key, (others,), rows, len(held.z))
    chosen = order[:rows], order[rest]
    return [(held.z[index], held.label[index]) for index in chosen]


def draw_views(
    config: Causal3D, source: Source, frozen: Any, key: Array, z: Array
) -> Batch:
    """Two views of the pictures of z, `[batch, 11]`.

    In a set the second picture of a transformation is the nearest other one of the same
    class, by all ten latents: what was not redrawn differs a little as well.
    """
    if config.views in TRANSFORMED:
        z_pos = transform(key, z, TRANSFORMED[config.views])
        held = frozen.get("set")
        if held is not None:
            own, label = nearest_rows(held.z, z), held.label
            rows = nearest_rows(held.z[:, 1:], z_pos[:, 1:], own=own, label=label)
            z_pos = held.z[rows]
        return Batch(*source.observe_pair(frozen, z, z_pos), z, z_pos)
    done = AUGMENTED[config.views]
    crop = [part for part in done if part.startswith("crop")]
    settings = ViewSettings(
        size=config.size,
        crop=bool(crop),
        area=(0.8 if crop == ["crop_large"] else 0.08, 1.0),
        jitter=0.8 * ("colour" in done),
        grey=0.2 * ("colour" in done),
    )
    x = source.observe(frozen, z)
    views = two_views(key, x, settings, turned="turn" in done)
    return Batch(views[0], views[1], z, z)
