"""`jidcl conformance`: exit codes."""

import json

from jidcl.cli import main as cli
from jidcl.run import conformance


def test_conformance_exit_codes(tmp_path, capsys):
    paths = conformance.packaged_vectors()
    packaged = next(path for path in paths if path.stem == "contrastive_ica")
    data = json.loads(packaged.read_text())
    kinds = ("gauss_theory", "slowvae")
    data["cases"] = [case for case in data["cases"] if case["kind"] in kinds]
    data["cases"][-1]["kind"] = "unheard_of"  # one covered, one not
    path = tmp_path / "some.json"
    path.write_text(json.dumps(data))
    assert cli.main(["conformance", str(path)]) == 0
    out = capsys.readouterr().out
    assert "gauss_theory" in out
    assert "not covered by a function: contrastive_ica/unheard_of" in out
    assert cli.main(["conformance", str(path), "--strict"]) == 1
    (case,) = (case for case in data["cases"] if case["id"] == "gauss_theory/00")
    case["outputs"] = {name: value + 1 for name, value in case["outputs"].items()}
    path.write_text(json.dumps(data))
    assert cli.main(["conformance", str(path)]) == 1
    assert "miss: " in capsys.readouterr().out
