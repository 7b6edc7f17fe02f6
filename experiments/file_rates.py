"""How fast the files of data sets are opened and read whole, beside a training step.

Command: JIDCL_DATA=FOLDER python experiments/file_rates.py
Reads the sets of that folder that are there, and the first 2,000 digits again in each
format that `jidcl data convert` writes. Sets that are not at hand are made of random
numbers in their layout, by the tests' own makers. Then the training step of
`kitti_masks:full/laplace-lag1` is timed on the rebuilt sequences: pictures that it
takes each second. Writes experiments/results/file_rates.json: of each the rows, and
seconds of processor time to open it and to read all rows. Time: a minute on one core.

Expected, said before the run: every reader but those of single picture files gives more
than ten times the rows that a step takes.
"""

import importlib.util
import json
import tempfile
import time
from pathlib import Path

import numpy as np

from jidcl.data import factor_files
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
MADE = 1000  # rows a file, where the layout lets them
LAID_OUT = (
    *("cifar10-python", "cifar10-binary", "cifar100-python", "mnist", "cars3d"),
    *("dsprites", "shapes3d", "mpi3d", "kitti-masks"),
)
BATCH = 32
# System, preset, file and pictures of a row of the batch.
STEPS = (("kitti_masks", "full/laplace-lag1", "kitti_masks/kitti_masks_peds.npz", 2),)


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


def made(folder: Path) -> dict:
    """Sets in published layouts, of random numbers; grids are small ones."""
    source = Path(__file__).parents[1] / "tests" / "reference" / "data_files.py"
    spec = importlib.util.spec_from_file_location("data_files", source)
    assert spec is not None
    assert spec.loader is not None
    makers = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(makers)
    makers.ROWS = MADE
    grid = (6, 3, 2, 3, 3, 4, 4)  # of MPI3D; of the other two its first six
    makers.SPRITES = factor_files.SPRITES = grid[:6]
    makers.SHAPES = factor_files.SHAPES = grid[:6]
    makers.MPI3D, factor_files.MPI3D = grid, {"simple": grid}
    rng, found = np.random.default_rng(0), {}
    for name in LAID_OUT:
        root = folder / name
        root.mkdir()
        found[f"made, {name}"] = rate(makers.MAKERS[name](root, rng))
    return found


def steps() -> dict:
    """Training steps that are fed by files: pictures that each takes in a second."""
    import jax

    from jidcl.systems.registry import load_presets, load_system
    from jidcl.train.state import frozen_draws, start_state
    from jidcl.train.step import make_step

    found = {}
    for system, preset, name, pictures in STEPS:
        try:
            path = str(data_file(name))
        except ValueError as error:
            print(f"{name}: {error}")
            continue
        config = load_presets(system)[preset].read_from(path).changed(batch=BATCH)
        program = load_system(system).make_program(config)
        frozen = frozen_draws(program, 0)
        state = start_state(program, jax.numpy.asarray(0), frozen, program.shared)
        step = jax.jit(make_step(program))
        jax.block_until_ready(step(state, program.shared))
        seconds = []
        for _ in range(5):
            begun = time.process_time()
            jax.block_until_ready(step(state, program.shared))
            seconds.append(time.process_time() - begun)
        row = {"pictures": pictures * BATCH, "step_s": round(min(seconds), 3)}
        row["pictures_per_s"] = float(f"{pictures * BATCH / min(seconds):.3g}")
        found[f"{system}:{preset} on {name}"] = row
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
        found |= made(Path(folder))
    fed = steps()
    for name, row in (found | fed).items():
        print(f"{name:<40} {row}")
    note = {"variable": VARIABLE, "numpy": np.__version__, "sets": found, "steps": fed}
    text = json.dumps(note, indent=1) + "\n"
    (RESULTS / "file_rates.json").write_text(text)


if __name__ == "__main__":
    main()
