"""Words of few rows: planted cases in which scores of the fitted rows mislead."""

import dataclasses
import json
from pathlib import Path

import jax
import numpy as np
import pytest

from jidcl.metrics import mcc, r2
from jidcl.numerics import numbers_in
from jidcl.report.judge import judge, judge_free
from jidcl.report.records import record_from
from jidcl.report.words import all_latents, beats_nulls, judged_by
from jidcl.run.runner import run
from jidcl.systems.registry import load_presets, load_system
from jidcl.systems.shared.cross_fitted import (
    LEAST,
    ROWS_A_COLUMN,
    cross_fitted,
    cross_fitted_means,
)
from jidcl.train.evaluation import finished, summarised
from jidcl.train.state import with_shared
from reference.records import QUICK, record
from reference.tiny import TINY

IN_SAMPLE = ("anisotropic", "contrastive_ica", "ima_vae", "kitti_masks", "scenes")


def words(z, y, x, *, few, seed=0):
    """(word of R2, word of MCC) of a run whose gap is closed."""
    rng = np.random.default_rng(seed)
    read = {"shuffled": rng.permutation(y), "identity": x}
    scores, nulls = {}, {}
    for name, score in (("r2", r2), ("mcc", mcc)):
        found = score(z, y, xp=np)
        scores |= {name: [float(found.mean)]}
        scores |= {f"{name}_per_dim": [found.per_dim.tolist()]}
        nulls[name] = {k: [float(score(z, v, xp=np).mean)] for k, v in read.items()}
    if few:
        found, by_chance = cross_fitted(z, y, read, xp=np)
        scores |= {name: [np.asarray(v).tolist()] for name, v in found.items()}
        for score, own in by_chance.items():
            nulls[score] = {name: [float(v)] for name, v in own.items()}
    held = record([1.0], scores=scores, nulls=nulls, untrained={})
    return tuple(verdict.word for verdict in judge_free(held))


def test_an_untrained_encoder_counts_where_its_probe_had_rows_enough():
    scores = {"r2": [0.999], "r2_cross_fitted": [0.999]}
    nulls = {"r2_cross_fitted": {"shuffled": [0.0]}}
    held = record([1.0], scores=scores, nulls=nulls, untrained={"r2": [0.9985]})
    assert not beats_nulls(held, "r2").any()
    held = record([1.0], scores=scores, nulls=nulls, untrained={"r2": [0.9]})
    assert beats_nulls(held, "r2").all()


def signed(z):
    return -3 * z[:, ::-1]


def test_codes_of_noise_among_many_outputs_are_not_identified(rng):
    z = rng.normal(size=(200, 3))
    noisy = z + 0.45 * rng.normal(size=z.shape)  # R2 of 0.83
    y = np.concatenate([noisy, rng.normal(size=(200, 160))], axis=1)
    x = rng.normal(size=(200, 3))
    assert words(z, y, x, few=False) == ("identified", "not identified")
    assert words(z, y, x, few=True) == ("not identified", "not identified")


@pytest.mark.filterwarnings("ignore:R2 from 6 samples")
def test_random_codes_of_few_rows_are_not_identified():
    old, new = [], []
    for seed in range(60):
        rng = np.random.default_rng(seed)
        z, x, y = (rng.normal(size=(6, k)) for k in (1, 1, 200))
        for found, few in ((old, False), (new, True)):
            found.append(words(z, y, x, few=few, seed=seed)[1])
    assert old.count("identified") >= 5
    assert old.count("already in x") >= 5  # it is in no x
    assert new.count("not identified") == 60


def test_random_codes_as_many_as_rows_are_not_identified(rng):
    z, x, y = (rng.normal(size=(200, k)) for k in (3, 3, 195))
    assert words(z, y, x, few=False)[0] in ("identified", "already in x")
    assert words(z, y, x, few=True) == ("not identified", "not identified")


def test_as_many_pixels_as_rows_hide_no_recovery(rng):
    z = rng.normal(size=(200, 3))
    x = rng.normal(size=(200, 195))
    y = signed(z + 0.2 * rng.normal(size=z.shape))  # R2 of 0.96
    assert words(z, y, x, few=False)[0] == "already in x"
    assert words(z, y, x, few=True) == ("identified", "identified")


def test_what_is_recovered_stays_so_and_a_rotation_too(rng):
    z = rng.uniform(-1, 1, size=(100, 6))
    x = np.sin(3 * z @ rng.normal(size=(6, 6)))
    turned = z @ np.linalg.qr(rng.normal(size=(6, 6)))[0]
    for few in (False, True):
        assert words(z, signed(z), x, few=few) == ("identified", "identified")
        assert words(z, turned, x, few=few) == ("identified", "not identified")


def test_nothing_is_told_of_less_than_six_rows(rng):
    z = rng.normal(size=(LEAST - 1, 1))
    assert words(z, signed(z), z + 1, few=True) == ("not identified",) * 2
    assert all(np.isnan(v) for v in cross_fitted_means(z, z, xp=np).values())


def test_many_rows_are_judged_as_they_were(rng):
    z = rng.normal(size=(ROWS_A_COLUMN * 4, 4))
    assert cross_fitted(z, z, {}, xp=np) == ({}, {})
    assert cross_fitted(z, z, {"identity": z[:, :1]}, xp=np) == ({}, {})
    assert cross_fitted(z[1:], z[1:], {}, xp=np)[0]
    wide = {"identity": np.zeros((len(z), 5))}
    assert cross_fitted(z, z, wide, xp=np)[0]


def test_the_widest_encoders_of_lejepa_alone_have_few_rows():
    few = {
        config.n
        for config in load_presets("lejepa").values()
        if config.eval_batch < ROWS_A_COLUMN * config.n
    }
    assert few == {512, 1024}


@pytest.mark.parametrize("system", IN_SAMPLE)
def test_no_preset_has_few_rows_so_no_published_word_changes(system):
    for name, config in load_presets(system).items():
        rows = getattr(config, "eval_batch", None)
        if rows is None:  # nothing is fitted
            continue
        columns = max(getattr(config, k, 0) for k in ("n", "outputs", "m"))
        assert rows >= ROWS_A_COLUMN * max(columns, 1), name


FEW = {
    "anisotropic": ("quick/distinct", {"r2", "mcc"}),
    "contrastive_ica": ("quick/sphere-vmf", {"r2", "mcc"}),
    "ima_vae": ("quick/moebius-1e3", {"mcc", "mcc_sampled"}),
    "kitti_masks": ("quick/slowvae", {"r2", "mcc", "mcc_spearman"}),
    "lejepa": ("quick/coupling-4", {"r2"}),
    "rivals": ("quick/n1-vicreg", {"mcc"}),
}


@pytest.mark.parametrize("system", FEW)
def test_every_score_of_the_fitted_rows_has_a_cross_fitted_one(system):
    preset, metrics = FEW[system]
    whole = load_system(system)
    config = whole.presets()[preset]
    few = {"score_rows": 20} if system == "rivals" else {"eval_batch": 20}
    program = whole.make_program(dataclasses.replace(config, **few))

    def scores(key):
        frozen = with_shared(program.freeze(key), program.shared)
        run = program.start(frozen, key)
        seen = finished(program.probe(run, frozen, key))
        return summarised(program.evaluate(run, frozen, key)), seen

    with jax.debug_key_reuse(False), numbers_in(program.precision):
        found, seen = jax.eval_shape(scores, jax.eval_shape(lambda: jax.random.key(0)))
    names = {f"{metric}_cross_fitted" for metric in metrics}
    assert {n for n in found.scores if n.endswith("_cross_fitted")} == names
    for name in names:
        assert found.scores[name].shape == ()
        assert f"{name}_per_dim" in found.scores
        assert ("chance" in found.nulls[name]) == name.startswith("mcc")
        assert (
            system == "rivals" or {"shuffled", "identity"} <= found.nulls[name].keys()
        )
        assert system == "rivals" or name in seen


def test_a_run_with_few_rows_is_worded_by_them(tmp_path):
    config = dataclasses.replace(TINY, eval_batch=24)
    own = dict(system="contrastive_ica", preset="quick/tiny", seeds=[0], root=tmp_path)
    *_, event = run(config, **own)
    held = event.record
    assert judged_by(held, "r2") == "r2_cross_fitted"
    assert held.mean("r2_cross_fitted") < held.mean("r2")
    for verdict in judge_free(held):
        assert "the word is of the cross-fitted score" in verdict.note
        assert verdict.score < 100 * held.mean(verdict.metric)


def test_a_hidden_latent_is_seen_in_rows_that_chose_nothing():
    held = {"r2": [0.99], "r2_per_dim": [[0.99, 0.99]]}
    few = {"r2_cross_fitted": [0.96], "r2_cross_fitted_per_dim": [[0.99, 0.2]]}
    plain = record([0.99], scores=held)
    assert judged_by(plain, "r2") == "r2"
    assert all_latents(plain, "r2", 0.95).tolist() == [True]
    crossed = record([0.99], scores=held | few)
    assert judged_by(crossed, "r2") == "r2_cross_fitted"
    assert all_latents(crossed, "r2", 0.95).tolist() == [False]


def test_a_claim_is_worded_by_the_cross_fitted_score_and_says_so():
    plain = record([0.995] * 5)
    assert judge(plain, QUICK).word == "identified"
    few = {"r2_cross_fitted": [0.9] * 5}
    crossed = dataclasses.replace(plain, scores=plain.scores | few)
    found = judge(crossed, QUICK)
    assert (found.word, found.ok) == ("not identified", False)
    assert found.score == pytest.approx(90)
    assert "the word is of the cross-fitted score, 0.900" in found.note


def test_records_of_before_are_read_and_judged_as_before(tmp_path):
    held = dataclasses.asdict(record([0.995] * 5))
    path = Path(tmp_path) / "result.json"
    path.write_text(json.dumps(held))
    again = record_from(json.loads(path.read_text()), where="here")
    assert judge(again, QUICK) == judge(record([0.995] * 5), QUICK)
    assert judge(again, QUICK).note == ""
