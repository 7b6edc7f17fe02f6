"""Block scores against scikit-learn, and the closed form of what content predicts."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sklearn.kernel_ridge import KernelRidge
from sklearn.linear_model import LinearRegression
from sklearn.metrics import r2_score
from sklearn.model_selection import GridSearchCV
from sklearn.preprocessing import StandardScaler

from budget import one_program
from jidcl import metrics
from jidcl.metrics import fit_kernel_ridge, fit_linear
from jidcl.metrics.blocks import ALPHAS, GAMMAS

BLOCKS = (2, 1)
fit_of = jax.jit(partial(fit_kernel_ridge, blocks=BLOCKS))
determination = one_program(metrics.determination)
linear_share = one_program(metrics.linear_share)
predict = one_program(metrics.predict)


def data(rng, rows=82):
    """A representation, and latents that are smooth functions of it, with noise."""
    y = 3 * rng.normal(size=(rows, 2)) + 1
    z = np.stack([np.sin(y[:, 0]), y[:, 1] ** 2, np.cos(2 * y[:, 0])], axis=1)
    return z + 0.1 * rng.normal(size=z.shape) * [1, 1, 5], y


def scikit_learn(z, y, y_score):
    """The published procedure: z_hat of the rows y_score, and the grid search."""
    scale_y, scale_z = StandardScaler().fit(y), StandardScaler().fit(z)
    search = GridSearchCV(
        KernelRidge(kernel="rbf"),
        {"alpha": list(ALPHAS), "gamma": list(GAMMAS)},
        cv=3,
        scoring="r2",
    ).fit(scale_y.transform(y), scale_z.transform(z))
    z_hat = search.predict(scale_y.transform(y_score))
    return scale_z.inverse_transform(z_hat), search


@pytest.mark.parametrize(("float64", "tolerance"), [(True, 1e-8), (False, 2e-3)])
def test_kernel_ridge_equals_scikit_learn(rng, float64, tolerance):
    z, y = data(rng)  # 52 rows to fit: folds of 18, 17, 17
    with jax.enable_x64(float64):
        dtype = jnp.float64 if float64 else jnp.float32
        a, b = z.astype(dtype), y.astype(dtype)
        fit = fit_of(a[:52], b[:52])
        z_hat = predict(fit, b[52:])
        assert z_hat.dtype == dtype
        scores = determination(a[52:], z_hat)
    for index, part in enumerate((slice(0, 2), slice(2, 3))):
        want, search = scikit_learn(z[:52, part], y[:52], y[52:])
        grid = search.cv_results_["mean_test_score"].reshape(4, 4)
        np.testing.assert_allclose(fit.scores[index], grid, atol=tolerance)
        best = search.best_params_
        assert float(fit.alpha[index]) == pytest.approx(best["alpha"])
        assert float(fit.gamma[index]) == pytest.approx(best["gamma"])
        np.testing.assert_allclose(z_hat[:, part], want, rtol=tolerance, atol=tolerance)
        want = r2_score(z[52:, part], want, multioutput="raw_values")
        np.testing.assert_allclose(scores[part], want, atol=tolerance)


def test_the_blocks_choose_for_themselves(rng):
    z, y = data(rng)
    z[:, 2] = rng.normal(size=len(z))  # noise: wants the strongest regularisation
    fit = fit_of(z[:52], y[:52])
    assert float(fit.alpha[1]) == 1 > float(fit.alpha[0])
    whole = jax.jit(fit_kernel_ridge)(z[:52], y[:52])
    np.testing.assert_allclose(
        whole.scores[0], (2 * fit.scores[0] + fit.scores[1]) / 3, atol=1e-5
    )


def test_linear_fit_on_other_rows_equals_scikit_learn(x64, rng):
    z, y = data(rng)
    want = LinearRegression().fit(y[:40], z[:40]).predict(y[40:])
    got = jax.jit(lambda z, y, y_score: fit_linear(z, y)(y_score))
    np.testing.assert_allclose(got(z[:40], y[:40], y[40:]), want)


def test_scores_are_blind_to_scales_and_shifts(rng):
    z, y = data(rng)
    moved = fit_of(1e3 * z[:52] - 7, 1e-4 * y[:52] + 1e-3)
    fit = fit_of(z[:52], y[:52])
    np.testing.assert_allclose(moved.scores, fit.scores, atol=2e-3)
    z_hat = predict(moved, jnp.asarray(1e-4 * y[52:] + 1e-3, jnp.float32))
    want = predict(fit, jnp.asarray(y[52:], jnp.float32))
    np.testing.assert_allclose(z_hat, 1e3 * want - 7, rtol=1e-2, atol=2)


def test_constant_columns_score_zero(rng):
    z, y = data(rng)
    z, y = z[:52], y[:52]
    z[:, 2] = 0.1
    fit = fit_of(z, np.zeros_like(y))
    z_hat = predict(fit, jnp.zeros(y.shape))
    np.testing.assert_allclose(z_hat, np.tile(z.mean(0), (len(z), 1)), rtol=1e-4)
    np.testing.assert_allclose(
        determination(jnp.asarray(z, jnp.float32), z_hat), [0, 0, 0], atol=1e-5
    )


def test_kernel_ridge_maps_over_seeds(rng):
    z, y = (v[:52] for v in data(rng))
    z, y = (np.stack([v, 2 * v]).astype(np.float32) for v in (z, y))

    def fitted(z, y):
        return metrics.predict(fit_of(z, y), y)

    mapped = jax.jit(jax.vmap(fitted))(z, y)
    for i in range(2):
        one = jax.jit(fitted)(z[i], y[i])
        np.testing.assert_allclose(mapped[i], one, rtol=1e-3, atol=1e-3)


def test_content_predicts_its_share_of_style(rng):
    # 20,000 rows: a linear R2 has a standard error below 2 sqrt(R2) (1 - R2) / 141.
    effect, c, e = rng.normal(size=(3, 2)), rng.normal(size=(2, 2)), np.eye(3)
    content = rng.normal(size=(20_000, 2)) @ c.T
    style = content @ effect.T + 5 + rng.normal(size=(20_000, 3)) @ e
    want = r2_score(
        style,
        LinearRegression().fit(content, style).predict(content),
        multioutput="raw_values",
    )
    got = np.asarray(
        linear_share(*(jnp.asarray(v, jnp.float32) for v in (effect, c @ c.T, e @ e.T)))
    )
    assert (np.abs(got - want) < 5 * 2 * np.sqrt(got) * (1 - got) / 141).all()
    zero = linear_share(jnp.zeros((3, 2)), jnp.eye(2), jnp.eye(3))
    np.testing.assert_array_equal(zero, np.zeros(3))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"blocks": (2, 2)}, "add up to 3 columns, got"),
        ({"folds": 1}, "folds must be >= 2, got 1"),
        ({"alphas": (0.0,)}, "alphas must be > 0"),
    ],
)
def test_bad_settings_are_refused(rng, settings, message):
    with pytest.raises(ValueError, match=message):
        fit_kernel_ridge(*data(rng), **settings)
