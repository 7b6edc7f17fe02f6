"""Evidence and sentences from outputs that are written down, without training."""

import dataclasses

import numpy as np
import pytest

from jidcl.diagnosis.evidence import Outputs, Rival, gather
from jidcl.diagnosis.planted import CASES
from jidcl.diagnosis.sentences import BARS, SENTENCES, say
from jidcl.metrics import mcc

ROWS = 600
TURN = np.linalg.qr(np.random.default_rng(1).normal(size=(3, 3)))[0]


def latents(seed=0, width=0.05):
    """Factors in a unit box and their partners, judged on and to stop by."""
    rng = np.random.default_rng(seed)
    z = rng.uniform(size=(ROWS, 3))
    return z, z + width * rng.laplace(size=z.shape)


def found(maps, *, change=lambda pair: pair, x=None, p=1.0, **other):
    """Evidence of runs whose outputs are maps of the factors."""
    pair, stop = (change(latents(seed)) for seed in (0, 1))
    runs = Outputs(
        np.stack([f(pair[0]) for f in maps]),
        np.stack([f(pair[1]) for f in maps]),
        np.stack([[f(part) for part in stop] for f in maps]),
    )
    x = np.random.default_rng(2).uniform(size=(ROWS, 5)) if x is None else x
    return gather(
        x, {p: runs, **other}, p=p, best=0, overfit=0.1, train_rows=2000, seed=0
    )


def same(z):
    return z


def other_order(z):
    return 3 - 2 * z[:, [2, 0, 1]]


def turned(z):
    return z @ TURN


def names(evidence):
    return {sentence.name for sentence in say(evidence)}


def test_matched_factors_are_supported_coordinate_by_coordinate():
    evidence = found([same, other_order])
    said = names(evidence)
    assert {"supported", "coordinates", "not_from_pairs"} <= said
    assert not said & set(CASES["matched"].wrong)
    assert evidence.matched[0] == pytest.approx(1)
    assert evidence.p_value == 1 / 200
    assert (
        evidence.bits_interval[0] < np.mean(evidence.bits) < evidence.bits_interval[1]
    )
    # Half the variance of a change over that of a factor: 0.05^2 12.
    np.testing.assert_allclose(evidence.change, 0.03, rtol=0.3)
    assert evidence.effective == pytest.approx(3, abs=0.01)
    assert evidence.uniform < 0.08
    assert evidence.tails < -1


def test_turned_runs_agree_up_to_a_linear_map_only():
    evidence = found([same, turned], p=2.0)
    assert "linear_only" in names(evidence)
    assert "coordinates" not in names(evidence)
    assert evidence.linear[0] == pytest.approx(1)


def test_unrelated_runs_do_not_agree():
    base = found([same, other_order])
    evidence = dataclasses.replace(base, matched=(0.5,), linear=(0.4,))
    assert "disagree" in names(evidence)


def test_too_few_rows_to_tell_are_no_disagreement():
    base = found([same, other_order])
    evidence = dataclasses.replace(base, matched=(0.5,), linear=(np.nan,))
    assert not {"disagree", "linear_only", "coordinates"} & names(evidence)


def test_unrelated_rows_agree_by_chance_as_often_as_said():
    evidence = found([same, other_order])
    rng, (z, _) = np.random.default_rng(5), latents()
    drawn = [
        float(mcc(z[rng.permutation(ROWS)], z, xp=np).mean)  # type: ignore
        for _ in range(200)
    ]
    assert 0.85 < np.mean(np.array(drawn) < evidence.shuffled) <= 1


def test_runs_that_did_not_come_as_far_do_not_count():
    evidence = found([same, other_order, lambda z: z**4])
    assert (evidence.seeds, evidence.reached) == (3, 2)
    assert len(evidence.matched) == 1
    assert "coordinates" in names(evidence)


def test_one_run_says_nothing_of_another():
    assert "one_run" in names(found([same]))


def test_shuffled_partners_support_nothing():
    order = np.random.default_rng(4).permutation(ROWS)
    evidence = found([same, other_order], change=lambda pair: (pair[0], pair[1][order]))
    assert names(evidence) == {"unsupported", "not_from_pairs"}
    assert np.mean(evidence.bits) < 0.1


def test_the_null_of_shuffled_partners_holds_its_level():
    values = []
    for seed in range(40):
        order = np.random.default_rng(seed).permutation(ROWS)
        evidence = found([same], change=lambda pair, o=order: (pair[0], pair[1][o]))
        values.append(evidence.p_value)
    # Of 40 at level 0.01 four or more come with a probability of 6e-4.
    assert sum(value <= 0.01 for value in values) < 4
    assert 0.3 < np.mean(values) < 0.7


def test_what_a_linear_map_has_already():
    z, _ = latents()
    x = np.column_stack([z @ TURN, z[:, 0] ** 2, z[:, 1] ** 3])
    assert "already_linear" in names(found([same, other_order], x=x))


def only(index, value):
    """Partners whose factor changes by so many times as much."""

    def change(pair):
        z, z_pos = pair
        moved = z_pos.copy()
        moved[:, index] = z[:, index] + value * (z_pos - z)[:, index]
        return z, moved

    return change


def test_unequal_change_is_seen_under_any_linear_map():
    for f in (same, lambda z: z @ (TURN * [1, 5, 0.2])):
        evidence = found([f, f], change=only(0, 4))
        assert "anisotropic" in names(evidence)
        assert evidence.change[-1] > 8 * evidence.change[0]


def test_a_factor_that_never_changes():
    evidence = found([same, other_order], change=only(1, 0.0))
    assert "unchanged" in names(evidence)
    assert "anisotropic" not in names(evidence)
    (text,) = (s.text for s in say(evidence) if s.name == "unchanged")
    assert text.startswith("1 of 3 directions")


def test_outputs_that_depend_on_each_other():
    mixed = np.array([[1, 0.9, 0], [0, 0.4, 0], [0, 0, 1]])
    evidence = found([same, same], change=lambda pair: tuple(z @ mixed for z in pair))
    assert "dependent" in names(evidence)


def test_heavy_tails():
    def change(pair):
        wide = np.tan(3.0 * (pair[0] - 0.5))
        return wide, wide + pair[1] - pair[0]

    assert "heavy_tails" in names(found([same, same], change=change))


def test_outputs_that_are_not_in_use():
    def surface(z):
        return np.column_stack([z[:, :2], (z[:, 0] - 0.5) ** 2 + z[:, 1]])

    evidence = found([surface])
    assert "fewer_directions" in names(evidence)
    flat = found([lambda z: z[:, :1] * [1, 1, 1]])
    assert "collapsed" in names(flat)
    assert flat.effective == pytest.approx(1, abs=0.01)


def test_features_that_are_constant_or_the_same():
    x = np.random.default_rng(2).normal(size=(ROWS, 5))
    x[:, 1], x[:, 4] = 0, -x[:, 0]
    evidence = found([same], x=x)
    assert (evidence.constant, evidence.duplicate) == ((1,), ((0, 4),))
    texts = {s.name: s.text for s in say(evidence)}
    assert texts["constant"].endswith(": 1.")
    assert texts["duplicate"].endswith(": 0 and 4.")


def rivals(**gains):
    base = found([same, other_order])
    held = {float(p[1:]): Rival(1.0, gain, error) for p, (gain, error) in gains.items()}
    return names(dataclasses.replace(base, rivals=held))


@pytest.mark.parametrize(
    ("gains", "word"),
    [
        (dict(p2=(0.3, 0.02), p3=(-0.1, 0.02)), "other_p"),
        (dict(p2=(-0.3, 0.02), p3=(-0.4, 0.02)), "own_p"),
        (dict(p2=(0.03, 0.02), p3=(-0.4, 0.02)), "open_p"),
        (dict(p2=(0.3, 0.2), p3=(-0.4, 0.02)), "open_p"),
    ],
)
def test_exponents_are_preferred_beyond_their_errors(gains, word):
    assert {"own_p", "other_p", "open_p"} & rivals(**gains) == {word}


def test_of_few_pairs_nothing_is_said_of_the_representation():
    base = found([same, other_order])
    said = names(dataclasses.replace(base, rows=BARS.rows - 1))
    assert said == {"supported", "few", "not_from_pairs"}
    assert "few" in names(dataclasses.replace(base, overfit=BARS.overfit + 0.1))


def test_every_sentence_of_the_table_is_one_that_may_be_said():
    for case in CASES.values():
        assert {s for one in case.right for s in one} | set(case.wrong) <= set(
            SENTENCES
        )


def test_every_sentence_fills_its_braces():
    for sentence in say(found([same, other_order])):
        assert "{" not in sentence.text
        assert sentence.text.endswith(".")
