"""Arguments of the command line: grids, presets by name."""

import sys

import pytest

from jidcl.cli.arguments import find_preset, parse_grid
from reference.tiny import TINY


def test_grids_are_read_with_the_types_of_the_settings():
    items = ["tau=0.1,1", "batch=8,16", "mixing=linear", "power=false"]
    assert parse_grid(TINY, items) == {
        "tau": [0.1, 1.0],
        "batch": [8, 16],
        "mixing": ["linear"],
        "power": [False],
    }
    for wrong in ("tau", "tau=", "batch=1.5", "power=maybe", "widths=1", "nothing=1"):
        with pytest.raises(ValueError, match=r"must be"):
            parse_grid(TINY, [wrong])
    with pytest.raises(ValueError, match="once a name"):
        parse_grid(TINY, ["tau=1", "tau=2"])


def test_a_preset_is_found_by_its_name_or_with_its_system():
    for name in ("quick/sphere-vmf", "contrastive_ica:quick/sphere-vmf"):
        system, label, config = find_preset(name)
        assert (system, label, config.space) == ("contrastive_ica", name, "sphere")
    with pytest.raises(ValueError, match="did you mean 'quick/sphere-vmf'"):
        find_preset("quick/sphere-vfm")


def test_a_preset_of_your_own_system_may_hold_colons(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    (tmp_path / "own_presets.py").write_text(
        "from jidcl import Program, System\n"
        "from jidcl.systems.shared.settings import Settings\n"
        "SYSTEM = System(name='a', title='b', paper='c', frozen_fields=(),\n"
        "    presets=lambda: {'quick/x:y': Settings()}, make_program=Program)\n"
    )
    found = find_preset("own_presets:SYSTEM:quick/x:y")
    assert found[:2] == ("own_presets:SYSTEM", "quick/x:y")
    assert sys.path[0] == str(tmp_path)
    with pytest.raises(ValueError, match="preset of own_presets:SYSTEM must be"):
        find_preset("own_presets:SYSTEM:quick/z")
