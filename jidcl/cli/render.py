"""`jidcl render`: pictures of a scene."""

import dataclasses
import math
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from jidcl.cli.arguments import parse, quiet
from jidcl.systems.shared.settings import SCENES, WITH_LEVELS

KINDS = ("sheet", "sweep", "pairs", "gif", "set")
_CHUNK = 8


@dataclasses.dataclass(frozen=True)
class Render:
    """Pictures of a scene, rendered on this device.

    jidcl render ident3d --what sheet sweep --size 64 --level reference
    jidcl render ident3d --what set --count 10000 --out FOLDER

    SCENE is ident3d, figures, sprites, triangles, shapes3d or masks. A set is a folder
    in the layout of 3DIdent (raw_latents.npy, images/00000.png, ...); the same command
    goes on with one that was stopped.
    """

    what: tuple[str, ...] = ("sheet", "sweep")
    """sheet (random latents), sweep (one factor a row), pairs (z above z_pos), gif,
    set (pictures and latents on disk)"""
    size: int = 64
    """rows and columns of a picture"""
    count: int = 32
    """pictures of the sheet, or of the set"""
    columns: int = 8
    """pictures in a row"""
    level: str = ""
    """ident3d, figures: fast or reference"""
    hue: str = ""
    """ident3d, figures: circle or published"""
    conditional_scale: float = 0.1
    """standard deviation of z_pos given z (normal on the box)"""
    seed: int = 0
    """of the latents"""
    out: Path = Path("runs/render")
    """folder of the pictures"""


def main(args: list[str]) -> int:
    """Run the verb; the exit code."""
    from jidcl.checks import check_above, check_at_least, check_choice, check_memory

    if not args:
        print("usage: jidcl render SCENE [--what sheet sweep pairs gif] ...")
        return 2
    if args[0].startswith("-"):
        if not {"-h", "--help"} & set(args):
            raise ValueError(f"the scene comes first, got {args[0]!r}")
        parse(Render, args, "render SCENE")
    name, *rest = args
    check_choice("scene", name, SCENES)
    options = parse(Render, rest, f"render {name}")
    check_at_least("number of values of what", len(options.what), 1)
    for kind in options.what:
        check_choice("what", kind, KINDS)
    for kind in {"gif", "set"} & set(options.what):
        if not find_spec("PIL"):
            raise ImportError(f"a {kind} needs Pillow: pip install 'jidcl[data]'")
    check_at_least("count", options.count, 1)
    check_at_least("columns", options.columns, 2)
    check_above("conditional_scale", options.conditional_scale, 0)
    quiet()
    from jidcl.mixing.scenes import make_scene
    from jidcl.train.sharding import check_seeds

    check_seeds([options.seed])

    own = {k: getattr(options, k) for k in ("level", "hue") if getattr(options, k)}
    if own and name not in WITH_LEVELS:
        raise ValueError(f"{' and '.join(own)} must be left out: {name} has none")
    shown = _CHUNK if options.what == ("set",) else max(options.count, _CHUNK)
    numbers = 3 * options.size**2 * shown
    check_memory("size of pictures", options.size, numbers)
    scene = make_scene(name, size=options.size, **own)
    draws = {"sheet": _sheet, "sweep": _sweep, "pairs": _pairs, "gif": _gif}
    draws["set"] = _set
    for kind in dict.fromkeys(options.what):
        ending = {"gif": ".gif", "set": ""}.get(kind, ".png")
        path = options.out / f"{name}-{kind}{ending}"
        path.parent.mkdir(parents=True, exist_ok=True)
        print(draws[kind](scene, options, path))
    return 0


def _pictures(scene: Any, z: Any) -> Any:
    """`[count, size, size, channels]`, in chunks of one compiled program."""
    import jax.numpy as jnp
    import numpy as np

    draw = _program(scene)
    missing = -len(z) % _CHUNK
    padded = jnp.concatenate([z, jnp.zeros((missing, z.shape[1]), z.dtype)])
    chunks = padded.reshape(-1, _CHUNK, z.shape[1])
    return np.concatenate([np.asarray(draw(c)) for c in chunks])[: len(z)]


def _program(scene: Any) -> Any:
    """`[chunk, n] -> [chunk, size, size, channels]`, compiled."""
    import jax

    from jidcl.mixing.scenes import render as picture
    from jidcl.train.programs import make

    draw = jax.jit(jax.vmap(lambda z: picture(scene, z)))
    like = jax.ShapeDtypeStruct((_CHUNK, len(scene.factors)), "float32")
    return make("picture", draw, like)


def _latents(scene: Any, options: Render, count: int) -> Any:
    """(z, z_pos): uniform on the box, normal around it."""
    import jax

    from jidcl.latents import Box, Normal, Uniform
    from jidcl.pairs import sample_pair

    key, space = jax.random.key(options.seed), Box(len(scene.factors), -1.0, 1.0)
    law = Normal(options.conditional_scale)
    return sample_pair(key, space, Uniform(), law, batch=max(count, 2))


def _sheet(scene: Any, options: Render, path: Path) -> Path:
    from jidcl.report.plots import plot_pictures

    shown = _pictures(scene, _latents(scene, options, options.count).z[: options.count])
    rows = math.ceil(len(shown) / options.columns)
    cut = [shown[k * options.columns :][: options.columns] for k in range(rows)]
    return plot_pictures(cut, [""] * rows, path)


def _sweep(scene: Any, options: Render, path: Path) -> Path:
    import jax.numpy as jnp

    from jidcl.mixing.scenes import vary
    from jidcl.report.plots import plot_pictures

    middle, ends = (
        jnp.full(len(scene.factors), 0.1),
        jnp.linspace(-1, 1, options.columns),
    )
    rows = [vary(scene.factors, name, middle, ends) for name in scene.factors]
    shown = _pictures(scene, jnp.concatenate(rows))
    cut = shown.reshape(len(rows), options.columns, *shown.shape[1:])
    return plot_pictures(list(cut), scene.factors, path)


def _pairs(scene: Any, options: Render, path: Path) -> Path:
    import jax.numpy as jnp

    from jidcl.report.plots import plot_pictures

    pair = _latents(scene, options, options.columns)
    half = options.columns
    both = jnp.concatenate([pair.z[:half], pair.z_pos[:half]])
    shown = _pictures(scene, both)
    return plot_pictures([shown[:half], shown[half:]], ["z", "z_pos"], path)


def _gif(scene: Any, options: Render, path: Path) -> Path:
    """Every factor goes up, down and back, one after another."""
    import jax.numpy as jnp
    import numpy as np
    from PIL import Image

    from jidcl.mixing.scenes import vary

    middle = jnp.full(len(scene.factors), 0.1)
    turn = jnp.linspace(0, 2 * jnp.pi, 16, endpoint=False)
    wave = jnp.clip(0.1 + 0.9 * jnp.sin(turn), -1, 1)
    rows = [vary(scene.factors, name, middle, wave) for name in scene.factors]
    shown = np.round(255 * _pictures(scene, jnp.concatenate(rows))).astype(np.uint8)
    frames = [Image.fromarray(np.broadcast_to(f, (*f.shape[:2], 3))) for f in shown]
    frames[0].save(path, save_all=True, append_images=frames[1:], duration=80, loop=0)
    return path


def _set(scene: Any, options: Render, path: Path) -> Path:
    """Uniform latents and their pictures; for ident3d in physical units as well."""
    import jax.numpy as jnp
    import numpy as np

    from jidcl.cli.progress import show_count
    from jidcl.data.image_folder import write_image_folder
    from jidcl.mixing.scenes.ident3d import Ident3D, physical

    z = np.asarray(_latents(scene, options, options.count).z[: options.count])
    extra = (
        {"latents": np.asarray(physical(jnp.asarray(z)))}
        if type(scene) is Ident3D
        else {}
    )
    draw = _program(scene)
    about = {"scene": type(scene).__name__, **dataclasses.asdict(scene)}
    written = write_image_folder(path, z, draw, chunk=_CHUNK, about=about, extra=extra)
    show_count(written, len(z), "pictures")
    return path
