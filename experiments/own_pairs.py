"""Pairs of real observations for `jidcl fit`: digits with augmented partners, masks.

    python experiments/own_pairs.py digits digits.npz
    python experiments/own_pairs.py masks masks.npz --file kitti_masks_peds.npz
    jidcl fit digits.npz --outputs 8 && jidcl diagnose fit-digits
    python experiments/own_pairs.py digits digits.npz --scores fit-digits

Digits: scikit-learn's 1,797 pictures of 8 x 8; the partner is moved by a pixel or not
in either direction, scaled in brightness, with noise. Masks: neighbouring frames of
pedestrians, 64 x 64 summed to 8 x 8 fields. `--scores RUN` prints how well what is
known of the pictures (class; centre and area) is read from the outputs, and `--picture`
draws the outputs against it.
"""

import argparse
from pathlib import Path

import numpy as np

from jidcl.estimate import ContrastiveEncoder
from jidcl.metrics import fit_classes, mcc, r2
from jidcl.report.plots import new_figure


def digits(seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Pictures, their partners, and their classes."""
    from sklearn.datasets import load_digits

    held = load_digits()
    rng = np.random.default_rng(seed)
    x = held.images / 16
    partners = np.empty_like(x)
    for i, picture in enumerate(x):
        moved = np.roll(np.pad(picture, 1), rng.integers(-1, 2, 2), axis=(0, 1))
        partners[i] = moved[1:-1, 1:-1] * rng.uniform(0.8, 1.2)
    noise = 0.05 * rng.normal(size=(2, *x.shape))
    flat = (part.reshape(len(x), -1) for part in (x + noise[0], partners + noise[1]))
    return *flat, held.target[:, None].astype(float)


def masks(path: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Frames, the next frames, and centre y, centre x, area of the frames."""
    from jidcl.data.kitti import read_kitti_masks

    held = read_kitti_masks(path)
    fields = held.masks.reshape(-1, 8, 8, 8, 8).sum((2, 4)).reshape(-1, 64)
    last = np.cumsum(held.lengths) - 1
    first = np.setdiff1d(np.arange(len(fields)), last)
    x = fields.astype(np.float64)
    return x[first], x[first + 1], held.latents[first].astype(float)


def scores(run: Path, x: np.ndarray, known: np.ndarray) -> str:
    """How well what is known is read from the outputs, half to fit, half to score."""
    y = ContrastiveEncoder.load(run).transform(x).astype(float)
    order = np.random.default_rng(0).permutation(len(x))
    y, x, known = y[order], x[order], known[order]
    half = len(x) // 2
    if known.shape[1] == 1:
        shares = []
        for held in (y, x):
            held, label = held.astype(np.float32), known[:, 0].astype(np.int32)
            fit = fit_classes(held[:half], label[:half], 10)
            shares.append(np.mean(np.asarray(fit(held[half:])) == label[half:]))
        return f"class from the outputs {shares[0]:.3f}, from x {shares[1]:.3f}"
    varying = x[:, x.std(axis=0) > 0]
    return (
        f"R2 {r2(known, y, split=True, xp=np).per_dim.round(3)}, "
        f"of x {r2(known, varying, split=True, xp=np).per_dim.round(3)}, "
        f"MCC {float(mcc(known, y, xp=np).mean):.3f}"
    )


def picture(
    run: Path, x: np.ndarray, x_pos: np.ndarray, known: np.ndarray, path: Path
) -> None:
    """Outputs against what is known of the pictures; of digits some pairs as well."""
    y = ContrastiveEncoder.load(run).transform(x).astype(float)
    few = np.random.default_rng(0).permutation(len(x))[:2000]
    y, known = y[few], known[few]
    figure, axes = new_figure(3, width=3.2, height=3.0)
    if known.shape[1] == 1:
        draw_pairs(axes[0], x[few[:8]], x_pos[few[:8]])
        turned = np.linalg.svd(y - y.mean(axis=0), full_matrices=False)
        y = turned[0] * turned[1]  # principal directions
        for k, axis in zip((0, 2), axes[1:], strict=True):
            axis.scatter(y[:, k], y[:, k + 1], s=2, c=known[:, 0], cmap="tab10")
            axis.set_xlabel(f"principal direction {k + 1}")
            axis.set_ylabel(f"principal direction {k + 2}")
            axis.set_title("outputs, coloured by class")
    else:
        names = "centre y", "centre x", "area"
        corr = np.corrcoef(known.T, y.T)[: len(names), len(names) :]
        for name, own, row, axis in zip(names, known.T, corr, axes, strict=True):
            best = int(np.argmax(np.abs(row)))
            axis.scatter(own, y[:, best], s=1, alpha=0.5)
            axis.set(xlabel=f"{name}, pixels", ylabel=f"output {best}")
            axis.set_title(f"correlation {row[best]:.2f}")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path)


def draw_pairs(axis, x: np.ndarray, x_pos: np.ndarray) -> None:
    """Eight pairs of 8 x 8, two a row."""
    shown = np.stack([x, x_pos], axis=1).reshape(16, 8, 8)
    framed = np.pad(shown, ((0, 0), (1, 1), (1, 1)), constant_values=0.5)
    grid = framed.reshape(4, 4, 10, 10).transpose(0, 2, 1, 3).reshape(40, 40)
    axis.imshow(grid, cmap="gray_r", vmin=0, vmax=1)
    axis.axvline(19.5, color="white", lw=4)
    axis.set(title="x and its partner, twice a row", xticks=[], yticks=[])


def main() -> None:
    """Write the pairs, or print scores of a run."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=("digits", "masks"))
    parser.add_argument("out", type=Path)
    parser.add_argument("--file", type=Path, help="kitti_masks_peds.npz")
    parser.add_argument("--scores", type=Path, help="folder of jidcl fit")
    parser.add_argument("--picture", type=Path, help="a .png file, with --scores")
    options = parser.parse_args()
    if options.what == "masks" and options.file is None:
        parser.error("masks must have --file, the published kitti_masks_peds.npz")
    x, x_pos, known = digits() if options.what == "digits" else masks(options.file)
    if options.picture and not options.scores:
        parser.error("--picture must come with --scores, the folder of a fit")
    if options.scores:
        print(scores(options.scores, x, known))
        if options.picture:
            picture(options.scores, x, x_pos, known, options.picture)
    else:
        np.savez(options.out, x=x.astype(np.float32), x_pos=x_pos.astype(np.float32))
        print(f"{options.out}: {len(x)} pairs of {x.shape[1]} features")


if __name__ == "__main__":
    main()
