import json

import numpy as np
import pytest

from jidcl.run import vectors
from jidcl.run.conformance import packaged_vectors
from jidcl.run.vectors import read_vectors, to_array


def case(name="a/x", **fields):
    base = dict(id=name, kind="a", params={}, inputs={}, outputs={"y": 1.0})
    return {**base, "rtol": 0.0, "atol": 0.0, **fields}


def write(tmp_path, *cases, **fields):
    path = tmp_path / "some.json"
    head = {"schema_version": 2, "system": "s", "cases": list(cases)}
    path.write_text(json.dumps({**head, **fields}))
    return path


def test_every_packaged_file_is_read_whole():
    paths = packaged_vectors()
    assert len(paths) == 11
    for path in paths:
        data = json.loads(path.read_text())
        read = read_vectors(path)
        assert read.system == data["system"] == path.stem
        assert [c.id for c in read.cases] == [c["id"] for c in data["cases"]]
        for got, wanted in zip(read.cases, data["cases"], strict=True):
            assert got.outputs == wanted["outputs"]
            assert got.params == wanted["params"]
            assert isinstance(got.inputs, dict)
            text = [v for v in got.inputs.values() if isinstance(v, str)]
            assert not any(v.startswith("same inputs as") for v in text)


def test_references_of_the_packaged_files_are_filled_in():
    path = next(p for p in packaged_vectors() if p.stem == "attention_curiosity")
    cases = {c.id: c.inputs for c in read_vectors(path).cases}
    own = cases["icm/linear_hidden"]
    assert cases["icm/relu_hidden"] == own
    assert len(own["phi"]) == own["num_actions"] + 1 == 4
    single = cases["icm_attention/single"]
    assert {name: single[name] for name in own} == own
    names = {f"single_{part}_{x}" for part in ("fwd", "inv") for x in "wb"}
    assert single.keys() - own.keys() == names


def test_a_reference_may_leave_out_the_kind_and_be_followed_by_more(tmp_path):
    first = case("a/x", inputs={"p": 1, "q": [1, 2]})
    second = case("a/y", inputs="same inputs as x")
    third = case("b", kind="b", inputs={"base": "same inputs as a/y plus r", "r": 2})
    text = case("c", inputs={"note": "the same inputs as ever"})
    cases = read_vectors(write(tmp_path, first, second, third, text)).cases
    assert cases[1].inputs == {"p": 1, "q": [1, 2]}
    assert cases[2].inputs == {"p": 1, "q": [1, 2], "r": 2}
    assert cases[3].inputs == {"note": "the same inputs as ever"}


def test_tolerances_of_gradients_default_to_the_others(tmp_path):
    cases = read_vectors(
        write(tmp_path, case(rtol=0.1, atol=2), case("a/y", grad_rtol=0.3, grad_atol=4))
    ).cases
    assert (cases[0].grad_rtol, cases[0].grad_atol) == (0.1, 2)
    assert (cases[1].grad_rtol, cases[1].grad_atol) == (0.3, 4)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"rtol": float("nan")}, "rtol must be a finite number >= 0, got nan"),
        ({"rtol": True}, "rtol must be a finite number >= 0, got True"),
        ({"atol": "1e-8"}, "atol must be a finite number >= 0, got '1e-8'"),
        ({"atol": 10**400}, "atol must be a finite number >= 0, got 1000"),
        ({"grad_rtol": None}, "grad_rtol must be a finite number >= 0, got None"),
        ({"outputs": {}}, "outputs must name at least one value"),
        ({"outputs": "y"}, "outputs must be an object, got 'y'"),
        ({"params": None}, "params must be an object, got None"),
        (
            {"outputs": {"y": float("inf")}},
            r"outputs\.y must be a finite number, got in",
        ),
        (
            {"inputs": {"z": {"w": [[1.0], [0.0, float("nan")]]}}},
            r"inputs\.z\.w\.1\.1 must be a finite number, got nan",
        ),
        ({"params": {"rounds": 10**9}}, r"params\.rounds must be at most 32768"),
        ({"inputs": {"n": -(10**9)}}, r"inputs\.n must be at most 32768 in size"),
        ({"params": {"n": 2**53 + 1}}, r"params\.n must be an integer up to 2\*\*53"),
        (
            {"outputs": {"y\x1b[2J": 1.0}},
            "a name in outputs must be 1 to 200 printable",
        ),
        ({"inputs": {"": 1.0}}, "a name in inputs must be 1 to 200 printable"),
        ({"kind": 3}, "kind must be 1 to 200 printable characters, got 3"),
        ({"kind": "k" * 201}, "kind must be 1 to 200 printable characters"),
        ({"variants": [1]}, "field 'variants' is not of the schema"),
        ({"inputs": "see above"}, "inputs must be an object or 'same inputs as ID'"),
        ({"inputs": "same inputs as b"}, "an earlier case of the file, got 'b'"),
        ({"inputs": "same inputs as a/x"}, "an earlier case of the file, got 'a/x'"),
        (
            {"inputs": "same inputs as later"},
            "an earlier case of the file, got 'later'",
        ),
        ({"inputs": {"base": "same inputs as "}}, "an earlier case of the file"),
        (
            {"inputs": {"base": "same inputs as f plus", "p": 3}},
            "an earlier case of the",
        ),
        (
            {"inputs": {"p": 3, "base": "same inputs as first"}},
            "inputs must give 'p' once",
        ),
        (
            {"inputs": {"base": "same inputs as first plus p", "p": 3}},
            "inputs must give 'p' once",
        ),
        (
            {"inputs": {str(i): i for i in range(257)}},
            "inputs must be at most 256, got",
        ),
    ],
)
def test_a_field_of_the_wrong_kind_is_named(tmp_path, fields, message):
    first, later = case("first", inputs={"p": 1}), case("later")
    path = write(tmp_path, first, case(**fields), later)
    with pytest.raises(ValueError, match=f"some.json: case a/x: .*{message}"):
        read_vectors(path)


@pytest.mark.parametrize("field", ["id", "kind", "params", "inputs", "outputs", "rtol"])
def test_a_missing_field_is_named(tmp_path, field):
    broken = case("a/x")
    del broken[field]
    name = "number 1" if field == "id" else "a/x"
    with pytest.raises(ValueError, match=f"case {name}: field '{field}' is missing"):
        read_vectors(write(tmp_path, case("a/w"), broken))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "is not a JSON file"),
        ('"\xff', "is not a JSON file"),
        ("[]", "must hold an object"),
        ("[" * 200_000, "is not a JSON file"),
        ('{"a": ' * 200_000, "is not a JSON file"),
        ("9" * 5000, "is not a JSON file"),
        ("{}", "field 'schema_version' is missing"),
        ('{"schema_version": 1, "system": "x", "cases": []}', "must be 2, got 1"),
        ('{"schema_version": 2, "system": "x", "cases": []}', "1 to 4096 cases"),
        ('{"schema_version": 2, "system": "x", "cases": {}}', "1 to 4096 cases"),
        ('{"schema_version": 2, "system": "x", "cases": [3]}', "must be an object"),
        ('{"schema_version": 2, "system": 3, "cases": [3]}', "system must be 1 to 200"),
        ('{"schema_version": 2, "system": "x", "system": "x", "cases": [3]}', "twice"),
    ],
)
def test_files_that_are_no_vectors_are_refused(tmp_path, text, message):
    path = tmp_path / "some.json"
    path.write_text(text, encoding="latin-1")
    with pytest.raises(ValueError, match=f"some.json.*{message}"):
        read_vectors(path)


def test_heads_of_other_schemas_are_refused(tmp_path):
    for fields, message in (
        ({"dtype": "float32"}, "dtype must be 'float64', got 'float32'"),
        ({"suites": []}, "field 'suites' is not of the schema"),
    ):
        with pytest.raises(ValueError, match=message):
            read_vectors(write(tmp_path, case(), **fields))


def test_a_repeated_key_and_a_repeated_id_are_refused(tmp_path):
    path = write(tmp_path, case())
    path.write_text(path.read_text().replace('"y": 1.0', '"y": 1.0, "y": 2.0'))
    with pytest.raises(
        ValueError, match="case a/x: outputs.y must be .* appears twice"
    ):
        read_vectors(path)
    with pytest.raises(ValueError, match="case a/x: id must be unique in the file"):
        read_vectors(write(tmp_path, case(), case()))


def nested(depth):
    value = 1.0
    for _ in range(depth):
        value = [value]
    return value


def test_depth_and_size_are_bounded(tmp_path, monkeypatch):
    deepest = vectors.MAX_DEPTH - 2  # the outputs and their name count too
    path = write(tmp_path, case(outputs={"y": nested(deepest)}))
    (read,) = read_vectors(path).cases
    array = to_array(read.outputs["y"])
    assert array is not None
    assert array.ndim == deepest
    path = write(tmp_path, case(outputs={"y": nested(deepest + 1)}))
    with pytest.raises(ValueError, match="a/x: outputs must be nested at most 24 deep"):
        read_vectors(path)
    monkeypatch.setattr(vectors, "MAX_BYTES", path.stat().st_size - 1)
    with pytest.raises(ValueError, match="must have at most .* bytes"):
        read_vectors(path)
    monkeypatch.setattr(vectors, "MAX_CASES", 1)
    monkeypatch.setattr(vectors, "MAX_BYTES", 10_000)
    with pytest.raises(ValueError, match="cases must be a list of 1 to 1 cases"):
        read_vectors(write(tmp_path, case(), case("a/y")))


def test_arrays_hold_numbers_alone():
    np.testing.assert_array_equal(
        to_array([[1, True], [None, 0.5]]), [[1, 1], [np.nan, 0.5]]
    )
    np.testing.assert_array_equal(to_array([[], []]), np.zeros((2, 0)))
    for value in (["1", "2"], [1, "2"], [[1], [2, 3]], [1, [2]], [{}], [["0" * 600]]):
        assert to_array(value) is None
