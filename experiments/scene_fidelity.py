"""The rendered scene beside Blender pictures of the same latents.

Command: JIDCL_DATA=FOLDER python experiments/scene_fidelity.py [--pictures 64]
Reads threedident_mini in that folder (64 x 64, rendered from the public 3DIdent scene
by Blender 3.4.1, 48 samples a pixel, their noise is 1.5 to 2 grey levels). Writes
experiments/results/scene_fidelity.json and .png: real above ours above three times the
difference. Time: half a minute on two quiet CPU cores.
"""

import argparse
import json
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from jidcl.data.files import data_file
from jidcl.mixing.scenes import Ident3D, render

RESULTS = Path(__file__).parent / "results"
SHOWN, CHUNK = 8, 8


def ours(z: np.ndarray, level: str, hue: str = "published") -> np.ndarray:
    """Our pictures of the latents, 8-bit levels as float."""
    scene = Ident3D(level=level, hue=hue)
    draw = jax.jit(jax.vmap(lambda z: render(scene, z)))
    parts = [draw(jnp.asarray(z[k : k + CHUNK])) for k in range(0, len(z), CHUNK)]
    return np.round(np.concatenate(parts) * 255)


def masks(z: np.ndarray, pictures: np.ndarray) -> dict[str, np.ndarray]:
    """Pixels of the object, of the ground, and of the ground outside shadows.

    The object is where another hue of it changes the picture; shadowed is what is at
    least a fifth darker than the picture's median; both are grown by two pixels.
    """
    other = z.copy()
    other[:, 7] = np.where(z[:, 7] > 0.3, -0.9, 0.95)
    found = np.abs(ours(other, "reference") - pictures).max(-1) > 3
    level = pictures.max(-1)
    shadow = level < 0.8 * np.median(level, (1, 2), keepdims=True)
    near = np.stack([_grown(a | b) for a, b in zip(found, shadow, strict=True)])
    return {
        "object": found,
        "ground": ~found,
        "ground outside shadows": ~near,
    }


def _grown(mask: np.ndarray, by: int = 2) -> np.ndarray:
    from scipy.ndimage import binary_dilation

    return binary_dilation(mask, iterations=by)


def main() -> None:
    """Render, compare, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pictures", type=int, default=64)
    options = parser.parse_args()
    from PIL import Image

    root = data_file("threedident_mini/raw_latents.npy").parent
    count = options.pictures
    z = np.load(root / "raw_latents.npy")[:count]
    names = [root / "images" / f"{k:04d}.png" for k in range(count)]
    real = np.stack([np.asarray(Image.open(n).convert("RGB"), float) for n in names])
    fine = ours(z, "reference")
    where = masks(z, fine)
    result: dict = {
        "source": "threedident_mini (public 3DIdent scene, Blender 3.4.1, 64 x 64)",
        "pictures": count,
        "unit": "mean absolute difference, grey levels of 255",
    }
    for level, pictures in (("reference", fine), ("fast", ours(z, "fast"))):
        apart = np.abs(pictures - real).mean(-1)
        row = {"overall": apart.mean(), "worst picture": apart.mean((1, 2)).max()}
        row |= {name: apart[mask].mean() for name, mask in where.items()}
        row["bias"] = (pictures - real).mean()
        row["to reference"] = np.abs(pictures - fine).mean()
        result[level] = {name: round(float(value), 3) for name, value in row.items()}
        print(level, result[level], flush=True)
    result["shares"] = {k: round(float(m.mean()), 3) for k, m in where.items()}
    print(result["shares"])
    (RESULTS / "scene_fidelity.json").write_text(json.dumps(result, indent=1) + "\n")
    strips = (real, fine, np.clip(3 * np.abs(fine - real), 0, 255))
    sheet = np.concatenate([np.concatenate(list(s[:SHOWN]), 1) for s in strips])
    picture = Image.fromarray(sheet.astype(np.uint8))
    size = (2 * picture.width, 2 * picture.height)
    picture.resize(size, Image.Resampling.NEAREST).save(RESULTS / "scene_fidelity.png")


if __name__ == "__main__":
    main()
