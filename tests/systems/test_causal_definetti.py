"""Causal de Finetti: the decision, the search, and the recorded numbers."""

import dataclasses

import jax
import numpy as np
import pytest

from jidcl.numerics import numbers_in
from jidcl.systems.causal_definetti import graphs, pairs, presets
from jidcl.systems.causal_definetti.problem import make_program


def scores(config):
    """Scores and nulls of one run."""
    program = make_program(config)
    with numbers_in("float64"):
        held = {"shared": program.shared} if program.shared is not None else {}
        run = jax.jit(lambda key, held: program.evaluate({}, held, key))
        found = run(jax.random.key(0), held)
        return jax.device_get((found.scores, found.nulls))


@pytest.mark.parametrize(
    "names",
    [
        ("recorded-both-100", "recorded-mech-100"),
        ("mask", "degenerate", "clean-cause"),
        ("clean-mechanism-fisher", "degenerate-wide-fisher"),
        ("relations-cause", "relations-none"),
    ],
)
def test_presets_that_differ_in_their_data_share_a_program(names):
    lowered = set()
    for name in names:
        program = make_program(presets.QUICK[name])
        with numbers_in("float64"):
            run = jax.jit(lambda key, held, it=program: it.evaluate({}, held, key))
            held = {"shared": program.shared}
            lowered.add(run.lower(jax.random.key(0), held).as_text())
    assert len(lowered) == 1


def test_recorded_accuracy_and_what_no_edge_scores():
    found, nulls = scores(presets.recorded("both", 100))
    np.testing.assert_allclose(found["accuracy"], 0.70)
    np.testing.assert_allclose(nulls["accuracy"]["always-empty"], 0.37)
    np.testing.assert_allclose(nulls["accuracy"]["direct-lingam"], 0.41)


@pytest.mark.many_programs(reason="all G-tests of a search")
def test_recorded_graphs():
    found, nulls = scores(presets.binary(2000))
    np.testing.assert_allclose(found["shd"], 0.3143, atol=1e-4)
    np.testing.assert_allclose(nulls["shd"]["random"], 0.2625, atol=0.02)


def test_lingam_finds_the_direction_of_skewed_noise_and_prunes_what_is_apart():
    x, e = np.random.default_rng(0).exponential(size=(2, 20, 100, 2))
    with numbers_in("float64"):
        forward, backward, apart = (
            np.asarray(pairs.lingam_decision(*pair, prune=True))
            for pair in ((x, x + e), (x + e, x), (x, e))
        )
        edges = np.asarray(pairs.lingam_decision(x, e))
    assert (forward == 0).all()
    assert (backward == 1).all()
    assert np.mean(apart == 2) >= 0.8  # 2 % of 20 are pruned not
    assert set(edges.tolist()) <= {0, 1}


def test_the_rule_has_its_order_at_the_level_itself():
    p = np.array([[0.05, 0.05, 0.05], [0.06, 0.06, 0.06], [0.2, 0.1, 0.04]])
    assert pairs.bivariate_decision(p).tolist() == [0, 2, 0]


def test_two_tests_tell_what_varies():
    base = presets.QUICK["relations-cause"]
    own = dict(test="fisher_z", repetitions=50, environments=100)
    for vary in ("cause", "mechanism", "none"):
        found, _ = scores(dataclasses.replace(base, vary=vary, **own))
        assert found["profile"] >= 0.8
        assert found["false_alarms"] <= 0.2


def test_a_search_finds_the_graph_of_perfect_tests():
    """Where a test rejects exactly what d-separation says."""
    levels, edges = np.ones((2, 8, 3, 3))
    held = {7: 2, 3: 1, 1: 0}  # sinks of what is left, by bit mask
    for mask, sink in held.items():
        for j in range(3):
            levels[mask, j] = 0.9 if j == sink else 0.01
    edges[:] = 0.9
    edges[1, 1, 2] = edges[1, 2, 1] = 0.001  # 1 - 2 given 0
    edges[0, 0, 1] = edges[0, 1, 0] = 0.001  # 0 - 1
    found = jax.jit(graphs.search)(levels, edges)
    assert found.level.tolist() == [3, 2, 1]
    assert np.argwhere(found.edges).tolist() == [[0, 1], [1, 2]]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (dict(environments=5), "environments .KCI needs 6. must be >= 6, got 5"),
        (dict(alpha=1.0), r"alpha must be in \(0, 1\), got 1.0"),
        (dict(source="recorded", environments=150), "environments must be one of"),
        (dict(experiment="binary", vary="cause"), "vary cannot act here"),
    ],
)
def test_settings_are_checked(change, message):
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(presets.CausalDeFinetti(), **change)
