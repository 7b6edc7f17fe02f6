"""Pictures of seven objects on disk, in the layout of Causal3DIdent.

    ROOT/raw_latents_K.npy      float [count, 10], in [-1, 1], of class K = 0 .. 6
    ROOT/images_K/00000.png     its row, zero-padded to ceil(log10(count)) digits

`ROOT` is the training or the test set. Every class has equally many pictures; item i of
the set is row i mod count of class i // count.

Source: von Kuegelgen et al. 2021, published data set (Zenodo record 4784282).
"""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from jidcl.data.image_folder import image_path, read_latents, read_pictures

CLASSES, COLUMNS = 7, 10  # of the layout


class CausalSet(NamedTuple):
    """What a folder of Causal3DIdent holds, but for its pictures.

    Attributes:
        root: the folder.
        z: `[items, 11]`, float32: the middle of the class's part of [-1, 1], then the
            ten latents; the factors of the scene `figures`.
        label: the class of each item, 0 .. 6.
    """

    root: Path
    z: np.ndarray
    label: np.ndarray

    def picture_paths(self, index: Sequence[int] | np.ndarray) -> list[Path]:
        """Where the pictures of some items lie.

        Raises:
            ValueError: on an item that is not there.
        """
        count = len(self.z) // CLASSES
        for item in index:
            if not 0 <= item < len(self.z):
                raise ValueError(f"index must be in 0..{len(self.z) - 1}, got {item}")
        places = [divmod(int(item), count) for item in index]
        return [
            image_path(self.root, row, count, images=f"images_{kind}")
            for kind, row in places
        ]

    def read(
        self, index: Sequence[int] | np.ndarray, *, size: int | None = None
    ) -> np.ndarray:
        """The pictures of some items, as `jidcl.data.image_folder.read_pictures`."""
        return read_pictures(self.picture_paths(index), size=size)


def read_causal_folder(root: Path) -> CausalSet:
    """Latents and classes of a folder; pictures are read when they are asked for.

    Raises:
        ValueError: when a file of latents is missing or is not what the layout says,
            with its name.
    """
    parts, first = [], None
    for kind in range(CLASSES):
        path = root / f"raw_latents_{kind}.npy"
        z = read_latents(path, n=COLUMNS)
        if np.abs(z).max() > 1 + 1e-6:
            raise ValueError(
                f"{path} must hold latents in [-1, 1], got {np.abs(z).max():g}"
            )
        first = len(z) if first is None else first
        if len(z) != first:
            raise ValueError(
                f"{path} must hold {first} rows, as the first class does, got {len(z)}"
            )
        middle = np.full((len(z), 1), (2 * kind + 1) / CLASSES - 1)
        parts.append(np.concatenate([middle, z], axis=1).astype(np.float32))
    label = np.repeat(np.arange(CLASSES), [len(part) for part in parts])
    return CausalSet(root, np.concatenate(parts), label)
