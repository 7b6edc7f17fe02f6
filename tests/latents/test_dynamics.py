"""Linear systems: against SciPy, closed forms and the joint law of the outputs."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.linalg
import scipy.signal
import scipy.stats

from jidcl import latents
from jidcl.latents import kalman
from jidcl.latents.machines import PHYSICAL
from jidcl.latents.small import solve_small, triangular
from jidcl.numerics import numbers_in


def key(seed):
    return jax.random.key(seed)


def system(n=3, m=2, p=2):
    """A stable system of NumPy arrays."""
    rng = np.random.default_rng(0)
    a = rng.normal(size=(n, n))
    a *= 0.8 / np.abs(np.linalg.eigvals(a)).max()
    return latents.LTI(a, rng.normal(size=(n, m)), rng.normal(size=(p, n)))


def test_zero_order_hold_is_that_of_scipy(x64):
    for name, (a, b) in PHYSICAL.items():
        a, b = np.array(a), np.array(b)
        want = scipy.signal.cont2discrete((a, b, np.eye(2), 0 * b), 0.01)[:2]
        got = latents.physical_system(name, 0.01)
        np.testing.assert_allclose(got.a, want[0], rtol=1e-12)
        np.testing.assert_allclose(got.b, want[1], rtol=1e-9, atol=1e-15)


@pytest.mark.many_programs(reason="a program for each shape")
def test_spectral_radius_is_the_largest_eigenvalue(x64, rng):
    some = [rng.normal(size=(n, n)) for n in (1, 2, 5)]
    turn = np.array([[0.0, -2.0], [2.0, 0.0]])  # two eigenvalues of one size
    for a in (*some, turn, 1e150 * turn, np.triu(some[2], 0)):
        want = np.abs(np.linalg.eigvals(a)).max()
        np.testing.assert_allclose(latents.spectral_radius(a), want, rtol=1e-10)
    assert latents.spectral_radius(np.zeros((2, 2))) == 0
    assert latents.spectral_radius(np.eye(2, k=1)) == 0
    np.testing.assert_allclose(
        latents.spectral_radius(latents.rescaled(some[2], 0.7)), 0.7, rtol=1e-10
    )


def test_outputs_are_those_of_scipy(x64, rng):
    a, b, c = system()
    u = rng.normal(size=(30, 2))
    start = rng.normal(size=3)
    held = (a, b, c, np.zeros((2, 2)), 1.0)
    _, want, states = scipy.signal.dlsim(held, u, x0=start)
    x, y = latents.simulate(latents.LTI(a, b, c), u, start=start)
    np.testing.assert_allclose(x, states, rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(y, want, rtol=1e-10, atol=1e-12)


def joint(held, time, mean, variance, noise, start):
    """Mean and covariance of all outputs, written as one linear map of controls."""
    a, b, c = held
    powers = [np.linalg.matrix_power(a, k) for k in range(time)]
    n, m = b.shape
    p = len(c)
    act = np.zeros((time * p, time * m))
    for t in range(time):
        for s in range(t):
            act[t * p : t * p + p, s * m : s * m + m] = c @ powers[t - 1 - s] @ b
    centre = np.concatenate([c @ powers[t] @ start for t in range(time)])
    centre = centre + act @ np.tile(mean, time)
    cov = act @ np.diag(np.tile(variance, time)) @ act.T
    return centre, cov + noise * np.eye(time * p)


@pytest.mark.many_programs(reason="the filter with and without gaps")
def test_kalman_likelihood_is_that_of_the_joint_normal_law(x64, rng):
    held = system()
    mean, variance = np.array([0.3, -0.2]), np.array([0.5, 2.0])
    start, time = rng.normal(size=3), 6
    centre, cov = joint(held, time, mean, variance, 0.2, start)
    own = dict(mean=mean, variance=variance, noise=0.2, start=start)
    y = rng.normal(size=(time, 2))
    whole = y.copy()
    for gap in ([], [(2, slice(None))], [(2, slice(None)), (4, 1), (0, 0)]):
        for where in gap:
            y[where] = np.nan
        seen = np.isfinite(y.ravel())
        law = scipy.stats.multivariate_normal(centre[seen], cov[np.ix_(seen, seen)])
        got = latents.kalman_log_likelihood(held, y, **own)
        np.testing.assert_allclose(got, law.logpdf(y.ravel()[seen]), rtol=1e-10)
    slope = jax.grad(
        lambda noise: latents.kalman_log_likelihood(
            held, whole, **{**own, "noise": noise}
        )
    )(0.2)
    assert np.isfinite(slope)


@pytest.mark.many_programs(reason="two forms and their gradients, three lengths")
@pytest.mark.parametrize("time", [0, 1, 53])
def test_both_forms_of_the_filter_agree(time, x64, rng):
    held, y = system(), rng.normal(size=(time, 2))
    if time > 30:
        y[0], y[7, 1], y[20:31] = np.nan, np.nan, np.nan
    own = [jnp.asarray(x) for x in (y, [0.3, -0.2], [0.5, 2.0])]
    start = jnp.asarray(rng.normal(size=3))

    def run(way):
        def log(a, noise, start):
            return way(latents.LTI(a, *held[1:]), *own, noise, start)

        both = jax.jit(jax.value_and_grad(log, (0, 1, 2)))
        return both(jnp.asarray(held.a), jnp.asarray(0.2), start)

    for got, want in zip(
        *(jax.tree.leaves(run(way)) for way in (kalman.in_blocks, kalman.by_roots)),
        strict=True,
    ):
        np.testing.assert_allclose(got, want, rtol=1e-8, atol=1e-10)


@pytest.mark.many_programs(reason="both forms, in single precision, and one in double")
def test_in_single_precision_the_filter_goes_by_roots():
    noise, time = 1e-6, 300
    with numbers_in("float64"):
        keys = jax.random.split(jax.random.key(5), 3)
        held = latents.sample_system(keys[0], 3, outputs=2)
        controls = jax.random.normal(keys[1], (time, 3))
        seen = latents.simulate(held, controls)[1]
        seen += noise**0.5 * jax.random.normal(keys[2], seen.shape)
        own = seen, jnp.zeros(3), jnp.ones(3), jnp.asarray(noise), jnp.zeros(3)
        want = float(kalman.by_roots(held, *own))
    with numbers_in("float32"):
        held, own = jax.tree.map(lambda x: jnp.asarray(x, jnp.float32), (held, own))
        y, mean, variance = own[:3]
        got = latents.kalman_log_likelihood(
            held, y, mean=mean, variance=variance, noise=noise
        )
        np.testing.assert_allclose(got, want, rtol=1e-5)
        # Blocks would lose a small noise.
        assert abs(float(kalman.in_blocks(held, *own)) - want) > 1e-4 * abs(want)


def test_a_likelihood_has_a_derivative_by_the_system(x64):
    held = system()
    own = dict(mean=np.zeros(2), variance=np.ones(2), noise=0.5)
    y = np.ones((5, 2))

    def log(shift):
        moved = latents.LTI(held.a + shift, held.b, held.c)
        return latents.kalman_log_likelihood(moved, y, **own)

    got = jax.grad(log)(0.0)
    want = (log(1e-6) - log(-1e-6)) / 2e-6
    np.testing.assert_allclose(got, want, rtol=1e-6)


def test_small_linear_algebra_is_that_of_numpy(x64, rng):
    a, b = rng.normal(size=(2, 5, 4, 4))
    a[0, 0, 0] = 0  # needs a pivot
    x, log_det = jax.vmap(solve_small)(a, b)
    np.testing.assert_allclose(x, np.linalg.solve(a, b), rtol=1e-9)
    np.testing.assert_allclose(log_det, np.linalg.slogdet(a)[1], rtol=1e-9)
    wide = rng.normal(size=(3, 6))
    lower = triangular(jnp.asarray(wide))
    np.testing.assert_allclose(lower @ lower.T, wide @ wide.T, rtol=1e-9)


@pytest.mark.many_programs(reason="random systems and series, eagerly")
def test_random_systems_and_series_have_their_laws(x64):
    held = latents.sample_system(key(0), 4, inputs=2, triangular=True)
    np.testing.assert_allclose(latents.spectral_radius(held.a), 0.9, rtol=1e-9)
    assert not np.triu(held.a, 1).any()
    assert held.b.shape == (4, 2)
    plain = latents.sample_system(key(0), 3, random_b=False, random_c=False)
    np.testing.assert_array_equal(plain.b, np.eye(3))
    some = latents.sample_environments(key(1), 3, 2, means="normal")
    series = latents.sample_series(key(2), held, some, 4000)
    u = np.asarray(series.controls)
    np.testing.assert_allclose(u.mean(1), some.mean, atol=0.08)
    np.testing.assert_allclose(u.var(1), some.variance, rtol=0.15)
    noisy = latents.sample_series(key(2), held, some, 4000, noise=0.25)
    np.testing.assert_array_equal(noisy.controls, series.controls)
    left = np.asarray(noisy.outputs - series.outputs)
    np.testing.assert_allclose(left.var((0, 1)), 0.25, rtol=0.1)
    flat = latents.sample_environments(key(3), 4, 3, design="proportional").variance
    flat = np.asarray(flat)
    np.testing.assert_allclose(flat / flat[:1], (flat / flat[:1])[:, :1] * np.ones(3))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: latents.sample_system(key(0), 2, inputs=3), "inputs must be at most"),
        (
            lambda: latents.sample_environments(key(0), 5, 2, design="maximal"),
            r"environments must be 3 \(inputs \+ 1\) for the maximal design, got 5",
        ),
        (
            lambda: latents.simulate(system(), np.ones((4, 3))),
            r"controls must have shape \[..., 2\]",
        ),
        (
            lambda: latents.simulate(
                latents.LTI(np.eye(2), np.ones((3, 1)), np.eye(2)), np.ones((4, 1))
            ),
            "b of system must have shape",
        ),
        (lambda: latents.physical_system("dc_moter", 0.1), "did you mean 'dc_motor'"),
    ],
)
def test_bad_input_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
