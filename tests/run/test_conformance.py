import dataclasses
import json
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.core import Tracer

from jidcl.cli import main as cli
from jidcl.data.files import data_file
from jidcl.run import conformance
from jidcl.run.vectors import read_vectors
from jidcl.systems.contract import on_host
from jidcl.systems.registry import load_conformance

# Kinds that no function replays yet, by file; None: no kind of it.
WAITING = {
    "attention_curiosity": None,
    "exchangeable": {
        "gcl_oracle",
        "ivae_elbo",
        "jacobian_metrics",
        "pca_whitening",
        "tcl_data",
        "tcl_mcc",
        "tcl_network",
    },
    "weight_regularization": None,
}
PATHS = conformance.packaged_vectors()


@pytest.fixture(scope="module")
def packaged():
    return next(path for path in PATHS if path.stem == "contrastive_ica")


REPLAYED = pytest.mark.many_programs(reason="a program for each case of a file")
EVERY_FILE = pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)


def check_packaged(path, *, float64, expected):
    reports = list(conformance.replay(path, float64=float64))
    assert sum(report.cases for report in reports) == expected > 10
    waiting = {report.kind for report in reports if not report.covered}
    left = WAITING.get(path.stem, set())
    assert waiting == ({report.kind for report in reports} if left is None else left)
    assert [report.failed for report in reports if report.failed] == []
    assert [report.skipped for report in reports if report.skipped] == []


@REPLAYED
@EVERY_FILE
def test_every_packaged_vector_passes(path):
    cases = json.loads(path.read_text())["cases"]
    check_packaged(path, float64=True, expected=len(cases))


@pytest.mark.share(6)
@REPLAYED
@EVERY_FILE
def test_the_first_of_each_kind_passes_in_float32(path, monkeypatch):
    def first_of_each(path):
        vectors = read_vectors(path)
        first = {}
        for one in vectors.cases:
            first.setdefault(one.kind, one)
        return dataclasses.replace(vectors, cases=tuple(first.values()))

    monkeypatch.setattr(conformance, "read_vectors", first_of_each)
    kinds = {c["kind"] for c in json.loads(path.read_text())["cases"]}
    check_packaged(path, float64=False, expected=len(kinds))


@pytest.mark.long
@REPLAYED
@EVERY_FILE
def test_every_packaged_vector_passes_in_float32(path):
    cases = json.loads(path.read_text())["cases"]
    check_packaged(path, float64=False, expected=len(cases))


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
    path = write(tmp_path, case(outputs={"limit": None}))  # a value where none is
    (report,) = conformance.replay(path, float64=True)
    assert report.failed == ("gauss_theory/x limit (a value where there is none)",)


def test_unknown_systems_and_kinds_are_listed_as_not_covered(tmp_path):
    path = write(tmp_path, case(), system="another")
    (report,) = conformance.replay(path, float64=True)
    assert not report.covered
    functions, _ = load_conformance()
    assert ("another", "gauss_theory") not in functions


# Forms that the packaged functions do not use yet: stand-ins replay real cases -------


@pytest.fixture
def stand_in(monkeypatch, tmp_path):
    """`stand_in(file, kind, run, outputs)`: a report of one kind, replayed by `run`.

    `outputs` are those compared; `edit` changes the outputs that the file expects.
    """

    def report(stem, kind, run, outputs, *, float64=True, edit=None):
        source = next(path for path in PATHS if path.stem == stem)
        data = json.loads(source.read_text())
        data["cases"] = [c for c in data["cases"] if c["kind"] == kind]
        for one in data["cases"]:
            one["outputs"] = {name: one["outputs"][name] for name in outputs}
            if edit:
                edit(one["outputs"])
        path = tmp_path / "some.json"
        path.write_text(json.dumps(data))
        functions = {(stem, kind): run}
        monkeypatch.setattr(conformance, "load_conformance", lambda: (functions, {}))
        (report,) = conformance.replay(path, float64=float64)
        return report

    return report


@on_host
def decide(params, inputs):
    words = ["x_to_y", "y_to_x", "independent"]
    return {"decision": [words[i] for i in jnp.argmax(inputs["p_values"], axis=1)]}


@on_host
def exclusive_or(params, inputs):
    """Variables are their factor, XOR the product of their parents."""
    bits = inputs["factor_bits"]
    parents = inputs["dag"].astype(int).tolist()
    values = []
    for node, factors in enumerate(bits):
        above = [values[a] for a, b in parents if b == node]
        own = []
        for position, factor in enumerate(factors):
            columns = zip(*(v[position] for v in above), strict=True)
            product = ["1" if set(c) == {"1"} else "0" for c in columns]
            product = product or ["0"] * len(factor)
            pairs = zip(factor, product, strict=True)
            own.append("".join("01"[a != b] for a, b in pairs))
        values.append(own)
    return {"variable_bits": values}


def test_text_is_compared_exactly(stand_in):
    place = "exchangeable", "bivariate_rule", decide, ["decision"]
    assert stand_in(*place).failed == ()

    def swap(outputs):
        outputs["decision"][5] = "x_to_Y"

    (miss,) = stand_in(*place, edit=swap).failed
    assert miss == "bivariate_rule decision[5] (another text)"


@pytest.mark.parametrize("float64", [True, False])
def test_bit_strings_are_text(stand_in, float64):
    kind = "causal_de_finetti_multivariate"
    place = "exchangeable", kind, exclusive_or, ["variable_bits"]
    report = stand_in(*place, float64=float64)
    assert (report.cases, report.worst, report.failed) == (2, 0.0, ())

    def flip(outputs):  # the last of 600 digits: nothing to a float64
        bits = outputs["variable_bits"][2][1]
        outputs["variable_bits"][2][1] = bits[:-1] + "01"[bits[-1] == "0"]

    report = stand_in(*place, float64=float64, edit=flip)
    assert [miss.split(" ", 1)[1] for miss in report.failed] == [
        "variable_bits[2][1] (another text)"
    ] * 2


@pytest.mark.parametrize("float64", [True, False])
def test_sizes_in_inputs_are_python_numbers(stand_in, float64):
    def positions(params, inputs):
        length, dim = inputs["length"], inputs["dim"]
        assert (length, dim) == (5, 4)
        assert type(length) is type(dim) is int
        rate = 1e-4 ** (jnp.arange(0.0, dim, 2) / dim)
        angle = jnp.outer(jnp.arange(float(length)), rate)
        parts = jnp.sin(angle), jnp.cos(angle)
        return {"pe": jnp.stack(parts, -1).reshape(length, dim)}

    place = "ar_nonidentifiability", "pe", positions, ["pe"]
    report = stand_in(*place, float64=float64)
    assert report.failed == ()
    assert report.worst < (1e-12 if float64 else 1e-5)


def test_inputs_of_another_case_reach_the_function(stand_in):
    traced = []

    def forward_input(params, inputs):
        traced.append(isinstance(inputs["phi"], Tracer))
        actions = inputs["actions"].astype(int)
        one_hot = jax.nn.one_hot(actions, inputs["num_actions"])
        return {"forward_input": jnp.concatenate([inputs["phi"], one_hot], axis=1)}

    place = "attention_curiosity", "icm", forward_input, ["forward_input"]
    report = stand_in(*place)
    assert (report.cases, report.failed, traced) == (3, (), [True] * 3)

    def shift(outputs):
        outputs["forward_input"][3][6] += 1e-6

    assert len(stand_in(*place, edit=shift).failed) == 3


def test_text_and_null_in_inputs_keep_their_place(stand_in):
    seen = {}

    def mean(params, inputs):
        valid = ~jnp.isnan(inputs["values"])
        return {
            "mean": jnp.mean(inputs["values"], where=valid),
            "valid": jnp.sum(valid),
        }

    place = "metric_validity", "seed_interval", mean, ["mean", "valid"]
    assert stand_in(*place).failed == ()

    def columns(params, inputs):
        seen.update(inputs)
        return {"factors": inputs["beta_samples"]}

    stand_in("ima_vae", "sprite_factors", columns, ["factors"])
    assert seen["columns"] == ["x", "y", "scale", "hue"]


def test_lists_and_objects_keep_their_form(stand_in):
    @on_host
    def distance(params, inputs):
        values = []
        for pair in inputs["pairs"]:
            sets = (pair["estimate"], pair["truth"])
            sizes = [{tuple(edge) for edge in np.asarray(s).tolist()} for s in sets]
            both = len(sizes[0]) + len(sizes[1])
            values.append(len(sizes[0] ^ sizes[1]) / both if sizes[0] else 1.0)
        return {"values": values}

    report = stand_in("exchangeable", "normalised_shd", distance, ["values"])
    assert report.failed == ()


def test_missing_data_are_a_reason_to_skip(stand_in, monkeypatch, tmp_path, capsys):
    @on_host
    def windows(params, inputs):
        path = data_file(f"jsb_chorales/{inputs['file']}")
        return {"per_split": json.loads(path.read_text())}

    place = "weight_regularization", "jsb_windows", windows, ["per_split"]
    monkeypatch.delenv("JIDCL_DATA", raising=False)
    report = stand_in(*place)
    assert (report.cases, report.covered, report.failed) == (1, True, ())
    assert report.skipped == (
        "jsb_windows/statistics: JIDCL_DATA must name a folder that holds "
        "jsb_chorales/JSB_Chorales.mat, got no value",
    )
    path = str(tmp_path / "some.json")
    assert cli.main(["conformance", path]) == 0
    out = capsys.readouterr().out
    assert "1 skipped" in out
    assert "skipped: jsb_windows/statistics: JIDCL_DATA must name" in out
    assert cli.main(["conformance", path, "--strict"]) == 1

    (expected,) = (
        c["outputs"] for c in json.loads((tmp_path / "some.json").read_text())["cases"]
    )
    (tmp_path / "jsb_chorales").mkdir()
    file = tmp_path / "jsb_chorales" / "JSB_Chorales.mat"
    file.write_text(json.dumps(expected["per_split"]))
    monkeypatch.setenv("JIDCL_DATA", str(tmp_path))
    report = stand_in(*place)
    assert (report.skipped, report.failed) == ((), ())
    expected["per_split"]["test_w1"]["target_ones"] += 1
    file.write_text(json.dumps(expected["per_split"]))
    (miss,) = stand_in(*place).failed
    assert (
        miss == "jsb_windows/statistics per_split.test_w1.target_ones (error 5.54e-05)"
    )


def test_a_name_of_data_stays_below_the_folder(monkeypatch, tmp_path):
    monkeypatch.setenv("JIDCL_DATA", str(tmp_path))
    for name in ("../secret", "/etc/hostname", "mnist/../../secret"):
        with pytest.raises(ValueError, match="must lie below the folder"):
            data_file(name)


NAN = math.nan


@pytest.mark.parametrize(
    ("computed", "expected", "miss"),
    [
        ("abc", "abc", None),
        ("abc", "abd", "value (another text)"),
        (1.0, "1", "value (another text)"),
        ("1", 1, "value (must hold numbers)"),
        (["1", "2"], [1, 2], "value (must hold numbers)"),
        ([1, 2], ["1", "2"], "value[0] (another text)"),
        ("12", ["1", "2"], "value (must be a list of 2)"),
        (["1", "2"], "12", "value (another text)"),
        (["a"], ["a", "b"], "value (must be a list of 2)"),
        (None, ["a"], "value (must be a list of 1)"),
        (NAN, 1.0, "value (not finite)"),
        ([1.0, math.inf], [1.0, 2.0], "value (not finite)"),
        ([1.0, NAN], [1.0, None], None),
        ([1.0, None], [1.0, None], None),
        ([1.0, 2.0], [1.0, None], "value (a value where there is none)"),
        ([1.0, NAN], [1.0, 2.0], "value (not finite)"),
        (None, None, None),
        (0.0, None, "value (a value where there is none)"),
        ("", None, "value (must hold numbers)"),
        (None, 0.0, "value (not finite)"),
        ([[1.0], None], [[1.0], None], None),
        ([[1.0], [2.0]], [[1.0], None], "value[1] (shape (1,), expected ())"),
        ([1.0], 1.0, "value (shape (1,), expected ())"),
        ([], [], None),
        ([1.0], [], "value (shape (1,), expected (0,))"),
        ([[1.0], [2.0, 3.0]], [[1.0], [2.0, 3.0]], None),
        ([[1.0], [2.0, 3.0]], [[1.0], [2.0, 4.0]], "value[1] (error 0.25)"),
        ([1.0, 2.0, 3.0], [[1.0], [2.0, 3.0]], "value (must be a list of 2)"),
        ({"a": 1.0}, {"a": 1.0}, None),
        ({"b": 1.0}, {"a": 1.0}, "value (names must be ['a'])"),
        ({"a": 1.0, "b": 1.0}, {"a": 1.0}, "value (names must be ['a'])"),
        ([1.0], {"a": 1.0}, "value (names must be ['a'])"),
        ({"a": 1.0}, 1.0, "value (must hold numbers)"),
        ([{"a": "x"}, {"a": 2.0}], [{"a": "x"}, {"a": 1.0}], "value[1].a (error 1)"),
        (True, True, None),
        (False, True, "value (error 1)"),
        (1 + 1j, 1.0, "value (must hold numbers)"),
        (1.7e308, -1.7e308, "value (error inf)"),
    ],
)
@pytest.mark.filterwarnings("ignore:overflow")
def test_values_of_every_form_are_compared(
    monkeypatch, tmp_path, computed, expected, miss
):
    run = on_host(lambda params, inputs: {"value": computed})
    functions = {("contrastive_ica", "gauss_theory"): run}
    monkeypatch.setattr(conformance, "load_conformance", lambda: (functions, {}))
    (report,) = conformance.replay(
        write(tmp_path, case(outputs={"value": expected})), float64=True
    )
    assert report.failed == ((f"gauss_theory/x {miss}",) if miss else ())


def test_a_function_that_breaks_is_a_miss_with_the_reason(monkeypatch, tmp_path):
    def breaks(params, inputs):
        raise ZeroDivisionError

    functions = {("contrastive_ica", "gauss_theory"): breaks}
    monkeypatch.setattr(conformance, "load_conformance", lambda: (functions, {}))
    (report,) = conformance.replay(write(tmp_path, case()), float64=True)
    assert report.failed == ("gauss_theory/x (not computed: ZeroDivisionError: )",)


def test_names_of_a_file_are_shown_as_they_are(tmp_path, capsys):
    odd = case(id="[/red][bold]x", outputs={"[/]": 1.0})
    assert cli.main(["conformance", str(write(tmp_path, odd, system="[/x]"))]) == 0
    assert "[/x]" in capsys.readouterr().out
    assert cli.main(["conformance", str(write(tmp_path, odd))]) == 1
    assert "miss: [/red][bold]x [/] (not computed)" in capsys.readouterr().out
