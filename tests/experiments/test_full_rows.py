"""The tables of published rows are those that the committed records give."""

import importlib.util
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def full_rows():
    path = ROOT / "experiments/full_rows.py"
    spec = importlib.util.spec_from_file_location("full_rows", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("system", "file"), [("contrastive_ica", "full_rows"), ("diet", "full_diet")]
)
def test_the_page_shows_what_the_records_say_under_the_present_rule(
    full_rows, tmp_path, system, file
):
    held = ROOT / f"experiments/results/{file}.json"
    records = full_rows.gather(held, tmp_path, system)
    assert records
    assert full_rows.table(records) in (ROOT / "docs/published.md").read_text()


def test_a_row_shows_the_words_of_its_seeds_where_they_differ(full_rows, tmp_path):
    held = ROOT / "experiments/results/full_rows.json"
    table = full_rows.table(full_rows.gather(held, tmp_path, "contrastive_ica"))
    (row,) = (line for line in table.split("\n") if "Table 1, row 2 " in line)
    assert "identified (4 identified, 1 not optimised); the means alone would" in row
    (row,) = (line for line in table.split("\n") if "Table 1, row 3 " in line)
    assert row.endswith("reproduced; identified |")
