"""Published formats of which one file is damaged: read, or refused by name."""

import random
import shutil
import warnings

import numpy as np
import pytest

from jidcl.data import check_data, factor_files, open_data
from reference import data_files
from survived import note

EACH = 150  # damaged copies of a set of each format


def damaged(content, chance):
    """Bytes that are cut, flipped, doubled, moved or of noise."""
    held = bytearray(content)
    place = chance.randrange(max(len(held), 1))
    way = chance.choice(["cut", "flip", "flip", "head", "double", "noise", "swap"])
    if way == "cut":
        return bytes(held[:place])
    if way == "flip":
        for _ in range(chance.choice([1, 1, 8])):
            held[chance.randrange(len(held))] ^= 1 << chance.randrange(8)
    if way == "head":  # where sizes and kinds stand
        held[chance.randrange(min(len(held), 64))] = chance.choice([0, 1, 127, 255])
    if way == "double":
        return bytes(held[:place] + held)
    if way == "noise":
        return chance.randbytes(len(held))
    if way == "swap":
        held[place:], held[:place] = held[: -place or None], held[len(held) - place :]
    return bytes(held)


def ended(path, format, file):
    """How reading every row of a set ended; nothing where the error has no name."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            findings = list(check_data(open_data(path, format=format)))
    except (ValueError, OSError) as error:
        said = str(error)
        named = file.name in said or file.parent.name in said or path.name in said
        return f"refused by name, {type(error).__name__}" if named else ""
    return "read" if findings else ""


@pytest.mark.long
@pytest.mark.parametrize("maker", data_files.MAKERS)
def test_a_damaged_file_of_a_set_is_read_or_refused_by_name(
    maker, tmp_path, monkeypatch
):
    monkeypatch.setattr(factor_files, "SPRITES", data_files.SPRITES)
    monkeypatch.setattr(factor_files, "SHAPES", data_files.SHAPES)
    monkeypatch.setattr(factor_files, "MPI3D", {"simple": data_files.MPI3D})
    whole, copy = tmp_path / "whole", tmp_path / "copy"
    whole.mkdir()
    opened = data_files.MAKERS[maker](whole, np.random.default_rng(0))
    files = sorted(path for path in whole.rglob("*") if path.is_file())
    format, chance = maker.partition(" ")[0], random.Random(0)
    for _ in range(EACH):
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(whole, copy)
        file = copy / chance.choice(files).relative_to(whole)
        file.write_bytes(damaged(file.read_bytes(), chance))
        how = ended(copy / opened.relative_to(whole), format, file)
        assert how, file
        note("damaged files of published formats", how)
