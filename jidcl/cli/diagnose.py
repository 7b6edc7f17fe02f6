"""`jidcl diagnose`: what the pairs of a fit support, and what they do not."""

import dataclasses
from pathlib import Path

from jidcl.cli.arguments import no_tyro, parse, quiet


def main(args: list[str]) -> int:
    """Run the verb; the exit code."""
    try:
        from tyro.conf import Positional
    except ImportError as error:
        raise no_tyro() from error

    @dataclasses.dataclass(frozen=True)
    class Diagnose:
        """What do these pairs support?

        Fits the exponents p = 1, 2, 3 on the same rows to compare them, where the pairs
        are still there. Writes diagnosis.json, diagnosis.csv and diagnosis.html.
        """

        run: Positional[Path]
        """the folder of `jidcl fit`, or of `ContrastiveEncoder.save`"""
        pairs: Path | None = None
        """where the pairs are now, as for `jidcl fit`; where they were when left out"""

    options = parse(Diagnose, args, "diagnose")
    if not options.run.is_dir():
        raise ValueError(
            f"run must be a folder that jidcl fit wrote, got {options.run}"
        )
    quiet()
    from jidcl.cli.fit import opened, written
    from jidcl.diagnosis import diagnose
    from jidcl.estimate import ContrastiveEncoder
    from jidcl.files import read_json

    encoder = ContrastiveEncoder.load(options.run)
    path, noted = options.pairs, options.run / "pairs.json"
    if path is None and noted.exists():
        told = read_json(noted)
        if not isinstance(told, dict) or not isinstance(told.get("path"), str):
            raise ValueError(f"{noted} must hold the path of the pairs")
        path = Path(told["path"])
        if not path.exists():
            print(f"{path} is gone: exponents are not compared (--pairs)")
            path = None
    pairs = (None, None) if path is None else opened(path)
    written(diagnose(encoder, *pairs), options.run, "diagnosis")
    return 0
