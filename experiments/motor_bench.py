"""Series of a DC motor on a test bench, for `jidcl identify`: diverse and not.

Nobody sees its two inputs, voltage and load; current and speed are seen every 10 ms.
In `diverse.npz` the experiments vary voltage and load in turn, in `flat.npz` both
double from one to the next, and `noisy.npz` is diverse with noise on both outputs.

Command: python experiments/motor_bench.py --out FOLDER; jidcl identify FOLDER/flat.npz
"""

import argparse
from pathlib import Path

import numpy as np
from scipy.linalg import expm

RESISTANCE, INDUCTANCE, CONSTANT, INERTIA, FRICTION = 1.0, 0.5, 0.01, 0.01, 0.1
STEP, LENGTH, NOISE = 0.01, 4000, 0.01
# Variances of voltage and load, a row an experiment.
DIVERSE = np.array([[1.0, 0.01], [4.0, 0.01], [1.0, 0.09]])
FLAT = np.array([[1.0, 0.01], [2.0, 0.02], [4.0, 0.04]])


def motor() -> tuple[np.ndarray, np.ndarray]:
    """A and B of one step, inputs held in between."""
    a = [
        [-RESISTANCE / INDUCTANCE, -CONSTANT / INDUCTANCE],
        [CONSTANT / INERTIA, -FRICTION / INERTIA],
    ]
    b = np.diag([1 / INDUCTANCE, -1 / INERTIA])
    both = expm(STEP * np.block([[np.array(a), b], [np.zeros((2, 4))]]))
    return both[:2, :2], both[:2, 2:]


def series(rng: np.random.Generator, variances: np.ndarray) -> np.ndarray:
    """Current and speed, `[experiments, time, 2]`."""
    a, b = motor()
    shape = len(variances), LENGTH, 2
    inputs = np.sqrt(variances)[:, None] * rng.normal(size=shape)
    outputs = np.zeros(shape)
    for t in range(LENGTH - 1):
        outputs[:, t + 1] = outputs[:, t] @ a.T + inputs[:, t] @ b.T
    return outputs


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(options.seed)
    diverse = series(rng, DIVERSE)
    noisy = diverse + NOISE * rng.normal(size=diverse.shape)
    found = {"diverse": diverse, "noisy": noisy, "flat": series(rng, FLAT)}
    for name, outputs in found.items():
        np.savez(options.out / f"{name}.npz", y=outputs)
    for name, matrix in zip("GM", motor(), strict=True):
        print(f"{name} = {matrix.round(4).tolist()}")


if __name__ == "__main__":
    main()
