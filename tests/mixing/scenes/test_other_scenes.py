import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jidcl.mixing.scenes import (
    SCENES,
    Masks,
    Shapes3D,
    Sprites,
    Triangles,
    grid_latents,
    make_scene,
    masks,
    render,
    shapes3d,
    sprites,
    vary,
)

FLAT = ("sprites", "triangles", "masks")


def draw(scene, z):
    return np.asarray(jax.jit(jax.vmap(lambda z: render(scene, z)))(z))


def test_the_grid_of_dsprites_has_the_published_count_and_values():
    scene = Sprites()
    assert math.prod(scene.grid) == 737_280
    index = jnp.arange(737_280)
    values = np.asarray(sprites.physical_sprites(grid_latents(scene, index)))
    wanted = [
        np.arange(3),
        np.linspace(0.5, 1, 6),
        np.linspace(0, 2 * np.pi, 40),
        np.linspace(0, 1, 32),
        np.linspace(0, 1, 32),
    ]
    for column, levels in zip(values.T, wanted, strict=True):
        nearest = np.abs(column[:, None] - levels).argmin(1)
        np.testing.assert_allclose(column, levels[nearest], atol=2e-6)
        assert len(set(np.bincount(nearest).tolist())) == 1
    # Row-major: the last factor changes fastest, as in the published file.
    np.testing.assert_allclose(values[:32, 4], wanted[4], atol=1e-6)
    assert len(np.unique(np.round(values, 5), axis=0)) == 737_280


def test_the_grid_of_3d_shapes_has_the_published_count_and_values():
    scene = Shapes3D()
    assert math.prod(scene.grid) == 480_000
    index = jnp.arange(0, 480_000, 7)
    values = np.asarray(shapes3d.physical(grid_latents(scene, index)))
    hues = np.arange(10) / 10
    wanted = [hues, hues, hues, np.linspace(0.75, 1.25, 8), np.arange(4)]
    wanted.append(np.linspace(-30, 30, 15))
    for column, levels in zip(values.T, wanted, strict=True):
        nearest = np.abs(column[:, None] - levels).argmin(1)
        np.testing.assert_allclose(column, levels[nearest], atol=1e-5)
        assert set(nearest) == set(range(len(levels)))
    with pytest.raises(ValueError, match=r"index must be in 0\.\.479999, got 480000"):
        grid_latents(scene, jnp.asarray(480_000))
    with pytest.raises(ValueError, match="must have a published grid"):
        grid_latents(Masks(), jnp.asarray(0))


@pytest.mark.parametrize("name", [*FLAT, "shapes3d"])
def test_every_factor_changes_the_picture(name):
    scene = make_scene(name, size=32)
    n = len(scene.factors)
    # A corner of no symmetry: a heart, a cube seen askew.
    middle = jnp.full(n, 0.15)
    middle = middle.at[0].set(0.9) if name == "sprites" else middle
    middle = middle.at[4].set(-0.9) if name == "shapes3d" else middle
    rows = [vary(scene.factors, f, middle, jnp.asarray([-0.5])) for f in scene.factors]
    pictures = draw(scene, jnp.concatenate([middle[None], *rows]))
    assert pictures.shape == (n + 1, 32, 32, scene.channels)
    assert 0 <= pictures.min() < pictures.max() <= 1
    changed = np.abs(pictures[1:] - pictures[0]).max(-1) > 0.02
    assert (changed.mean((1, 2)) > 0.01).all()
    if name == "shapes3d":
        floor, wall, solid = changed[:3]
        assert not (floor & wall).any()
        assert not (floor & solid).any()
        assert not (wall & solid).any()
        assert (floor | wall | solid).mean() > 0.9


@pytest.mark.parametrize("name", FLAT)
def test_gradients_match_finite_differences(name, x64):
    scene = make_scene(name, size=16)
    rng = np.random.default_rng(0)
    z = jnp.asarray(rng.uniform(-0.8, 0.8, len(scene.factors)))
    weight = rng.normal(size=(16, 16, scene.channels))
    total = jax.jit(lambda z: jnp.sum(weight * render(scene, z)))
    step, eye = 1e-6, np.eye(len(z))
    finite = [(total(z + step * e) - total(z - step * e)) / (2 * step) for e in eye]
    np.testing.assert_allclose(jax.grad(total)(z), np.asarray(finite), rtol=1e-5)


def test_the_triangle_has_its_area_centre_and_colour():
    scene = Triangles(size=64)
    z = jnp.asarray([[-0.2, 0.4, 0.5, -1.0], [0.6, -0.3, 1.0, -1 + 2 / 3]])
    values = np.asarray(sprites.physical_triangles(z))
    for picture, (x, y, scale, _), channel in zip(
        draw(scene, z), values, (0, 1), strict=True
    ):
        shown = picture[..., channel]
        assert shown.sum() == pytest.approx(scale**2 * 64**2, rel=0.02)
        assert np.delete(picture, channel, axis=-1).max() < 1e-5
        rows, columns = np.indices((64, 64)) + 0.5
        centre = [(shown * c).sum() / shown.sum() for c in (columns, rows)]
        np.testing.assert_allclose(centre, [64 * x, 64 * (1 - y)], atol=0.5)


def test_sprites_have_their_size_place_and_symmetries():
    scene = Sprites(size=64)
    rows = [[-1, 0.5, 0, -0.4, 0.6], [0, 0.5, -1, 0, 0], [0, 0.5, 0, 0, 0]]
    rows += [[1, 0.5, -1, 0, 0], [1, 0.5, 0, 0, 0]]
    square, ellipse, turned, heart, upside = draw(scene, jnp.asarray(rows))[..., 0]
    scale = 0.5 + 0.5 * 0.75
    assert square.sum() == pytest.approx((0.31 * scale * 64) ** 2, rel=0.02)
    grid = np.indices((64, 64)) + 0.5
    centre = [(square * c).sum() / square.sum() for c in grid]
    np.testing.assert_allclose(centre, [64 * 0.65, 64 * 0.4], atol=0.1)
    area = np.pi * 0.22 * 0.11 * scale**2 * 64**2
    assert ellipse.sum() == pytest.approx(area, rel=0.03)
    np.testing.assert_allclose(turned, ellipse, atol=1e-4)
    assert np.abs(heart - upside).max() > 0.9


def test_walks_are_sparse_and_stay_in_the_box():
    z = jnp.zeros((500, 3))
    path = np.asarray(masks.walk(jax.random.key(0), z, length=6, scale=0.1))
    assert path.shape == (6, 500, 3)
    assert np.abs(path).max() <= 1
    steps = path[1] - path[0]
    # Laplace: mean |step| is the scale and kurtosis 6 (a normal has 3).
    assert np.abs(steps).mean() == pytest.approx(0.1, rel=0.15)
    assert (steps**4).mean() / (steps**2).mean() ** 2 > 4


@pytest.mark.parametrize("name", SCENES)
def test_bad_input_is_named(name):
    with pytest.raises(ValueError, match="size must be >= 8"):
        make_scene(name, size=4)
    scene = make_scene(name, size=16)
    z = jnp.zeros(len(scene.factors)).at[1].set(-2.0)
    with pytest.raises(ValueError, match=f"got {{'{scene.factors[1]}': -2.0}}"):
        render(scene, z)
    with pytest.raises(ValueError, match="did you mean 'sprites'"):
        make_scene("sprite")
