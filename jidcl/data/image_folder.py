"""Pictures with their latents on disk, in the layout of 3DIdent.

    ROOT/raw_latents.npy        float32 [count, n], in [-1, 1]
    ROOT/images/000000.png      its row, zero-padded to ceil(log10(count)) digits

Source: Zimmermann et al. 2021, published data set (Zenodo record 4502485).
"""

import json
import math
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from jidcl.checks import check_at_least, check_memory
from jidcl.files import MOST_JSON, check_regular, in_short, read_array, read_bytes

LATENTS = "raw_latents.npy"
MOST_SIDE = 4096  # pixels; a file that says more is not opened
MOST_PICTURE = 1 << 28  # bytes of a file
MODES = ("1", "L", "LA", "P", "RGB", "RGBA")  # of eight bits at most
MANY = 10_000  # pictures, from which on reading shows progress


def image_path(root: Path, index: int, count: int, *, images: str = "images") -> Path:
    """Where picture `index` of `count` lies."""
    digits = max(1, math.ceil(math.log10(count)))
    return root / images / f"{index:0{digits}d}.png"


def write_image_folder(
    root: Path,
    z: np.ndarray,
    draw: Callable[[np.ndarray], np.ndarray],
    *,
    chunk: int = 8,
    about: Mapping[str, Any],
    extra: Mapping[str, np.ndarray] | None = None,
) -> Iterator[int]:
    """Draw and write what is missing of a folder of pictures.

    A folder that was left half-way is gone on with. Every file appears whole or not at
    all.

    Args:
        root: the folder; made where it is not there.
        z: `[count, n]`, float32.
        draw: `[chunk, n] -> [chunk, size, size, channels]` in [0, 1], one or three
            channels; always called with `chunk` rows.
        chunk: pictures drawn at once.
        about: what the pictures are of, as JSON; kept in `about.json`.
        extra: further arrays, each written to `NAME.npy`.

    Yields:
        Number of pictures that are there.

    Raises:
        ValueError: when the folder holds pictures of other latents or of something
            else, or z has another shape or dtype.
    """
    from PIL import Image

    check_at_least("chunk", chunk, 1)
    if z.ndim != 2 or z.dtype != np.float32 or not len(z):
        raise ValueError(f"z must be float32 [count, n], got {z.dtype} {list(z.shape)}")
    text = json.dumps(dict(about), indent=1).encode()
    (root / "images").mkdir(parents=True, exist_ok=True)
    if (root / LATENTS).exists():
        note = root / "about.json"
        same = note.exists() and read_bytes(note, MOST_JSON) == text
        if not same or not np.array_equal(read_latents(root / LATENTS), z):
            raise ValueError(f"{root} holds pictures of other latents or settings")
    else:  # the latents last: they say that the rest is there
        _whole(root / "about.json", lambda file: file.write(text))
        arrays = {f"{k}.npy": v for k, v in (extra or {}).items()} | {LATENTS: z}
        for name, array in arrays.items():
            _whole(root / name, lambda file, array=array: np.save(file, array))
    missing = [k for k in range(len(z)) if not image_path(root, k, len(z)).exists()]
    yield len(z) - len(missing)
    for start in range(0, len(missing), chunk):
        rows = missing[start : start + chunk]
        padded = rows + rows[:1] * (chunk - len(rows))
        levels = np.round(255 * np.asarray(draw(z[padded]))).astype(np.uint8)
        for row, picture in zip(rows, levels, strict=False):
            picture = picture[..., 0] if picture.shape[-1] == 1 else picture
            image = Image.fromarray(picture)
            _whole(
                image_path(root, row, len(z)),
                lambda file, image=image: image.save(file, format="PNG"),
            )
        yield len(z) - len(missing) + start + len(rows)


def read_image_folder(
    root: Path, count: int | None = None, *, size: int | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Latents and pictures of a folder.

    Args:
        root: the folder.
        count: the first so many; all when None.
        size: as in `read_pictures`.

    Returns:
        `z`, float32 `[count, n]`; `x`, uint8 `[count, size, size, 3]`.

    Raises:
        ValueError: when a file is missing or is not what the layout says.
    """
    z = read_latents(root / LATENTS)
    if count is not None:
        check_at_least("count", count, 1)
    rows = range(len(z) if count is None else min(count, len(z)))
    paths = [image_path(root, k, len(z)) for k in rows]
    return z[: len(rows)], read_pictures(paths, size=size)


def read_pictures(paths: Sequence[Path], *, size: int | None = None) -> np.ndarray:
    """PNG files of one size, uint8 `[count, height, width, 3]`; no alpha.

    Args:
        paths: the files, read by several threads; of very many a bar shows progress.
        size: rows and columns that they are shrunk to, by means over areas; they must
            be square. None: as they are.

    Raises:
        ValueError: with the name of the file that is missing, is no PNG, has another
            size than the first, one of more than 4,096 pixels a side, more than eight
            bits a channel, or cannot be shrunk to `size`.
    """
    check_at_least("number of pictures", len(paths), 1)
    first, sides = _read_picture(paths[0], size, None)
    numbers = len(paths) * first.size
    check_memory("number of pictures", len(paths), numbers, width=1)
    out = np.empty((len(paths), *first.shape), np.uint8)

    def fill(row: int) -> None:
        out[row] = _read_picture(paths[row], size, sides)[0]

    with ThreadPoolExecutor() as pool:
        rows: Any = pool.map(fill, range(len(paths)))
        if len(paths) >= MANY:
            from rich.console import Console
            from rich.progress import track

            where = f"reading {paths[0].parent}"
            rows = track(rows, where, len(paths), console=Console(stderr=True))
        for _ in rows:
            pass
    return out


def _read_picture(path: Path, size: int | None, first: tuple[int, int] | None):
    """A picture and the sides of its file; `first`: those of the first one."""
    from PIL import Image

    try:
        check_regular(path, MOST_PICTURE)
        with Image.open(path, formats=["PNG"]) as image:
            wide, high = image.size
            if max(wide, high) > MOST_SIDE:
                raise ValueError(f"more than {MOST_SIDE} pixels a side")
            if size is not None and (wide != high or wide < size):
                raise ValueError(f"{wide} x {high} pixels do not shrink to {size}")
            if first not in (None, image.size):
                raise ValueError(f"{wide} x {high} pixels, unlike the first")
            if image.mode not in MODES:
                raise ValueError(f"mode {image.mode} is none of {', '.join(MODES)}")
            if _depth(path) > 8:
                raise ValueError(f"{_depth(path)} bits a channel are more than 8")
            image = image.convert("RGB")
            if size is not None and size < wide:
                image = image.resize((size, size), Image.Resampling.BOX)
            return np.asarray(image), (wide, high)
    except Exception as error:  # whatever a reader of hostile bytes may raise
        raise ValueError(
            f"{path} must be a PNG like the first: {in_short(error)}"
        ) from error


def _depth(path: Path) -> int:
    """Bits a channel, as the head of a PNG says: Pillow shows 16 of RGB as 8."""
    with path.open("rb") as file:
        return file.read(25)[24]


def read_latents(path: Path, *, n: int | None = None) -> np.ndarray:
    """Latents of a set, float32 `[count, n]`.

    Args:
        path: an array in `.npy` (nothing is unpickled), float32 or float64.
        n: how many columns it must have; any number when None.

    Raises:
        ValueError: with the name of the file, when it is missing or holds something
            else.
    """
    z = read_array(path)
    fits = z.ndim == 2 and z.size
    fits = fits and z.dtype in (np.float32, np.float64) and n in (None, z.shape[1])
    # What float32 does not hold is not finite either.
    if not fits or not (np.abs(z) <= np.finfo(np.float32).max).all():
        columns = "n" if n is None else n
        raise ValueError(
            f"{path} must hold finite latents [count, {columns}] in float32 or float64"
        )
    return z.astype(np.float32)


def _whole(path: Path, write: Callable) -> None:
    """Write a file under another name, then rename it."""
    part = path.with_name(f".{path.name}.part")
    with part.open("wb") as file:
        write(file)
    os.replace(part, path)
