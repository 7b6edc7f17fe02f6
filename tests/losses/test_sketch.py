"""SIGReg against its definition, its gradient, and what its minimum is."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import integrate

from budget import one_program
from jidcl import losses
from jidcl.losses import draw_directions
from reference import infonce as loops

gauss_infonce = one_program(losses.gauss_infonce)
lejepa = one_program(losses.lejepa)
sigreg = one_program(losses.sigreg)
view_alignment = one_program(losses.view_alignment)
whitened_alignment = one_program(losses.whitened_alignment)
whitening = one_program(losses.whitening)


def plain(y, directions, knots=17, t_max=3.0):
    """The definition: every knot of [-t_max, t_max], rows x directions x knots."""
    y, a = np.asarray(y, np.float64), np.asarray(directions, np.float64)
    x = y @ (a / np.linalg.norm(a, axis=0))
    t = np.linspace(-t_max, t_max, 2 * knots - 1)
    phi = np.exp(1j * x[:, :, None] * t).mean(axis=0)
    square = np.abs(phi - np.exp(-(t**2) / 2)) ** 2 * np.exp(-(t**2) / 2)
    return len(y) * np.trapezoid(square, t, axis=-1).mean()


def plain_jax(y, directions, knots=17, t_max=3.0):
    x = y @ (directions / jnp.linalg.norm(directions, axis=0, keepdims=True))
    t = jnp.linspace(0, t_max, knots, dtype=y.dtype)
    turn = x[:, :, None] * t[None, None]
    normal = jnp.exp(-(t**2) / 2)
    real = jnp.cos(turn).mean(axis=0) - normal[None]
    square = real**2 + jnp.sin(turn).mean(axis=0) ** 2
    weights = 2 * jnp.ones_like(t).at[0].set(0.5).at[-1].set(0.5) * normal
    total = jnp.sum(square * weights[None], axis=1) * t_max / (knots - 1)
    return y.shape[0] * total.mean()


@pytest.mark.parametrize("settings", [{}, {"knots": 9, "t_max": 5.0}, {"knots": 2}])
def test_sigreg_is_its_definition_in_value_and_gradient(x64, rng, settings):
    y = jnp.asarray(3 * rng.normal(size=(12, 3)) + 1)
    a = jnp.asarray(rng.normal(size=(3, 5)))
    np.testing.assert_allclose(sigreg(y, a, **settings), plain(y, a, **settings))
    for at in (0, 1):
        got = jax.jit(jax.grad(lambda *v: sigreg(*v, **settings), at))(y, a)
        want = jax.jit(jax.grad(lambda *v: plain_jax(*v, **settings), at))(y, a)
        np.testing.assert_allclose(got, want, rtol=1e-9, atol=1e-12)


def test_single_precision_loses_no_more_than_the_plain_form(rng):
    # Turning from knot to knot adds rounding: compare both forms with float64, also
    # for rows so far out that a turn is many revolutions.
    for spread, atol in ((1.0, 2e-6), (30.0, 1e-4)):
        y = jnp.asarray(spread * rng.normal(size=(64, 4)), jnp.float32)
        a = jnp.asarray(rng.normal(size=(4, 8)), jnp.float32)
        want = plain(y, a)
        assert abs(float(sigreg(y, a)) - want) < atol * max(1, want)
        got = np.asarray(jax.jit(jax.grad(sigreg))(y, a), np.float64)
        with jax.enable_x64(True):
            wide = (np.asarray(v, np.float64) for v in (y, a))
            exact = jax.jit(jax.grad(plain_jax))(*wide)
        np.testing.assert_allclose(got, exact, atol=20 * atol)


def test_nothing_of_the_size_of_rows_directions_and_knots_exists():
    rows, count, knots = 64, 32, 17
    y, a = jnp.zeros((rows, 2)), jnp.ones((2, count))
    compiled = jax.jit(jax.grad(sigreg)).lower(y, a).compile()
    memory = compiled.memory_analysis()
    # The plain form keeps several arrays of rows x directions x knots.
    assert memory.temp_size_in_bytes < rows * count * knots * 4


def test_sigreg_does_not_see_rotations_of_all_and_grows_off_the_normal(rng):
    y = rng.normal(size=(256, 2)).astype(np.float32)
    angle = np.linspace(0, np.pi, 16, endpoint=False)  # an even fan
    fan = np.stack([np.cos(angle), np.sin(angle)]).astype(np.float32)
    q = np.float32([[0, -1], [1, 0]])
    np.testing.assert_allclose(sigreg(y @ q, fan), sigreg(y, fan), rtol=1e-4)
    np.testing.assert_allclose(sigreg(y, 7 * fan), sigreg(y, fan), rtol=1e-5)
    normal = float(sigreg(y, fan))
    for other in (0.5 * y, 2 * y, y + 1, np.abs(y), 0 * y):
        assert float(sigreg(other.astype(np.float32), fan)) > 2 * normal


def test_mean_of_normal_rows_is_the_integral_of_the_variance():
    # rows E|phi - normal|^2 = 1 - normal^2 at each t; 400 draws, four standard errors.
    want, _ = integrate.quad(
        lambda t: (1 - np.exp(-(t**2))) * np.exp(-(t**2) / 2), -3, 3
    )
    keys = jax.random.split(jax.random.key(0), 400)
    a = jnp.ones((1, 1))
    draw = jax.vmap(lambda k: sigreg(jax.random.normal(k, (64, 1)), a))
    values = np.asarray(jax.jit(draw)(keys))
    error = float(values.std()) / 20
    assert abs(float(values.mean()) - want) < 4 * error + 1e-3
    assert want == pytest.approx(1.05, abs=0.05)


def test_both_forms_of_lejepa(x64, rng):
    views = jnp.asarray(rng.normal(size=(3, 8, 2)))
    a = jnp.asarray(rng.normal(size=(2, 4)))
    h = np.asarray(views)
    loss, parts = lejepa(views, a, lam=0.3)
    align = ((h.mean(axis=0) - h) ** 2).mean()
    normal = plain(h.reshape(-1, 2), a)
    np.testing.assert_allclose(loss, 0.3 * normal + 0.7 * align)
    np.testing.assert_allclose(parts["alignment"], align)
    loss, parts = lejepa(views, a, lam=0.3, form="per_view", global_views=2)
    align = ((h[:2].mean(axis=0) - h) ** 2).sum(axis=-1).mean()
    normal = np.mean([plain(view, a, 9, 5.0) for view in h])
    np.testing.assert_allclose(loss, 0.3 * normal + 0.7 * align)
    quarter = ((h[0] - h[1]) ** 2).mean() / 4
    np.testing.assert_allclose(view_alignment(views[:2]), quarter)


def test_whitening_is_the_mean_square_off_the_identity(x64, rng):
    views = jnp.asarray(rng.normal(size=(2, 6, 3)))
    rows = np.asarray(views).reshape(-1, 3)
    want = ((np.cov(rows.T) - np.eye(3)) ** 2).mean()
    np.testing.assert_allclose(whitening(jnp.asarray(rows)), want)
    loss, _ = whitened_alignment(views, lam=0.25)
    np.testing.assert_allclose(loss, 0.25 * want + 0.75 * view_alignment(views))
    # Zero for rows whose covariance is exactly I.
    corners = np.array([[1.0, 1], [1, -1], [-1, 1], [-1, -1]]) * np.sqrt(3 / 4)
    np.testing.assert_allclose(whitening(jnp.asarray(corners)), 0, atol=1e-15)


def test_gauss_infonce_compares_across_views_only(x64, rng):
    y, y_pos = (jnp.asarray(rng.normal(size=(5, 2))) for _ in range(2))
    sigma = 0.7
    square = ((np.asarray(y)[:, None] - np.asarray(y_pos)[None]) ** 2).sum(-1)
    logits = -square / (2 * sigma**2)
    one, other = (
        np.log(np.exp(m).sum(axis=1)) - np.diag(m) for m in (logits, logits.T)
    )
    want = (one.mean() + other.mean()) / 2
    np.testing.assert_allclose(gauss_infonce(y, y_pos, sigma=sigma)[0], want)
    policy = dict(include_positive=False, compare="positive", symmetric=True)
    sim = dict(kind="lp", p=2.0)
    rows, *_ = loops.infonce(y, y_pos, tau=2 * sigma**2, policy=policy, sim=sim)
    np.testing.assert_allclose(rows.mean(), want)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda y, a: sigreg(y, a[:1]), r"directions must have shape \[2, count\]"),
        (lambda y, a: sigreg(y, a, knots=1), "knots must be >= 2, got 1"),
        (lambda y, a: sigreg(y, a, t_max=0.0), "t_max must be > 0, got 0.0"),
        (lambda y, a: lejepa(y, a, lam=0.5), "views must have shape"),
        (lambda y, a: lejepa(y[None], a, lam=0.5), "views must have shape"),
        (
            lambda y, a: lejepa(jnp.stack([y, y]), a, lam=2.0),
            r"lam must be in \[0, 1\]",
        ),
        (
            lambda y, a: lejepa(jnp.stack([y, y]), a, lam=0.1, form="pool"),
            "did you mean 'pooled'",
        ),
        (
            lambda y, a: lejepa(jnp.stack([y, y]), a, lam=0.1, global_views=1),
            "global_views must be None for form 'pooled'",
        ),
        (lambda y, a: gauss_infonce(y, y, sigma=0.0), "sigma must be > 0"),
    ],
)
def test_bad_input(call, message):
    with pytest.raises(ValueError, match=message):
        call(jnp.ones((4, 2)), draw_directions(jax.random.key(0), 2, 3))
