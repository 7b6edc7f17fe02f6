"""ImageNet-X: in which of sixteen ways a picture differs from its class.

    imagenet_x_train_multi_factor.jsonl     all that were marked
    imagenet_x_train_top_factor.jsonl       the one marked as the strongest

A line is a JSON object: `file_name`, `class`, sixteen factors of 0 or 1, and free text,
which is not read. `val` stands in place of `train` for the validation pictures.

Source: Idrissi et al. 2023.
"""

import json
import re
from pathlib import Path

import numpy as np

from jidcl.data.columns import Parts, in_memory
from jidcl.files import MOST_JSON, read_bytes

FACTORS = (
    *("pose", "background", "pattern", "color", "smaller", "shape", "partial_view"),
    *("subcategory", "texture", "larger", "darker", "object_blocking"),
    *("person_blocking", "style", "brighter", "multiple_objects"),
)
FILE = re.compile(r"imagenet_x_(train|val)_(multi|top)_factor\.jsonl")
CLASSES = 1000


def read_imagenet_x(path: Path) -> Parts:
    """Annotations of one file, or of all in a folder.

    Args:
        path: one of the files, or a folder of them.

    Returns:
        Of each part `file_name`, `class_index`, and `multi_factor` or `top_factor` or
        both, uint8 `[rows, 16]` in the order of `FACTORS`.

    Raises:
        FileNotFoundError: when there is none.
        ValueError: naming the file and the line that is something else, and when the
            two files of a part are of other pictures.
    """
    files = [path] if not path.is_dir() else sorted(path.iterdir())
    found = [(FILE.fullmatch(file.name), file) for file in files]
    parts: dict[str, dict[str, np.ndarray]] = {}
    for match, file in found:
        if match is None:
            continue
        part, kind = match.groups()
        names, classes, marks = _read(file)
        held = parts.setdefault(part, {"file_name": names, "class_index": classes})
        same = np.array_equal(held["file_name"], names)
        if not same or not np.array_equal(held["class_index"], classes):
            raise ValueError(
                f"{file} must be of the pictures, and in the order, of the other file"
            )
        held[f"{kind}_factor"] = marks
    if not parts:
        raise ValueError(
            f"{path} must hold imagenet_x_train_multi_factor.jsonl or such"
        )
    return {
        part: {name: in_memory(array) for name, array in held.items()}
        for part, held in parts.items()
    }


def _read(path: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Names, classes and marks of a file."""
    names, classes, marks = [], [], []
    for number, line in enumerate(read_bytes(path, MOST_JSON).splitlines(), 1):
        try:
            row = json.loads(line)
            name, kind = row["file_name"], row["class"]
            mark = [row[factor] for factor in FACTORS]
        except (ValueError, TypeError, KeyError, RecursionError) as error:
            raise ValueError(
                f"line {number} of {path} must be an object with file_name, class and "
                f"sixteen factors: {type(error).__name__} {str(error)[:80]}"
            ) from error
        if not isinstance(name, str) or not 0 < len(name) <= 100:
            raise ValueError(f"line {number} of {path}: file_name must be a short text")
        if type(kind) is not int or not 0 <= kind < CLASSES:
            raise ValueError(
                f"line {number} of {path}: class must be in 0..{CLASSES - 1}, got "
                f"{str(kind)[:40]}"
            )
        if any(type(value) is not int or value not in (0, 1) for value in mark):
            raise ValueError(f"line {number} of {path}: factors must be 0 or 1")
        names.append(name)
        classes.append(kind)
        marks.append(mark)
    if len(set(names)) < len(names) or not names:
        raise ValueError(f"{path} must name each of its pictures once")
    return np.asarray(names), np.asarray(classes, np.int64), np.asarray(marks, np.uint8)
