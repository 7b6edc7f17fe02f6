"""Exchangeable environments: their moments, their switches and the recorded data."""

import jax
import numpy as np
import pytest

from jidcl import latents


def observed(vary, **own):
    draws = latents.sample_pairs(
        jax.random.key(0), 4000, structure="x_to_y", spread=4.0, **own
    )
    return [np.asarray(v) for v in latents.observe_pairs(draws, vary=vary)], draws


@pytest.mark.many_programs(reason="every switch")
@pytest.mark.parametrize("vary", latents.VARIES)
def test_what_varies_is_shared_by_the_samples_of_an_environment(vary):
    (x, y), draws = observed(vary, quadratic="none")
    a, b = np.asarray(draws.weights)[1]
    between = np.cov(x.T)[0, 1]
    cause = vary in ("both", "cause")
    # Uniform parameters of variance 16 / 3; 4000 environments, 5 standard errors.
    np.testing.assert_allclose(between, cause * 16 / 3, atol=0.6)
    left = y - a * x
    mechanism = vary in ("both", "mechanism")
    got = np.cov(left.T)[0, 1] / b**2
    np.testing.assert_allclose(got, mechanism * 16 / 3, atol=0.6)


def test_the_mask_bends_half_of_the_environments():
    (x, y), draws = observed("none", quadratic="half")
    mask = np.asarray(draws.mask)
    assert mask.sum() == 2000
    (_, straight), _ = observed("none", quadratic="none")
    bent = np.abs(y - straight).max(axis=1) > 1e-4
    assert (bent <= (mask == 1)).all()
    assert bent.sum() > 1900


def test_recorded_pairs_hold_the_published_numbers_of_independent_pairs():
    for count, want in ((100, 37), (200, 36)):
        held = latents.recorded_pairs(count)
        assert (held.structure == 2).sum() == want


def test_graphs_are_the_four_of_three_variables():
    graphs = {tuple(map(tuple, np.argwhere(g))) for g in latents.binary_graphs(3)}
    chain, fork, collider = ((0, 1), (1, 2)), ((0, 1), (0, 2)), ((0, 2), (1, 2))
    assert graphs == {chain, fork, collider, ((0, 1), (0, 2), (1, 2))}
    tables, truth = latents.recorded_binary(50, counts=(50,), repetitions=30)
    assert (tables.sum(axis=tuple(range(1, 7))) == 50).all()
    assert {tuple(map(tuple, np.argwhere(g))) for g in truth} <= graphs


def test_binary_variables_and_their_table():
    draw = jax.jit(latents.sample_binary, static_argnums=1)
    values, graph = draw(jax.random.key(0), 3000)
    values = np.asarray(values)
    table = latents.table_of(values)
    assert table[1].sum() == values[0, 0].sum()
    assert table[:, :, :, :, 1].sum() == values[1, 1].sum()
    free = ~np.asarray(graph).any(axis=0)
    # A variable without parents is Bernoulli(1/4); 6000 draws, 5 standard errors.
    np.testing.assert_allclose(values[free].mean(axis=(1, 2)), 0.25, atol=0.03)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: latents.sample_pairs(jax.random.key(0), 1),
            "environments must be >= 2, got 1",
        ),
        (
            lambda: latents.sample_pairs(jax.random.key(0), 4, spread=0.0),
            "spread must be > 0",
        ),
        (
            lambda: latents.sample_pairs(jax.random.key(0), 4, quadratic="some"),
            "quadratic must be",
        ),
        (lambda: latents.recorded_pairs(150), "environments must be one of"),
        (lambda: latents.binary_graphs(6), "variables must be at most 5"),
    ],
)
def test_bad_input_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
