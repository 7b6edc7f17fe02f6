"""CIFAR-10 and CIFAR-100: batches as Python wrote them, and the binary version.

    cifar-10-batches-py/    data_batch_1 .. data_batch_5, test_batch
    cifar-100-python/       train, test
    cifar-10-batches-bin/   data_batch_1.bin .. data_batch_5.bin, test_batch.bin
    cifar-100-binary/       train.bin, test.bin

The first two are pickles: `jidcl.data.plain_pickle` reads them and runs nothing.

Source: Krizhevsky 2009.
"""

from pathlib import Path
from typing import Any

import numpy as np

from jidcl.data.columns import Parts, check_labels, in_memory
from jidcl.data.plain_pickle import read_plain_pickle
from jidcl.files import read_bytes

PIXELS = 3 * 32 * 32
MOST = 1 << 30  # bytes of a file
BATCHES = tuple(f"data_batch_{k}" for k in range(1, 6))
FILES = {
    "cifar10": {"train": BATCHES, "test": ("test_batch",)},
    "cifar100": {"train": ("train",), "test": ("test",)},
}
# Of each set: (name of a column, its key in a batch, how many classes).
LABELS = {
    "cifar10": (("labels", "labels", 10),),
    "cifar100": (("coarse", "coarse_labels", 20), ("labels", "fine_labels", 100)),
}


def read_cifar(folder: Path, *, name: str, binary: bool) -> Parts:
    """A whole set.

    Args:
        folder: holds the files of the module's table.
        name: `cifar10` or `cifar100`.
        binary: the `.bin` files.

    Returns:
        Parts `train` and `test` of `images`, uint8 `[rows, 32, 32, 3]`, and `labels`;
        of CIFAR-100 also `coarse`, the 20 coarse ones.

    Raises:
        FileNotFoundError: when a file is missing.
        ValueError: naming the file that is cut, damaged or something else, and on a
            batch under the name of another.
    """
    read = _read_binary if binary else _read_batch
    parts = {}
    for part, files in FILES[name].items():
        held = [read(folder / file, name, part) for file in files]
        parts[part] = {
            column: in_memory(np.concatenate([batch[column] for batch in held]))
            for column in held[0]
        }
    return parts


def _pictures(flat: np.ndarray) -> np.ndarray:
    """`[rows, 3072]`, red, green, blue one after another -> `[rows, 32, 32, 3]`."""
    return flat.reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)


def _read_batch(path: Path, name: str, part: str) -> dict[str, np.ndarray]:
    held: Any = read_plain_pickle(path, MOST)
    if not isinstance(held, dict):
        raise ValueError(f"{path} must hold a dict, got {type(held).__name__}")
    # Keys are bytes where Python 3 wrote a file that it had read from Python 2.
    held = {
        k.decode("latin-1") if isinstance(k, bytes) else k: v for k, v in held.items()
    }
    data = held.get("data")
    fits = isinstance(data, np.ndarray) and data.dtype == np.uint8
    if not fits or data.ndim != 2 or data.shape[1] != PIXELS or not len(data):
        raise ValueError(f"data of {path} must be bytes [rows, {PIXELS}]")
    said = _text(held.get("batch_label", ""))
    number = path.name.rpartition("_")[2]
    other = "test" if part == "train" else "train"
    wrong_batch = (
        number.isdigit() and "batch" in said and f"batch {number} " not in said
    )
    if other in said or wrong_batch:
        raise ValueError(f"{path} says that it is the {said!r}")
    batch = {"images": _pictures(data)}
    for column, key, classes in LABELS[name]:
        label = held.get(key)
        whole = isinstance(label, list) and all(type(k) is int for k in label)
        if not whole:
            raise ValueError(f"{key} of {path} must be a list of whole numbers")
        # A list may hold numbers of any size; those that do not fit are out of range.
        clipped = np.asarray([k if -1 <= k <= classes else -1 for k in label], np.int64)
        check_labels(path, clipped, rows=len(data), classes=classes)
        batch[column] = clipped
    return batch


def _text(value: Any) -> str:
    held = value.decode("latin-1") if isinstance(value, bytes) else value
    return held[:80] if isinstance(held, str) else ""


def _read_binary(path: Path, name: str, part: str) -> dict[str, np.ndarray]:
    path = path.with_name(f"{path.name}.bin")
    columns = LABELS[name]
    row = len(columns) + PIXELS
    content = read_bytes(path, MOST)
    if not content or len(content) % row:
        raise ValueError(
            f"{path} must hold rows of {row} bytes, got {len(content)} bytes"
        )
    table = np.frombuffer(content, np.uint8).reshape(-1, row)
    batch = {"images": _pictures(table[:, len(columns) :])}
    for place, (column, _, classes) in enumerate(columns):
        label = table[:, place].astype(np.int64)
        check_labels(path, label, rows=len(table), classes=classes)
        batch[column] = label
    return batch
