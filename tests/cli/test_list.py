"""`jidcl list` and `jidcl doctor`."""

import pytest

from jidcl.cli import main as cli


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["systems"], ["contrastive_ica"]),
        (["presets"], ["full/t1r3", "theorem1/thm1-vmf", "no training"]),
        (["presets", "scenes"], ["ident3d 64 x 64"]),
        (["claims"], ["99.91 ± 0.01"]),
        (["losses"], ["infonce"]),
        (["scores"], ["rotation_high", "of diet", "tied_deviation", "of lejepa"]),
        (["scores", "diet"], ["rotation_high", "of diet", "tied_deviation"]),
    ],
)
def test_listings(args, words, capsys):
    assert cli.main(["list", *args]) == 0
    out = capsys.readouterr().out
    for word in words:
        assert word in out
    assert ("of lejepa" in out) == (args == ["scores"])


def test_doctor_shows_devices(capsys):
    assert cli.main(["doctor"]) == 0
    assert "device" in capsys.readouterr().out
