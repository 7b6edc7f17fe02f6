"""The 3DIdent scene. Where the object's shape does not matter a simple one replaces
the teapot: its programs compile in a second."""

import colorsys
import dataclasses
import os
import pathlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jidcl.mixing.scenes import Ident3D, ident3d, render, teapot, vary
from jidcl.mixing.scenes.rays import Vec

MIDDLE = jnp.asarray([0.1, -0.2, -0.5, 0.3, -0.2, 0.4, 0.3, 0.5, -0.4, 0.2])


@pytest.fixture
def simple(monkeypatch):
    """An off-centre ellipsoid-like body: smooth, and every rotation shows."""

    def distance(p):
        x, y, z = (p.x - 0.3) / 1.4, (p.y - 0.2) / 0.8, (p.z - 0.1) / 0.5
        return 0.4 * (jnp.sqrt(x * x + y * y + z * z + 1e-9) - 1)

    monkeypatch.setattr(teapot, "distance", distance)


@pytest.fixture(scope="module")
def pictures():
    """The middle picture, then each factor lowered and raised: `[21, 32, 32, 3]`."""
    scene = Ident3D(size=32)
    rows = [MIDDLE[None]]
    rows += [
        vary(scene.factors, name, MIDDLE, jnp.asarray([-0.6, 0.7]))
        for name in scene.factors
    ]
    z = jnp.concatenate(rows)
    return np.asarray(jax.jit(jax.vmap(lambda z: render(scene, z)))(z))


def test_every_factor_changes_the_picture_and_ground_and_object_stay_apart(pictures):
    middle = pictures[0]
    assert pictures.min() >= 0
    assert pictures.max() <= 1
    changed = np.abs(pictures[1:] - middle).max(-1) > 2 / 255
    shares = changed.reshape(10, 2, -1).mean(-1)
    assert (shares > 0.01).all()
    by = dict(zip(ident3d.FACTORS, changed.reshape(10, 2, 32, 32), strict=True))
    # The object's hue changes the object, the ground's changes the rest.
    colour, ground = by["object_hue"].any(0), by["ground_hue"].any(0)
    assert not (colour & ground).any()
    assert (colour | ground).mean() > 0.9
    assert ground.mean() > 0.7
    # The spotlight's hue shows only where its cone reaches.
    assert 0.02 < by["spot_hue"].any(0).mean() < 0.5
    # Moved to the right (y) the object is to the right: it is redder than the ground.
    red = pictures[3:5, ..., 0] - pictures[3:5, ..., 2]
    left, right = ((r > 0.5).sum(0) @ np.arange(32) / (r > 0.5).sum() for r in red)
    assert left + 3 < right


def test_the_teapot_follows_the_outlines_of_the_mesh():
    body = [(-0.811, 0.954), (-0.613, 1.160), (-0.335, 1.272), (0.027, 1.205)]
    body += [(0.417, 1.047), (0.617, 0.954), (0.697, 0.617), (0.742, 0.335)]
    body += [(1.034, 0.228), (0.985, 0.206)]
    points = [(r * np.cos(a), r * np.sin(a), z) for z, r in body for a in (1.6, 4.7)]
    spout = [(1.471, -0.375), (1.656, -0.131), (1.746, 0.153), (1.855, 0.42)]
    spout += [(1.340, 0.044), (1.476, 0.161), (1.545, 0.316), (1.605, 0.479)]
    handle = [(-1.295, 0.519), (-1.752, 0.460), (-1.904, 0.236), (-1.795, -0.094)]
    handle += [(-1.453, 0.369), (-1.684, 0.305), (-1.698, 0.135), (-1.437, -0.235)]
    points += [(x, 0.0, z) for x, z in spout + handle]
    points += [(-1.809, side * 0.143, 0.236) for side in (-1, 1)]
    distance = jax.jit(lambda at: teapot.distance(Vec(*at.T)))
    gaps = np.abs(distance(np.float32(points)))
    assert gaps.max() < 0.04
    assert gaps.mean() < 0.015
    # All of it lies within the box in which rays look for it.
    rng = np.random.default_rng(0)
    low, high = np.asarray(teapot.LOW), np.asarray(teapot.HIGH)
    far = rng.uniform(low - 1, high + 1, (20000, 3))
    outside = ((far < low) | (far > high)).any(1)
    assert distance(np.float32(far[outside])).min() > 0


def test_gradients_match_finite_differences(simple, x64):
    scene = Ident3D(size=12)
    z = MIDDLE.astype(jnp.float64)
    weights = np.random.default_rng(0).normal(size=(24, 12, 12, 3))

    def total(weight, z):
        return jnp.sum(weight * render(scene, z))

    gradients = jax.jit(jax.vmap(jax.grad(total, argnums=1), (0, None)))
    got = np.asarray(gradients(jnp.asarray(weights), z))
    picture, step = jax.jit(lambda z: render(scene, z)), 1e-6
    ahead, behind = (
        np.stack([picture(z.at[k].add(s)) for k in range(10)], -1)
        for s in (step, -step)
    )
    wanted = np.einsum("bhwc,hwck->bk", weights, (ahead - behind) / (2 * step))
    np.testing.assert_allclose(got[:, 7:], wanted[:, 7:], rtol=1e-6, atol=1e-7)
    # Shadows' edges are followed approximately: the nearest miss is sampled.
    error = np.linalg.norm(got - wanted, axis=0) / np.linalg.norm(wanted, axis=0)
    assert (error < 0.25).all(), error
    assert np.median(error) < 0.1, error


def test_one_picture_many_over_devices_and_the_reference_agree(simple):
    scene = Ident3D(size=17)  # an odd size as well as any other
    z = jax.random.uniform(jax.random.key(0), (8, 10), minval=-1, maxval=1)
    single = jax.jit(lambda z: render(scene, z))
    mesh = jax.make_mesh((8,), ("data",), axis_types=(jax.sharding.AxisType.Auto,))
    rows = jax.sharding.NamedSharding(mesh, jax.P("data"))
    many = jax.jit(jax.vmap(lambda z: render(scene, z)))(jax.device_put(z, rows))
    assert len(many.sharding.device_set) == 8
    for k in (0, 5):
        np.testing.assert_allclose(many[k], single(z[k]), atol=2e-5)
    half = jax.eval_shape(single, z[5].astype(jnp.bfloat16))
    assert half.dtype == jnp.bfloat16
    fine = dataclasses.replace(scene, level="reference")
    reference = jax.jit(lambda z: render(fine, z))(z[5])
    difference = np.abs(np.asarray(reference) - np.asarray(many[5]))
    assert 1e-4 < difference.mean() < 0.02


@pytest.mark.many_programs(reason="at the edges of hues the rounding decides")
def test_published_hues_are_those_of_the_truncating_conversion():
    raw = np.linspace(-1, 1, 37)
    z = jnp.zeros((37, 10)).at[:, 7:].set(raw[:, None])
    for hue in ("published", "circle"):
        setups = jax.vmap(lambda z, hue=hue: ident3d.layout(z, hue=hue))(z)
        for name, saturation in (("object", 1.0), ("spot", 0.8), ("ground", 0.6)):
            got = getattr(setups, f"{name}_rgb")
            # colorsys as of the scripts' Python: int() cuts towards zero.
            turns = raw / 4 if hue == "published" else raw / 4 % 1
            wanted = [colorsys.hsv_to_rgb(turn, saturation, 1.0) for turn in turns]
            np.testing.assert_allclose(got, wanted, atol=2e-6)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (dict(size=7), "size must be >= 8 pixels, got 7"),
        (dict(level="finest"), "level must be one of"),
        (dict(hue="publishd"), "did you mean 'published'"),
    ],
)
def test_bad_settings_are_named(settings, message):
    with pytest.raises(ValueError, match=message):
        Ident3D(**settings)


def test_bad_latents_and_factors_are_named(simple):
    scene = Ident3D(size=8)
    with pytest.raises(TypeError, match="size must be an integer, got 8.5"):
        dataclasses.replace(scene, size=8.5)
    with pytest.raises(ValueError, match="z must be in .*'spot_angle': 1.5"):
        render(scene, jnp.zeros(10).at[6].set(1.5))
    with pytest.raises(ValueError, match="use jax.vmap for a batch"):
        render(scene, jnp.zeros((4, 10)))
    with pytest.raises(ValueError, match=r"z must have shape \[..., 10\]"):
        render(scene, jnp.zeros(9))
    with pytest.raises(ValueError, match="did you mean 'object_hue'"):
        vary(scene.factors, "objct_hue", jnp.zeros(10), jnp.zeros(2))
    with pytest.raises(TypeError, match="scene must be one of"):
        render("ident3d", jnp.zeros(10))


@pytest.mark.skipif("JIDCL_DATA" not in os.environ, reason="needs JIDCL_DATA")
def test_real_pictures_of_the_same_latents_look_the_same():
    from PIL import Image

    root = pathlib.Path(os.environ["JIDCL_DATA"]) / "threedident_mini"
    if not root.exists():
        pytest.skip(f"no {root}")
    z = jnp.asarray(np.load(root / "raw_latents.npy")[:8])
    files = [root / "images" / f"{k:04d}.png" for k in range(8)]
    real = np.stack([np.asarray(Image.open(f).convert("RGB")) for f in files])
    scene = Ident3D(hue="published")
    ours = np.asarray(jax.jit(jax.vmap(lambda z: render(scene, z)))(z)) * 255
    assert np.abs(ours - real).mean() < 3
