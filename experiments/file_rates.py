"""How fast the files of data sets are opened and read whole.

Command: JIDCL_DATA=FOLDER python experiments/file_rates.py
Reads the sets of that folder that are there, and the first 2,000 digits again in each
format that `jidcl data convert` writes. Writes experiments/results/file_rates.json: of
each the rows, and seconds of processor time to open it and to read all rows. Time: half
a minute on one core.
"""

import json
import tempfile
import time
from pathlib import Path

import numpy as np

from jidcl.data.convert import convert_data
from jidcl.data.dataset import open_data, rows_at_once
from jidcl.data.files import VARIABLE, data_file

RESULTS = Path(__file__).parent / "results"
SETS = (
    "mnist/mnist.npz",
    "cifar10/cifar10_lossless.npz",
    "kitti_masks/kitti_masks_peds.npz",
    "kitti_masks/instances_txt_0017.txt.gz",
    "threedident_mini/raw_latents.npy",
    "imagenet_x/imagenet_x_train.npz",
)


def rate(path: Path) -> dict:
    """Rows, and seconds of processor time to open and to read."""
    started = time.process_time()
    data = open_data(path)
    opened = time.process_time()
    rows = 0
    for columns in data.parts.values():
        rows += max(map(len, columns.values()))
        for column in columns.values():
            for _ in column.chunks(rows_at_once(column)):
                pass
    read = time.process_time()
    seconds = read - started
    return {
        "format": data.format.name,
        "rows": rows,
        "open_s": round(opened - started, 3),
        "read_s": round(read - opened, 3),
        "rows_per_s": float(f"{rows / max(seconds, 1e-9):.3g}"),
    }


def written(folder: Path) -> dict:
    """The first digits again, in each format that is read back."""
    digits = open_data(data_file("mnist/mnist.npz"))
    found = {}
    for to, out in (("npz", "a.npz"), ("h5", "a.h5"), ("folder", "a")):
        path = convert_data(digits, folder / out, to=to, parts=("train",), rows=2000)
        found[f"2,000 digits as {to}"] = rate(path)
    return found


def main() -> None:
    """Measure what is there, and store it."""
    found = {}
    for name in SETS:
        try:
            path = data_file(name)
        except ValueError as error:
            print(f"{name}: {error}")
            continue
        path = path.parent if path.name == "raw_latents.npy" else path
        found[str(Path(name).parent if path.is_dir() else name)] = rate(path)
    with tempfile.TemporaryDirectory() as folder:
        found |= written(Path(folder))
    for name, row in found.items():
        print(f"{name:<40} {row}")
    note = {"variable": VARIABLE, "numpy": np.__version__, "sets": found}
    text = json.dumps(note, indent=1) + "\n"
    (RESULTS / "file_rates.json").write_text(text)


if __name__ == "__main__":
    main()
