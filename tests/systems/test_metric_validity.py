"""Factors, codes and scores of known cells; the taxonomy against simulation."""

import json
from importlib import resources

import jax
import numpy as np
import pytest

from jidcl.metrics import mcc
from jidcl.systems.metric_validity import factors, presets
from jidcl.systems.metric_validity.evaluate import (
    _finish,
    drawn,
    names_of,
    one_draw,
)
from jidcl.systems.metric_validity.presets import MetricValidity, cell, experiments
from jidcl.systems.metric_validity.problem import SYSTEM, make_program
from jidcl.theory import CLAIMS, validity
from jidcl.theory.validity import HIGH, LOW, verdicts
from jidcl.train.evaluation import summarised


def mean_of(name, draws=3, **change):
    """Scores of a quick preset, averaged over a few draws."""
    held = presets.QUICK[name]
    config = held.changed(**{"draws": draws, **change})
    rows = [one_draw(config, [7, i]) for i in range(draws)]
    return {key: np.mean([row[key] for row in rows]) for key in rows[0]}


def test_codes_of_each_encoder_are_what_they_are_called():
    rng = np.random.default_rng(0)
    z = factors.draw_factors(rng, "D1", 200, 4)
    widths = {"E4": 3, "E5": 5, "E6": 5, "E7": 8, "E8": 8}
    for name in presets.ENCODERS:
        y = factors.draw_codes(np.random.default_rng(1), name, z)
        assert y.shape == (200, widths.get(name, 4)), name
        again = factors.draw_codes(np.random.default_rng(1), name, z)
        np.testing.assert_array_equal(y, again)
    for name in ("E1", "E4", "E5"):
        y = factors.draw_codes(rng, name, z)
        assert float(mcc(z, y, xp=np).mean) == pytest.approx(1)
    dropped = factors.draw_codes(rng, "E4", z, m=2)
    np.testing.assert_allclose(abs(np.corrcoef(dropped[:, 0], z[:, 2])[0, 1]), 1)
    y = factors.draw_codes(rng, "E3", z, condition=10.0)
    values = np.linalg.svd(np.linalg.lstsq(z, y, rcond=None)[0], compute_uv=False)
    np.testing.assert_allclose(values, np.linspace(1, 0.1, 4))
    pieces = factors.draw_codes(rng, "E8", z, m=12)
    sums = pieces.reshape(200, 4, 3).sum(axis=2)  # one piece of each holds the factor
    assert float(mcc(z, sums, xp=np).mean) == pytest.approx(1)


def test_factors_follow_their_laws():
    rng = np.random.default_rng(0)
    z = factors.draw_factors(rng, "D2", 20_000, 3, rho=-0.4)
    np.testing.assert_allclose(np.corrcoef(z.T)[0, 1], -0.4, atol=0.03)
    z = factors.draw_factors(rng, "D3", 100, 6, r=2)
    np.testing.assert_allclose(z[:, 1], np.tanh(2 * z[:, 0] ** 3 - 0.1))
    z = factors.draw_factors(rng, "D4", 100, 6, r=2)
    np.testing.assert_allclose(z[:, 2], z[:, 0] * z[:, 1])
    np.testing.assert_allclose(z[:, 3], z[:, 0] + z[:, 1])
    held = factors.equicorrelation(4, -0.3)
    np.testing.assert_allclose(
        held.smallest_eigenvalue, np.linalg.eigvalsh(held.covariance)[0]
    )


def test_a_program_says_the_same_for_a_seed_and_names_its_scores():
    config = presets.QUICK["null-square"].changed(draws=2, samples=100)
    program = make_program(config)

    def ended(key):
        return summarised(program.evaluate({}, {}, key), np)

    first, again, other = (ended(jax.random.key(s)) for s in (3, 3, 4))
    assert tuple(first.scores) == names_of(config)
    assert first.scores == again.scores != other.scores
    assert set(first.errors) == set(first.scores)


def test_structural_laws_hold_for_dropped_factors():
    found = mean_of("dropped-correlated", draws=6, group="matching")
    assert found["mcc"] == pytest.approx(1)
    assert found["mcc_coverage"] == pytest.approx(found["law_coverage"])
    assert found["r2"] == pytest.approx(found["law_r2"], abs=0.05)


def test_a_huge_code_hides_the_others_from_the_published_r2_alone():
    found = mean_of("bent-little", group="matching")
    assert found["r2_published"] < 0.1 < 0.5 < found["r2"]


# One row a score, one column an encoder, of D1 and D3, five factors, 200 scored rows.
OF = {
    "mcc": "mcc",
    "spearman": "spearman",
    "rdc": "rdc",
    "r2": "r2",
    "dci_lasso": "dci_d",
    "mig": "mig",
    "info_m": "info_m",
    "tmex": "tmex",
}


@pytest.mark.parametrize("law", ["D1", "D3"])
def test_the_taxonomy_answers_as_simulation_does(law):
    """At least nine cells of ten; those at a threshold are not counted."""
    encoders, right, wrong = ("E1", "E3", "E5", "E9"), 0, []
    for encoder in encoders:
        config = cell(law, encoder, draws=2)
        rows = [one_draw(config, [11, i]) for i in range(2)]
        for score, column in OF.items():
            value = np.mean([row[column] for row in rows])
            if min(abs(value - HIGH), abs(value - LOW)) < 0.02:
                continue
            inside = np.asarray([[encoder in CLAIMS[score]]])
            null = np.asarray([encoder in ("E9", "E10")])
            told = int(verdicts(np.full((1, 1, 1), value), inside, null)[0, 0, 0])
            answer = validity(score, law, encoder, d=5, n=config.scored).verdict
            said = {"valid": 0, "false negative": -1, "false positive": 1}[answer]
            right += told == said
            wrong += [] if told == said else [(score, encoder, value, answer)]
    assert right >= 20
    assert len(wrong) <= 0.1 * (right + len(wrong)), wrong


def test_presets_are_the_recorded_experiments():
    held = presets.presets()
    started = {name.split("-")[0] for name in held if name.startswith("full/")}
    assert started >= {f"full/exp{i:02d}" for i in range(1, 16) if i != 9}
    assert any(name.startswith("full/exp08-09") for name in held)
    path = resources.files("jidcl") / "claims/metric_validity.json"
    claims = json.loads(path.read_text())
    for claim in claims["quick"]:
        config = presets.QUICK[claim["preset"]]
        assert claim["metric"] in names_of(config), claim["id"]
        assert claim["metric"] in presets.LEGEND
    for claim in claims["orderings"]:
        for preset in claim["presets"]:
            assert set(claim["metrics"]) <= set(names_of(presets.QUICK[preset]))
    assert SYSTEM.vectors == "metric_validity"


def test_settings_that_cannot_act_are_refused():
    for wrong, why in (
        (dict(rho=0.2), "rho cannot act here"),
        (dict(alpha=0.5), "alpha cannot act here"),
        (dict(encoder="E11"), "encoder must be one of"),
        (dict(law="D2", rho=-0.9), "rho must be in"),
        (dict(law="D3", functions=3), "functions must be in"),
        (dict(codes=7), "codes must be 0 with E1"),
        (dict(encoder="E8", codes=11), "multiple of factors"),
    ):
        with pytest.raises(ValueError, match=why):
            MetricValidity(**wrong)


def test_drawn_factors_and_maps_have_their_own_streams():
    config = cell("D1", "E9", draws=1)
    z, y = drawn(config, [1, 2])
    assert abs(np.corrcoef(z[:, 0], y[:, 0])[0, 1]) < 0.2


def test_codes_that_overflow_have_no_score_and_leave_the_mean_to_others():
    config = experiments()["exp08-09-D4-E6-d5"].changed(group="matching", draws=5)
    assert np.isnan(list(one_draw(config, [91, 4]).values())).all()
    found = _finish(config, np.asarray([91]), np)
    assert np.isfinite([found.scores["mcc"], found.errors["mcc"]]).all()
