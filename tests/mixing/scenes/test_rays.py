import jax.numpy as jnp
import numpy as np
import pytest

from jidcl.mixing.scenes import shading
from jidcl.mixing.scenes.rays import (
    Vec,
    box_span,
    disk_share,
    pinhole,
    trace,
    visibility,
)


def vec(*values):
    return Vec(*(jnp.asarray(v, jnp.float32) for v in values))


def ball(p):
    return jnp.sqrt(p.x**2 + p.y**2 + p.z**2) - 1


def toward(polar, azimuth):
    polar, azimuth = np.radians(polar), np.radians(azimuth)
    flat = np.sin(polar)
    return vec(flat * np.cos(azimuth), flat * np.sin(azimuth), np.cos(polar))


def test_a_traced_ball_is_met_where_the_quadratic_says():
    heights = np.linspace(-1.5, 1.5, 31)
    origin = vec(np.full(31, -3.0), heights, np.zeros(31))
    ray = vec(np.ones(31), np.zeros(31), np.zeros(31))
    span = box_span(origin, ray, vec(-1.01, -1.01, -1.01), vec(1.01, 1.01, 1.01))
    hit = trace(ball, origin, ray, span, 30)
    inside = np.abs(heights) < 0.99
    assert (np.asarray(hit.found) == (np.abs(heights) <= 1)).all()
    exact = 3 - np.sqrt(1 - heights[inside] ** 2)
    np.testing.assert_allclose(hit.t[inside], exact, atol=2e-3)
    np.testing.assert_allclose(hit.normal.y[inside], heights[inside], atol=5e-3)


def test_a_box_is_entered_and_left_where_it_stands():
    low, high = vec(-1, -1, -1), vec(1, 2, 3)
    near, far = box_span(vec(-3, 0, 0), vec(1, 0, 0), low, high)
    assert (float(near), float(far)) == (2, 4)
    near, far = box_span(vec(0, 0, 0), vec(0, 1, 0), low, high)
    assert (float(near), float(far)) == (0, 2)
    near, far = box_span(vec(-3, 5, 0), vec(1, 0, 0), low, high)
    assert far < near


def test_a_disk_is_cut_in_the_shares_of_a_sample(rng):
    points = rng.uniform(-1, 1, (400000, 2))
    heights = points[(points**2).sum(1) < 1, 1]
    for c in (-1.2, -0.9, -0.4, 0.0, 0.3, 0.8, 1.2):
        share = (heights < c).mean()
        assert float(disk_share(jnp.float32(c))) == pytest.approx(share, abs=4e-3)


def test_the_penumbra_of_a_large_ball_has_the_lamps_width():
    # Rays upwards past a ball at height 6 and radius 1; lamp of angular radius 0.05:
    # on the ground the penumbra ends at 1 +- 0.3, and half the lamp shows at 1.
    x = np.linspace(0, 2, 201)
    origin = vec(x, np.zeros(201), np.full(201, -6.0))
    ray = vec(np.zeros(201), np.zeros(201), np.ones(201))
    shown = np.asarray(
        visibility(ball, origin, ray, (jnp.zeros(201), jnp.full(201, 20.0)), 0.05, 60)
    )
    assert (shown[x < 0.68] < 0.01).all()
    assert (shown[x > 1.32] > 0.99).all()
    assert float(np.interp(1, x, shown)) == pytest.approx(0.5, abs=0.03)
    assert (np.diff(shown) > -1e-3).all()


@pytest.mark.parametrize(
    ("cosine", "outer", "inner"),
    [(1, 0.00826, 0.02778), (0.5, 0.03342, 0.07198), (0.2, 0.23752, 0.31761)],
)
def test_fresnel_terms_are_those_of_the_table(cosine, outer, inner):
    for index, value in ((1.2, outer), (1.4, inner)):
        got = float(shading.fresnel(jnp.float32(cosine), index))
        assert got == pytest.approx(value, abs=1e-5)


@pytest.mark.parametrize(
    ("view", "light", "apart", "lobes"),
    [
        (30, 30, 180, (0.27566, 0.0, 0.75011)),
        (45, 20, 90, (0.29911, 0.00005, 0.21610)),
        (60, 60, 0, (0.15915, 0.15568, 0.0)),
        (70, 50, 180, (0.20461, 0.0, 1.53635)),
    ],
)
def test_rubber_mixes_the_lobes_of_the_table(view, light, apart, lobes):
    diffuse, velvet, gloss = lobes
    up = vec(0, 0, 1)
    coloured, grey = shading.rubber(up, toward(view, 0), toward(light, apart))
    cosine = np.cos(np.radians(view))
    outer, inner = (float(shading.fresnel(jnp.float32(cosine), i)) for i in (1.2, 1.4))
    wanted = (1 - outer) * ((1 - inner) * diffuse + inner * velvet)
    assert float(coloured) == pytest.approx(wanted, abs=3e-5)
    assert float(grey) == pytest.approx(0.8 * outer * gloss, abs=3e-5)
    assert [float(v) for v in shading.rubber(up, up, vec(0, 0, -1))] == [0, 0]


def test_a_wide_lamp_softens_the_cone_as_an_average_over_its_disk(rng):
    angles = np.radians(17.5) + np.linspace(-0.1, 0.1, 21)
    points = rng.uniform(-1, 1, (40000, 2))
    turns = 0.05 * points[(points**2).sum(1) < 1, 0]
    k = np.cos(angles[:, None] + turns)
    s = np.clip((k - np.cos(np.radians(17.5))) / 0.0046283, 0, 1)
    wanted = np.cos(angles) * (s * s * (3 - 2 * s)).mean(1)
    got = shading.cone(jnp.asarray(np.cos(angles), jnp.float32), jnp.float32(0.05))
    np.testing.assert_allclose(got, wanted, atol=0.05)


def test_the_middle_pixel_looks_forward_and_corners_span_the_field():
    axes = jnp.asarray([[0, 1, 0], [0, 0, 1], [-1, 0, 0]], jnp.float32)
    ray = pinhole(5, (jnp.float32(0.5), jnp.float32(0.5)), 0.5, axes)
    assert [float(getattr(ray, c)[2, 2]) for c in "xyz"] == [-1, 0, 0]
    # Row 0 is up (z), the last column right (y): the middle of the outermost pixel.
    slope = float(ray.z[0, 2] / -ray.x[0, 2])
    assert slope == pytest.approx(0.5 * 0.8, rel=1e-6)
    assert float(ray.y[2, 4]) > 0


def test_display_is_the_standard_curve():
    linear = jnp.asarray([-1.0, 0.0, 0.002, 0.2, 1.0, 3.0])
    wanted = [0, 0, 12.92 * 0.002, 1.055 * 0.2 ** (1 / 2.4) - 0.055, 1, 1]
    np.testing.assert_allclose(shading.display(linear), wanted, atol=1e-6)
