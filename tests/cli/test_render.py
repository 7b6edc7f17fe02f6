"""`jidcl render`: each kind of picture."""

import sys

import pytest

from jidcl.cli import main as cli


@pytest.mark.many_programs(reason="four kinds of picture, and a set of pictures twice")
def test_render_writes_each_kind_of_picture(tmp_path, capsys, monkeypatch):
    kinds = ["sheet", "sweep", "pairs", "gif"]
    flags = ["--size", "16", "--count", "5", "--columns", "3", "--out", str(tmp_path)]
    assert cli.main(["render", "triangles", "--what", *kinds, *flags]) == 0
    for kind in kinds[:3]:
        head = (tmp_path / f"triangles-{kind}.png").read_bytes()[:4]
        assert head == b"\x89PNG"
    from PIL import Image

    with Image.open(tmp_path / "triangles-gif.gif") as film:
        assert film.size == (16, 16)
        assert film.n_frames > 4 * 8  # equal neighbours may merge
    assert cli.main(["render", "triangles", "--what", "set", *flags]) == 0
    assert str(tmp_path / "triangles-set") in capsys.readouterr().out
    assert len(list((tmp_path / "triangles-set" / "images").iterdir())) == 5
    flags[5 - 2] = "6"  # other latents: nothing is mixed
    assert cli.main(["render", "triangles", "--what", "set", *flags]) == 2
    assert "pictures of other latents" in capsys.readouterr().err
    monkeypatch.setitem(sys.modules, "PIL", None)
    assert cli.main(["render", "triangles", "--what", "gif", *flags]) == 2
    assert "pip install 'jidcl[data]'" in capsys.readouterr().err
