"""The registry of file formats: how each is recognised, read, and licensed.

`FORMATS` lists them; the first that recognises a path is taken. `jidcl.data.dataset`
opens a path with them.
"""

import dataclasses
import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from jidcl.data.causal3d_folder import read_causal_folder
from jidcl.data.cifar import FILES as CIFAR
from jidcl.data.cifar import read_cifar
from jidcl.data.class_folder import (
    ENDINGS,
    PARTS,
    class_names,
    parts_of,
    picture_column,
    read_class_folders,
)
from jidcl.data.columns import (
    Column,
    Parts,
    h5_columns,
    in_memory,
    npz_columns,
)
from jidcl.data.factor_files import (
    CAR,
    read_cars,
    read_mpi3d,
    read_shapes,
    read_sprites,
)
from jidcl.data.idx import (
    NORB_FILES,
    packed_or_not,
    read_mnist_folder,
    read_norb_folder,
)
from jidcl.data.image_folder import LATENTS, MOST_PICTURE, image_path, read_latents
from jidcl.data.imagenet_x import FILE as IMAGENET_X
from jidcl.data.imagenet_x import read_imagenet_x
from jidcl.data.kitti import kitti_parts, mots_texts
from jidcl.data.picture_set import LAYOUTS
from jidcl.data.published import GRIDS, HASHES, LICENCES
from jidcl.files import check_regular, in_short

NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}")
SPLITS = (*PARTS, "all")
_MANY = {"train": 50_000, "test": 10_000}


@dataclasses.dataclass(frozen=True)
class Format:
    """One file format.

    Attributes:
        name: as `--format` takes it.
        title: the data sets that come in it.
        layout: what a path of it is; it begins with "file", "folder" or "either".
        licence: what is known of the licence of those sets.
        recognise: whether a path, which exists, looks like it; no row is read.
        read: from the path, and the size of pictures where `sized`, to its columns.
        sized: whether pictures are brought to a size that the caller chooses.
        rows: of each part of the published set; none where there are several.
        hashes: of a file by its name: its published MD5 sums, and of which set.
    """

    name: str
    title: str
    layout: str
    licence: str
    recognise: Callable[[Path], bool]
    read: Callable[..., Parts]
    sized: bool = False
    rows: Mapping[str, int] = dataclasses.field(default_factory=dict)
    hashes: Mapping[str, Mapping[str, str]] = dataclasses.field(default_factory=dict)


# How paths are recognised ------------------------------------------------------------


def _has(name: str) -> Callable[[Path], bool]:
    """Whether a folder holds a file of this name, packed or not."""
    return lambda path: packed_or_not(path, name).is_file()


def _names(path: Path) -> list[str]:
    """What a folder holds; the name of a file itself."""
    return os.listdir(path) if path.is_dir() else [path.name]


def _arrays(path: Path, *names: str) -> bool:
    """Whether a file is an `.npz` of these arrays."""
    if path.suffix != ".npz" or not path.is_file():
        return False
    try:
        return set(names) <= set(npz_columns(path))
    except ValueError:  # what is wrong is said when it is read
        return False


def _is_mpi3d(path: Path) -> bool:
    return path.name.startswith("mpi3d_") and path.suffix == ".npz"


def _is_kitti(path: Path) -> bool:
    if path.is_dir():
        return bool(mots_texts(path))
    text = path.name.endswith((".txt", ".txt.gz")) and path in mots_texts(path.parent)
    return text or path.name.startswith("kitti_peds") or _arrays(path, "masks_packed")


def _is_3dident(path: Path) -> bool:
    roots = [path, path / "train"]
    return any(
        os.path.lexists(root / LATENTS) and (root / "images").is_dir() for root in roots
    )


def _is_causal(path: Path) -> bool:
    roots = [path, path / "trainset"]
    return any((root / "raw_latents_0.npy").is_file() for root in roots)


def _is_class_folders(path: Path) -> bool:
    if not path.is_dir():
        return False
    for part in parts_of(path).values():
        for name in class_names(part):
            if any(file.lower().endswith(ENDINGS) for file in os.listdir(part / name)):
                return True
    return False


# How they are read, where a reader gives no columns ----------------------------------


def _first_side(path: Path) -> int:
    """The shorter side of a picture."""
    from PIL import Image

    try:
        check_regular(path, MOST_PICTURE)
        with Image.open(path, formats=["PNG"]) as image:
            return min(image.size)
    except Exception as error:
        raise ValueError(f"{path} must be a PNG: {in_short(error)}") from error


def _read_3dident(path: Path, size: int | None = None) -> Parts:
    parts = {}
    for part, root in parts_of(path, LAYOUTS["3dident"]).items():
        z = read_latents(root / LATENTS)
        paths = [image_path(root, k, len(z)) for k in range(len(z))]
        present = set(os.listdir(root / "images"))
        missing = [p for p in paths if p.name not in present]
        if missing or sum(name.endswith(".png") for name in present) != len(z):
            odd = missing[0] if missing else root / "images"
            raise ValueError(f"{odd}: there must be one picture for each latent")
        pictures = picture_column(paths, size or _first_side(paths[0]))
        parts[part] = {"images": pictures, "latents": in_memory(z)}
    return parts


def _read_causal(path: Path, size: int | None = None) -> Parts:
    parts = {}
    for part, root in parts_of(path, LAYOUTS["causal3dident"]).items():
        held = read_causal_folder(root)
        paths = held.picture_paths(range(len(held.z)))
        parts[part] = {
            "images": picture_column(paths, size or _first_side(paths[0])),
            "latents": in_memory(held.z),
            "labels": in_memory(held.label.astype(np.int64)),
        }
    return parts


def _by_name(path: Path, columns: Mapping[str, Column]) -> Parts:
    """Arrays `PART_COLUMN` as parts; others are of the part `all`."""
    parts: Parts = {}
    if not columns:  # as where what lists them is damaged
        raise ValueError(f"{path} must hold arrays of numbers, got none")
    for name, column in columns.items():
        if not NAME.fullmatch(name):  # names become file names
            raise ValueError(
                f"arrays of {path} must be named with letters, digits and _, got "
                f"{name[:40]!r}"
            )
        part, _, rest = name.partition("_")
        part, rest = (part, rest) if part in SPLITS and rest else ("all", name)
        parts.setdefault(part, {})[rest] = column
    return {part: parts[part] for part in SPLITS if part in parts}


def _cifar(name: str, kind: str) -> Format:
    """One of the four versions of CIFAR."""
    count, ending = name.removeprefix("cifar"), ".bin" if kind == "binary" else ""
    first = CIFAR[name]["train"][0]
    return Format(
        f"{name}-{kind}",
        f"CIFAR-{count}",
        f"folder of {first}{ending} and so on",
        LICENCES["cifar"],
        lambda path: (path / f"{first}{ending}").is_file(),
        lambda path: read_cifar(path, name=name, binary=bool(ending)),
        rows=_MANY,
        hashes=HASHES.get(f"{name}-{kind}", {}),
    )


FORMATS = (
    _cifar("cifar10", "python"),
    _cifar("cifar10", "binary"),
    _cifar("cifar100", "python"),
    _cifar("cifar100", "binary"),
    Format(
        "mnist",
        "MNIST, Fashion-MNIST and others in their layout",
        "folder of train-images-idx3-ubyte, t10k-labels-idx1-ubyte and so on, or .gz",
        LICENCES["mnist"],
        _has("train-images-idx3-ubyte"),
        read_mnist_folder,
        rows={"train": 60_000, "test": 10_000},
        hashes=HASHES["mnist"],
    ),
    Format(
        "smallnorb",
        "small NORB",
        "folder of smallnorb-5x46789x9x18x6x2x96x96-training-dat.mat and so on, or .gz",
        LICENCES["smallnorb"],
        _has(f"{NORB_FILES['train']}-dat.mat"),
        read_norb_folder,
        rows={"train": 24_300, "test": 24_300},
    ),
    Format(
        "cars3d",
        "Cars3D",
        "folder of car_001_mesh.mat and so on",
        LICENCES["cars3d"],
        lambda path: path.is_dir() and any(map(CAR.fullmatch, _names(path))),
        read_cars,
        rows={"all": 17_568},
    ),
    Format(
        "dsprites",
        "dSprites",
        f"file {GRIDS['sprites']}",
        LICENCES["dsprites"],
        lambda path: path.name == GRIDS["sprites"],
        read_sprites,
    ),
    Format(
        "shapes3d",
        "3D Shapes",
        f"file {GRIDS['shapes3d']}",
        LICENCES["shapes3d"],
        lambda path: path.name == GRIDS["shapes3d"],
        read_shapes,
    ),
    Format(
        "mpi3d",
        "MPI3D",
        "file mpi3d_toy.npz, mpi3d_realistic.npz or mpi3d_real.npz",
        LICENCES["mpi3d"],
        _is_mpi3d,
        read_mpi3d,
    ),
    Format(
        "kitti-masks",
        "KITTI Masks; annotations of KITTI MOTS",
        "either file kitti_peds_v2.pickle, an .npz of it, or texts such as 0004.txt",
        LICENCES["kitti"],
        _is_kitti,
        kitti_parts,
    ),
    Format(
        "imagenet-x",
        "ImageNet-X annotations",
        "either file imagenet_x_train_multi_factor.jsonl and such, or a folder of them",
        LICENCES["imagenet-x"],
        lambda path: any(map(IMAGENET_X.fullmatch, _names(path))),
        read_imagenet_x,
    ),
    Format(
        "3dident",
        "3DIdent, and sets of `jidcl render`",
        "folder of raw_latents.npy and images/, or of such folders train and test",
        LICENCES["3dident"],
        _is_3dident,
        _read_3dident,
        sized=True,
    ),
    Format(
        "causal3dident",
        "Causal3DIdent",
        "folder of raw_latents_0.npy, images_0/ and so on, or of trainset and testset",
        LICENCES["causal3dident"],
        _is_causal,
        _read_causal,
        sized=True,
    ),
    # After 3DIdent, whose folders of pictures look like classes.
    Format(
        "class-folders",
        "ImageNet and others in its layout",
        "folder of one folder of pictures a class, or of such folders train, val, test",
        LICENCES["class-folders"],
        _is_class_folders,
        read_class_folders,
        sized=True,
    ),
    Format(
        "npz",
        "arrays, as `jidcl data convert` writes them",
        "file .npz of arrays PART_COLUMN, such as train_images",
        LICENCES["unknown"],
        lambda path: path.suffix == ".npz",
        lambda path: _by_name(path, npz_columns(path)),
    ),
    Format(
        "h5",
        "arrays, as `jidcl data convert` writes them",
        "file .h5 of data sets PART_COLUMN, such as train_images",
        LICENCES["unknown"],
        lambda path: path.suffix in (".h5", ".hdf5"),
        lambda path: _by_name(path, h5_columns(path)),
    ),
)
