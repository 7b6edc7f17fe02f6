"""A diagnosis of a small fit: text, JSON, CSV, page, figure; pairs that are others'."""

import csv
import json

import numpy as np
import pytest

import jidcl
from jidcl.diagnosis.planted import plant

X, X_POS = plant("matched", 0, rows=400)
SMALL = dict(outputs=3, hidden=(16,), steps=60, batch=32, seeds=3)


@pytest.fixture(scope="module")
def encoder():
    return jidcl.fit_pairs(X, X_POS, **SMALL)


@pytest.fixture(scope="module")
def diagnosis(encoder):
    return jidcl.diagnose(encoder)


def test_three_lines_say_what_the_pairs_support(diagnosis):
    text = diagnosis.summary()
    assert text == str(diagnosis)
    assert diagnosis.says("supported")
    for sentence in diagnosis.sentences:
        assert f"- {sentence.text}" in text
    assert set(diagnosis.evidence.rivals) == {2.0, 3.0}
    assert len(diagnosis.evidence.matched) == 3


def test_files_hold_what_is_shown(diagnosis, tmp_path):
    told = json.loads(diagnosis.to_json(tmp_path / "a.json").read_text())
    assert [s["name"] for s in told["sentences"]] == [
        s.name for s in diagnosis.sentences
    ]
    assert (
        told["evidence"]["rivals"]["2"]["gain"] == diagnosis.evidence.rivals[2.0].gain
    )
    rows = list(
        csv.reader(diagnosis.to_csv(tmp_path / "a.csv").read_text().splitlines())
    )
    assert rows[0] == ["what", "value", "by chance"]
    assert tuple(map(tuple, rows[1:])) == tuple(diagnosis.numbers())
    page = diagnosis.to_html(tmp_path / "a.html").read_text()
    assert "data:image/png;base64," in page
    assert "http" not in page
    figure = diagnosis.plot(tmp_path / "deep" / "a.png")
    assert figure.read_bytes().startswith(b"\x89PNG")


def test_after_a_save_pairs_are_given_again(encoder, diagnosis, tmp_path):
    again = jidcl.ContrastiveEncoder.load(encoder.save(tmp_path / "a"))
    alone = jidcl.diagnose(again)
    assert not alone.evidence.rivals
    assert alone.evidence.bits == diagnosis.evidence.bits
    whole = jidcl.diagnose(again, X, X_POS)
    assert whole.evidence.rivals == diagnosis.evidence.rivals
    with pytest.raises(ValueError, match="must be the pairs that the encoder was fit"):
        jidcl.diagnose(again, X + 0.1, X_POS)
    with pytest.raises(ValueError, match="x must have 6 features"):
        jidcl.diagnose(again, X[:, :3], X_POS[:, :3])


def test_what_is_no_fitted_encoder_is_refused():
    with pytest.raises(TypeError, match="encoder must be a ContrastiveEncoder"):
        jidcl.diagnose(3)
    with pytest.raises(ValueError, match="must be fitted first"):
        jidcl.diagnose(jidcl.ContrastiveEncoder(3))


def test_other_objectives_are_measured_with_the_same_yardstick():
    fitted = jidcl.fit_pairs(X, X_POS, objective="vicreg", **{**SMALL, "seeds": 1})
    found = jidcl.diagnose(fitted)
    assert found.says("one_run")
    assert not found.evidence.rivals
    assert np.isfinite(found.evidence.bits).all()
