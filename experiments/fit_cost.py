"""What a fit and a diagnosis of pairs cost: seconds, and memory for a large file.

    python experiments/fit_cost.py                          20,000 pairs of 50 features
    python experiments/fit_cost.py --file DIR --rows 10000000 --features 50

With `--file` pairs are written to DIR as two `.npy` files first, and one seed makes 200
updates. Memory is the largest resident set of the process, pages of files counted.
"""

import argparse
import resource
import time
from pathlib import Path

import numpy as np

import jidcl

BLOCK = 100_000


def pairs(rows: int, features: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Five uniform factors, Laplace changes, seen through waves."""
    rng = np.random.default_rng(seed)
    z = rng.uniform(size=(rows, 5)) - 0.5
    z_pos = z + rng.laplace(scale=0.05, size=z.shape)
    mix = np.random.default_rng(0).normal(size=(5, features))

    def seen(z: np.ndarray) -> np.ndarray:
        u = 3 * z @ mix
        return (u + 0.9 * np.sin(u)).astype(np.float32)

    return seen(z), seen(z_pos)


def on_disk(folder: Path, rows: int, features: int) -> list[Path]:
    """The pairs as two files, written in blocks."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / "x.npy", folder / "x_pos.npy"]
    header = {"descr": "<f4", "fortran_order": False, "shape": (rows, features)}
    with paths[0].open("wb") as first, paths[1].open("wb") as second:
        for file in (first, second):
            np.lib.format.write_array_header_1_0(file, header)
        for start in range(0, rows, BLOCK):
            both = pairs(min(BLOCK, rows - start), features, seed=1 + start)
            for file, part in zip((first, second), both, strict=True):
                file.write(part.tobytes())
    return paths


def main() -> None:
    """Fit, diagnose, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--features", type=int, default=50)
    parser.add_argument("--file", type=Path)
    options = parser.parse_args()
    settings: dict = {"outputs": 5, "seeds": 5}
    if options.file:
        given = on_disk(options.file, options.rows, options.features)
        settings = {"outputs": 5, "seeds": 1, "steps": 200}
    else:
        given = pairs(options.rows, options.features, seed=1)
    began = time.perf_counter()
    encoder = jidcl.fit_pairs(*given, **settings)
    fitted = time.perf_counter()
    if not options.file:
        print(jidcl.diagnose(encoder).summary())
    ended = time.perf_counter()
    used = resource.getrusage(resource.RUSAGE_SELF)
    print(
        f"{options.rows} pairs of {options.features}: fit {fitted - began:.0f} s, "
        f"diagnosis {ended - fitted:.0f} s, CPU {used.ru_utime + used.ru_stime:.0f} s, "
        f"memory {used.ru_maxrss / 1e6 * 1.024:.2f} GB"
    )


if __name__ == "__main__":
    main()
