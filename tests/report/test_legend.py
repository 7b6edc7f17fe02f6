"""Every score that a record can hold has a line that says what it is."""

import json
from pathlib import Path

from jidcl.mixing.scenes import SCENES
from jidcl.report.legend import legend, meaning
from jidcl.report.records import record_from
from jidcl.report.tables import score_rows
from jidcl.systems.causal3d.evaluate import SCORES
from jidcl.systems.registry import SYSTEMS, load_legend

LEGENDS = {name: load_legend(name) for name in SYSTEMS}
FACTORS = {name for scene in SCENES.values() for name in scene().factors} | {*SCORES}


def unknown(meanings):
    """Those that the legend takes for a factor and that are none."""
    taken = [text for text in meanings if "the factor " in text]
    factors = [text.split()[2].rstrip(",") for text in taken]
    return [factor for factor in factors if factor not in FACTORS]


def test_every_score_of_the_records_is_explained():
    results = Path(__file__).parents[2] / "experiments/results"
    names = set()
    for path in results.glob("full_*.json"):
        for data in json.loads(path.read_text())["records"]:
            record = record_from(data, where=str(path))
            rows = score_rows(record, LEGENDS.get(record.system, {}))
            names |= {name for name, _, _ in rows}
            assert not unknown(text for _, _, text in rows)
    assert len(names) > 40
    assert {"r2", "gap_se", "mcc, rotation_low"} <= names


def test_every_system_with_scores_of_its_own_explains_them():
    assert "r2_rows" in unknown([meaning("r2_rows")])
    assert not unknown([meaning("r2_rows", LEGENDS["diet"])])


def test_endings_and_nulls_add_to_the_meaning():
    own = LEGENDS["diet"]
    plain = meaning("r2_rows", own)
    assert meaning("r2_rows", own, null="shuffled") == (
        f"{plain}; with rows in another order (null)"
    )
    assert "the factor x," in meaning("x", null="identity")
    assert meaning("r2", null="of my own").endswith("; of my own (null)")
    assert meaning("content_krr").startswith(meaning("content"))
    assert not unknown([meaning("decoder_loss", LEGENDS["anisotropic"])])


def test_the_legend_fits_a_terminal():
    text = legend(LEGENDS)
    assert max(map(len, text.splitlines())) <= 100
    for name in ("rotation_high", "of diet", "tied_deviation", "_krr"):
        assert name in text
