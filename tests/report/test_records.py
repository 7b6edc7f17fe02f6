import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest

from jidcl.claims import load_claims
from jidcl.report.judge import answered, judge, judge_record
from jidcl.report.records import (
    find_records,
    merge_records,
    read_record,
    run_name,
    write_json,
    write_record,
)
from reference.records import bare, curve, record

OLD = Path(__file__).parents[1] / "reference/record_schema_1.json"


def old_run(root):
    """A run folder as the first schema left it."""
    folder = root / "full-t2r5-0123456789"
    folder.mkdir(parents=True)
    (folder / "result.json").write_text(OLD.read_text())
    return folder


def test_every_field_of_a_record_has_its_form(tmp_path):
    write_record(tmp_path, record([0.5, 0.6]))
    path = tmp_path / "result.json"
    data = json.loads(path.read_text())
    wrong = {
        "seeds": [],
        "scores": {"r2": [0.5]},
        "losses": [],
        "nulls": {"r2": [0.1, 0.2]},
        "curve": [{"step": None}],
        "seconds": {"train": "long"},
        "programs": [1],
        "config": "x" * 1000,
        "preset": "a title\x1b]0;mine\x07",
        "dead": {"3\r": "loss"},
    }
    for name, value in wrong.items():
        path.write_text(json.dumps({**data, name: value}))
        with pytest.raises(ValueError, match=rf"result.json: {name} must be .* got"):
            read_record(tmp_path)


def test_records_round_trip_and_refuse_what_is_not_theirs(tmp_path):
    original = record([0.5, 0.6])
    write_record(tmp_path, original)
    assert read_record(tmp_path) == original
    assert [path.name for path in tmp_path.iterdir()] == ["result.json"]
    path = tmp_path / "result.json"
    text = path.read_text()
    version = '"schema_version": 2'
    for broken, message in (
        ("{", "is not a JSON file"),
        ("[]", r"must hold an object, got \[\]"),
        (text.replace('"device": "cpu"', '"device": 3'), "device must be text, got 3"),
        (text.replace('"limit"', '"x"'), r"floor_kind must be one of .* got 'x'"),
        (text.replace('"seeds"', '"sedes"'), r"\['seeds'\] are missing"),
        (text.replace(version, '"schema_version": 9'), "must be 1 or 2, got 9"),
        (text.replace(version, '"schema_version": 1'), r"\['metrics'\] are missing"),
        (
            text.replace('"device"', '"more": 1,\n "device"'),
            r"unknown fields \['more'\]",
        ),
    ):
        path.write_text(broken)
        with pytest.raises(ValueError, match=message):
            read_record(tmp_path)
    with pytest.raises(ValueError, match="score must be one of .* got 'r3'"):
        original.values("r3")
    assert run_name("a/b", {"x": 1}) != run_name("a/b", {"x": 2})
    assert run_name("a/b", {"x": 1}).startswith("a-b-")


def strict(text):
    """The value of JSON text, as a parser that knows no other tokens reads it."""

    def refuse(token):
        raise AssertionError(f"{token} is not JSON")

    return json.loads(text, parse_constant=refuse)


def test_numbers_that_json_does_not_have_stay_readable_and_equal(tmp_path):
    nan, inf = float("nan"), float("inf")
    original = dataclasses.replace(
        record([nan, inf]),
        config={"p": -inf, "tau": None, "widths": (1, nan)},
        curve=[{"step": 1, "loss": [nan, 0.1]}],
    )
    write_record(tmp_path, original)
    path = tmp_path / "result.json"
    held = strict(path.read_text())
    assert held["scores"]["r2"] == ["NaN", "Infinity"]
    assert held["config"] == {"p": "-Infinity", "tau": None, "widths": [1, "NaN"]}
    back = read_record(tmp_path)
    np.testing.assert_array_equal(back.values("r2"), [nan, inf])
    assert back.config["p"] == -inf
    assert back.config["tau"] is None
    assert back == read_record(tmp_path)
    # Files from before had bare tokens.
    path.write_text(json.dumps(dataclasses.asdict(original)))
    assert "NaN" in path.read_text()
    assert read_record(tmp_path) == back
    write_json(path, [np.float64(nan), {"-Infinity": 1}])
    assert strict(path.read_text()) == ["NaN", {"-Infinity": 1}]


def test_names_lead_to_scores_losses_and_nulls():
    held = record([0.5, 0.7], gap=0.1)
    assert held.mean("r2") == pytest.approx(0.6)
    assert held.mean("gap") == pytest.approx(0.1)
    assert held.has("mcc")
    assert not held.has("r3")
    np.testing.assert_array_equal(held.null("r2", "identity"), [0.6, 0.6])
    np.testing.assert_array_equal(held.null("r2", "untrained"), [0.5, 0.5])
    assert held.null("r2", "rotation_low") is None
    assert held.null("r3", "untrained") is None
    assert (held.trained, bare({"r2": [0.5]}).trained) == (True, False)


def test_a_record_of_the_first_schema_is_read_and_judged_as_it_was(tmp_path):
    old = read_record(old_run(tmp_path))
    assert old.schema_version == 2
    assert sorted(old.nulls) == ["mcc", "r2"]
    assert sorted(old.nulls["mcc"]) == [
        "identity",
        "rotation_high",
        "rotation_low",
        "shuffled",
    ]
    assert {"gap", "gap_se", "linear_loss", "oracle_scale"} <= old.losses.keys()
    assert sorted(old.scores) == [
        "mcc",
        "mcc_per_dim",
        "mcc_spearman",
        "procrustes",
        "r2",
        "r2_per_dim",
    ]
    # What the first schema's own judge said of this record.
    (row,) = judge_record(old)
    assert (row.claim, row.word, row.outcome) == ("t2r5", "not optimised", "missed")
    assert row.score == 98.13404679298401
    assert (row.gap, row.bar) == (0.08289740482966106, 0.07208447853724163)
    assert row.nulls == {
        "shuffled": 2.205640574296315,
        "identity": 47.93207049369812,
        "untrained": 45.92623313268025,
    }
    quick = {claim.id: claim for claim in load_claims("contrastive_ica").quick}
    box = judge(old, quick["q-box"])
    assert (box.word, box.difference) == ("identified early", 0.1340467929840088)
    turned = judge(old, quick["q-real-permutation"])
    assert turned.note == (
        "0 of 3 inside the 99 % interval of random rotations, 52.0 to 68.2"
    )
    marginal = judge(old, quick["q-marginal"])
    assert (marginal.word, marginal.note) == ("not optimised", "x itself scores 68.3")
    write_record(tmp_path / "again", old)
    assert read_record(tmp_path / "again") == old


def test_parts_of_any_kind_become_one_record():
    point = {"step": 4, "loss": [1.0]}
    parts = [
        record([0.5], seeds=[seed], gap=gap, curve=[point])
        for seed, gap in ((3, 0.1), (4, 0.2))
    ]
    whole = merge_records(parts)
    assert whole.seeds == [3, 4]
    np.testing.assert_allclose(whole.values("gap"), [0.1, 0.2])
    np.testing.assert_array_equal(whole.null("r2", "identity"), [0.6, 0.6])
    assert whole.curve == [{"step": 4, "loss": [1.0, 1.0]}]
    assert whole.seconds == {"train": 2.0}
    whole = merge_records([curve(), curve()])
    assert whole.values("counts").shape == (2, 3)
    assert (whole.curve, whole.losses, whole.trained) == ([], {}, False)


def test_runs_that_train_nothing_are_found_and_judged(tmp_path):
    claims = load_claims("contrastive_ica")
    row = claims.published_by_id("t1r1-identity")
    theorem = claims.curves[0]
    held = {
        row.id: bare({row.metric: [row.mean / 100] * 2}, preset="identity/t1r1"),
        theorem.id: dataclasses.replace(curve(), preset=f"theorem1/{theorem.id}"),
    }
    for name, one in held.items():
        write_record(tmp_path / name, one)
    found = find_records(tmp_path)
    assert {path.name: one for path, one in found.items()} == held
    for name, one in held.items():
        (verdict,) = judge_record(one)
        assert (verdict.claim, verdict.ok) == (name, True)
    records = {one.preset: one for one in held.values()}
    pairs = answered(claims, records)
    assert [claim.id for claim, _ in pairs] == [row.id, theorem.id]
    never = dataclasses.replace(claims, curves=(), published=(), quick=(), orderings=())
    never = dataclasses.replace(
        never, curves=(dataclasses.replace(theorem, untestable="no data"),)
    )
    assert answered(never, records) == []


def test_a_system_outside_the_package_brings_its_own_claims():
    own = record([0.999] * 5, system="my_module:SYSTEM", preset="quick/sphere-vmf")
    assert judge_record(own) == []
    (verdict,) = judge_record(own, load_claims("contrastive_ica"))
    assert (verdict.claim, verdict.ok) == ("q-sphere", True)


def test_the_committed_records_are_read():
    results = Path(__file__).parents[2] / "experiments/results/full_rows.json"
    from jidcl.report.records import record_from

    data = json.loads(results.read_text())["records"]
    records = [record_from(one, where=str(results)) for one in data]
    assert all(
        one.trained and one.null("r2", "shuffled") is not None for one in records
    )
