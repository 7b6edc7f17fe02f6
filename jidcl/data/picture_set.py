"""Pictures with known latents on disk, whole in memory: what a run reads instead of g.

A folder holds pictures for training and others for scores:

    3DIdent         ROOT/train, ROOT/test, each as in `jidcl.data.image_folder`; or ROOT
                    itself is one such set, whose last tenth is kept for scores
    Causal3DIdent   ROOT/trainset, ROOT/testset, as in `jidcl.data.causal3d_folder`

Source: Zenodo records 4502485 and 4784282.
"""

import functools
import hashlib
import json
import os
from pathlib import Path
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np

from jidcl.data.causal3d_folder import read_causal_folder
from jidcl.data.image_folder import LATENTS, read_image_folder
from jidcl.files import MOST_ARRAYS, read_bytes
from jidcl.types import Array

LAYOUTS = {"3dident": ("train", "test"), "causal3dident": ("trainset", "testset")}
HELD_OUT = 0.1  # of a set that has no part for scores


class PictureSet(NamedTuple):
    """Pictures and their latents, on the device.

    Attributes:
        z: `[rows, n]`, float32.
        x: `[rows, size, size, 3]`, uint8.
        label: the class of each, `[rows]`, int32; 0 where there are none.
    """

    z: Array
    x: Array
    label: Array


def load_picture_sets(
    folder: str | Path, *, layout: str, size: int
) -> dict[str, PictureSet]:
    """The sets `train` and `test` of a folder, shrunk to `size`, by name.

    Read once a process; a set whose latents have changed is read again (pictures alone
    are not watched).

    Args:
        folder: see the module.
        layout: of `LAYOUTS`.
        size: rows and columns.

    Returns:
        `{"train": PictureSet, "test": PictureSet}`.

    Raises:
        ValueError: where a file is missing or is not what the layout says, with its
            name; on latents outside [-1, 1], or a part of which some class has fewer
            than two pictures.
    """
    roots = _roots(Path(folder), layout)
    changed = tuple(
        path.stat().st_mtime_ns
        for root in roots
        for path in sorted(root.glob("raw_latents*.npy"))
    )
    return _load(roots, changed, layout, size)


def picture_sets_digest(folder: str | Path, *, layout: str) -> str:
    """What a run on a folder is known by: SHA-256 of latents and of files' sizes.

    No picture is opened.

    Args:
        folder: see the module.
        layout: of `LAYOUTS`.

    Returns:
        64 hexadecimal digits.

    Raises:
        ValueError: as `load_picture_sets`.
    """
    digest = hashlib.sha256()
    for root in _roots(Path(folder), layout):
        for path in sorted(root.glob("raw_latents*.npy")):
            digest.update(read_bytes(path, MOST_ARRAYS))
        for images in sorted(filter(Path.is_dir, root.glob("images*"))):
            files = sorted((f.name, f.stat().st_size) for f in os.scandir(images))
            digest.update(json.dumps(files).encode())
    return digest.hexdigest()


def _latents(root: Path) -> Path:
    """The file that says when a set has changed."""
    several = root / "raw_latents_0.npy"
    return several if several.exists() else root / LATENTS


def _roots(folder: Path, layout: str) -> tuple[Path, ...]:
    """Folders of the sets: two, or the one that is split."""
    parts = tuple(folder / name for name in LAYOUTS[layout])
    if all(part.is_dir() for part in parts):
        roots = parts
    elif layout == "3dident" and (folder / LATENTS).exists():
        roots = (folder,)
    else:
        raise ValueError(
            f"folder must hold {parts[0].name}/ and {parts[1].name}/"
            f"{' or ' + LATENTS if layout == '3dident' else ''}, got {folder}"
        )
    for root in roots:
        if not _latents(root).exists():
            raise ValueError(f"{_latents(root)} must be an array in .npy, got no file")
    return roots


@functools.lru_cache(maxsize=2)
def _load(
    roots: tuple[Path, ...], changed: tuple[int, ...], layout: str, size: int
) -> dict[str, PictureSet]:
    """`load_picture_sets` of folders that are known to hold latents."""
    read = {"3dident": _read_plain, "causal3dident": _read_causal}[layout]
    held = [read(root, size) for root in roots]
    if len(held) == 1:
        (whole,) = held
        kept = max(2, round(HELD_OUT * len(whole[0])))
        held = [tuple(a[:-kept] for a in whole), tuple(a[-kept:] for a in whole)]
    if held[0][0].shape[1] != held[1][0].shape[1]:
        raise ValueError(f"{roots[1]} must have as many latents as {roots[0]}")
    for root, (z, _, label) in zip((roots * 2)[:2], held, strict=True):
        if not len(z) or np.unique(label, return_counts=True)[1].min() < 2:
            raise ValueError(
                f"{root} must hold two pictures of a class at least, for training and "
                "for scores each"
            )
        if np.abs(z).max() > 1 + 1e-6:
            raise ValueError(
                f"{root} must hold latents in [-1, 1], got {np.abs(z).max():g}"
            )
    train, test = (PictureSet(*map(jnp.asarray, part)) for part in held)
    return {"train": train, "test": test}


def _read_plain(root: Path, size: int) -> tuple[np.ndarray, ...]:
    z, x = read_image_folder(root, size=size)
    return z, x, np.zeros(len(z), np.int32)


def _read_causal(root: Path, size: int) -> tuple[np.ndarray, ...]:
    held = read_causal_folder(root)
    x = held.read(np.arange(len(held.z)), size=size)
    return held.z, x, held.label.astype(np.int32)
