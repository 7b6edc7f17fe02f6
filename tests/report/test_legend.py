"""Every score that a record can hold has a line that says what it is."""

import json
from pathlib import Path

import pytest

from jidcl.mixing.scenes import SCENES
from jidcl.report.legend import legend, meaning
from jidcl.run.sweep import metric_names
from jidcl.systems.causal3d.problem import SCORES
from jidcl.systems.registry import load_presets

FACTORS = {name for scene in SCENES.values() for name in scene().factors} | {*SCORES}


def unknown(names):
    """Those that the legend takes for a factor and that are none."""
    taken = [name for name in names if "the factor " in meaning(name)]
    factors = [meaning(name).split()[2].rstrip(",") for name in taken]
    return [factor for factor in factors if factor not in FACTORS]


@pytest.mark.parametrize(
    ("system", "preset"),
    [
        ("lejepa", "quick/coupling-2"),
        ("lejepa", "quick/coupling-4-whitening"),
        ("rivals", "quick/n1-lp_infonce"),
    ],
)
def test_every_score_of_a_run_is_explained(system, preset):
    config = load_presets(system)[preset]
    assert not unknown(metric_names(system, config, {}))


def test_every_score_of_the_records_is_explained():
    results = Path(__file__).parents[2] / "experiments/results"
    names = set()
    for path in results.glob("full_*.json"):
        for record in json.loads(path.read_text())["records"]:
            values = record["metrics"]
            names |= {k for k, v in values.items() if not isinstance(v[0], list)}
    assert len(names) > 40
    assert not unknown(names)


def test_endings_add_to_the_meaning():
    assert meaning("r2_rows_shuffled").startswith(meaning("r2_rows"))
    assert "null" in meaning("x_identity")
    assert "the factor x," in meaning("x_identity")
    assert not unknown(["rows_of_set", "decoder_loss"])


def test_the_legend_fits_a_terminal():
    assert max(map(len, legend().splitlines())) <= 100
    assert "mcc_rotation_high" in legend()
