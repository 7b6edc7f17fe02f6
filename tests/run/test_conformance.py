import json

import numpy as np
import pytest

from jidcl.run import conformance
from jidcl.systems.registry import load_conformance

# Kinds that no function replays yet, by file.
WAITING = {"contrastive_ica": {"slowvae", "kitti_mcc"}}
PATHS = conformance.packaged_vectors()


@pytest.fixture(scope="module")
def packaged():
    return next(path for path in PATHS if path.stem == "contrastive_ica")


@pytest.mark.parametrize("float64", [True, False])
@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_every_packaged_vector_passes(path, float64):
    reports = list(conformance.replay(path, float64=float64))
    cases = json.loads(path.read_text())["cases"]
    assert sum(report.cases for report in reports) == len(cases) > 20
    waiting = {report.kind for report in reports if not report.covered}
    assert waiting == WAITING.get(path.stem, set())
    assert [report.failed for report in reports if report.failed] == []


def test_the_one_erratum_is_named_and_only_applies_to_its_number(packaged, tmp_path):
    data = json.loads(packaged.read_text())
    data["cases"] = [c for c in data["cases"] if c["kind"] == "projected_normal"]
    path = tmp_path / "some.json"
    path.write_text(json.dumps(data))
    (report,) = conformance.replay(path, float64=True)
    (line,) = report.errata
    assert "projected_normal/02 tv_to_uniform" in line
    data["cases"] = [c for c in data["cases"] if c["id"] == "projected_normal/02"]
    data["cases"][0]["outputs"]["tv_to_uniform"] = 0.39
    path.write_text(json.dumps(data))
    (report,) = conformance.replay(path, float64=True)
    assert report.failed
    assert not report.errata


def case(**fields):
    base = {
        "id": "gauss_theory/x",
        "kind": "gauss_theory",
        "params": {"n": 2, "marginal_std": 1.0, "cond_std": 1.0, "score_coeff": 0.5},
        "inputs": {},
        "outputs": {"limit": 2 * (0.5 - np.log(2) / 2 - 0.25)},
        "rtol": 1e-8,
        "atol": 1e-8,
    }
    return {**base, **fields}


def write(tmp_path, *cases, **fields):
    path = tmp_path / "vectors.json"
    head = {"schema_version": 2, "system": "contrastive_ica", "cases": list(cases)}
    path.write_text(json.dumps({**head, **fields}))
    return path


def test_other_files_shapes_and_values_work(tmp_path):
    rng = np.random.default_rng(0)
    y, z = rng.normal(size=(9, 4)), rng.normal(size=(9, 4))
    value = 1 - ((z - y) ** 2).mean(0) / z.var(0)
    loss = case(
        id="r2_loss/x",
        kind="r2_loss",
        params={"reduction": "none", "mode": "r2"},
        inputs={"y_pred": y.tolist(), "y": z.tolist()},
        outputs={"value": value.tolist()},
    )
    path = write(tmp_path, case(), loss)
    for float64 in (True, False):
        reports = list(conformance.replay(path, float64=float64))
        assert [report.failed for report in reports] == [(), ()]


def test_a_wrong_value_a_wrong_shape_and_a_missing_output_are_misses(tmp_path):
    for outputs in ({"limit": -0.2}, {"limit": [-0.1, -0.1]}, {"other": 1.0}):
        (report,) = conformance.replay(
            write(tmp_path, case(outputs=outputs)), float64=True
        )
        assert len(report.failed) == 1
    for params in ({}, {"n": 2, "marginal_std": "wide"}):
        (report,) = conformance.replay(
            write(tmp_path, case(params=params)), float64=True
        )
        assert "gauss_theory/x (not computed" in report.failed[0]
    (report,) = conformance.replay(
        write(tmp_path, case(outputs={"limit": None})), float64=True
    )
    assert report.failed == ()
    nan = write(tmp_path, case(outputs={"limit": float("nan")}))
    (report,) = conformance.replay(nan, float64=True)
    assert report.failed


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"rtol": float("nan")}, "rtol must be a finite number >= 0, got nan"),
        ({"atol": "1e-8"}, "atol must be a finite number >= 0, got '1e-8'"),
        ({"outputs": {}}, "outputs must name at least one value"),
        ({"params": None}, "params must be an object, got None"),
    ],
)
def test_a_field_of_the_wrong_kind_is_named(tmp_path, fields, message):
    with pytest.raises(ValueError, match=f"gauss_theory/x: {message}"):
        list(conformance.replay(write(tmp_path, case(**fields)), float64=True))


@pytest.mark.parametrize("field", ["id", "kind", "params", "inputs", "outputs", "rtol"])
def test_a_missing_field_is_named(tmp_path, field):
    broken = case()
    del broken[field]
    with pytest.raises(ValueError, match=f"field '{field}' is missing"):
        list(conformance.replay(write(tmp_path, broken), float64=True))


def test_files_that_are_no_vectors_are_refused(tmp_path):
    path = tmp_path / "vectors.json"
    for text, message in (
        ("{", "is not a JSON file"),
        ("[]", "must hold an object"),
        ("{}", "field 'schema_version' is missing"),
        ('{"schema_version": 1, "system": "x", "cases": []}', "must be 2, got 1"),
        ('{"schema_version": 2, "system": "x", "cases": [3]}', "is missing"),
    ):
        path.write_text(text)
        with pytest.raises(ValueError, match=message):
            conformance.read_vectors(path)


def test_unknown_systems_and_kinds_are_listed_as_not_covered(tmp_path):
    path = write(tmp_path, case(), system="another")
    (report,) = conformance.replay(path, float64=True)
    assert not report.covered
    functions, _ = load_conformance()
    assert ("another", "gauss_theory") not in functions
