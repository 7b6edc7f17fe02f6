"""`jidcl fit`: an encoder of pairs of your own, and what it reached."""

import dataclasses
import sys
from pathlib import Path
from typing import Any

from jidcl.cli.arguments import no_tyro, parse, quiet


def main(args: list[str]) -> int:
    """Run the verb; the exit code."""
    try:
        from tyro.conf import Positional
    except ImportError as error:
        raise no_tyro() from error

    @dataclasses.dataclass(frozen=True)
    class Fit:
        """Fit an encoder to pairs of observations that share factors.

        Row i of x_pos is the partner of row i of x. Writes the encoder, and fit.json,
        fit.csv and fit.html beside it; `jidcl diagnose` goes on from there.
        """

        pairs: Positional[Path]
        """an .npz file of x and x_pos `[rows, features]`; a folder of x.npy and
        x_pos.npy, which may be larger than memory; or a .parquet file with lists of
        numbers in columns x and x_pos"""
        out: Path | None = None
        """a new folder; fit-NAME beside the pairs when left out"""
        outputs: int = 8
        """outputs of the encoder"""
        objective: str = "infonce"
        """infonce, or another that `jidcl list losses` knows as an objective"""
        p: float = 1.0
        """exponent of infonce"""
        network: str = "mlp"
        """mlp or linear"""
        hidden: tuple[int, ...] = (128, 128)
        """widths of the hidden layers"""
        batch: int = 256
        """pairs of a step"""
        steps: int = 2000
        """most updates"""
        learning_rate: float = 2e-3
        """its peak"""
        seeds: int = 5
        """runs from different starts, batched"""
        held_out: float = 0.3
        """share of the rows that no run trains on"""

    options = parse(Fit, args, "fit")
    out = options.out or options.pairs.parent / f"fit-{options.pairs.stem}"
    from jidcl.files import check_new, write_json

    check_new(out)
    quiet()
    from jidcl.diagnosis import diagnose
    from jidcl.estimate import ContrastiveEncoder

    settings = dataclasses.asdict(options)
    for name in ("pairs", "out"):
        settings.pop(name)
    encoder = ContrastiveEncoder(**settings, progress=_shown)
    encoder.fit(*opened(options.pairs))
    found = diagnose(encoder, exponents=(options.p,))
    encoder.save(out)
    write_json(out / "pairs.json", {"path": str(options.pairs.resolve())})
    written(found, out, "fit")
    print(f"next: jidcl diagnose {out}")
    return 0


def opened(path: Path) -> tuple[Any, Any]:
    """What `ContrastiveEncoder.fit` takes, of a file or folder of pairs.

    Raises:
        ValueError: on a path of another kind, or a file that does not hold pairs.
        ImportError: for a .parquet file without pyarrow.
    """
    if path.is_dir():
        parts = path / "x.npy", path / "x_pos.npy"
        missing = [part.name for part in parts if not part.is_file()]
        if missing:
            raise ValueError(f"{path} must hold x.npy and x_pos.npy, lacks {missing}")
        return parts
    if path.suffix == ".npz":
        return path, None
    if path.suffix == ".parquet":
        return _of_parquet(path)
    raise ValueError(
        f"pairs must be an .npz or .parquet file, or a folder of x.npy and x_pos.npy, "
        f"got {path}"
    )


def _of_parquet(path: Path) -> tuple[Any, Any]:
    import numpy as np

    from jidcl.data.columns import MOST_FILE
    from jidcl.files import check_regular, in_short

    check_regular(path, MOST_FILE)
    try:
        from pyarrow import ArrowException, parquet  # type: ignore
    except ImportError as error:
        raise ImportError(
            ".parquet files need pyarrow: pip install 'jidcl[parquet]'"
        ) from error
    try:
        table = parquet.read_table(path, columns=["x", "x_pos"])
        x, x_pos = (
            np.array(table[name].to_pylist(), np.float64) for name in ("x", "x_pos")
        )
    except (ArrowException, TypeError, ValueError, KeyError) as error:
        raise ValueError(
            f"{path} must have columns x and x_pos, lists of numbers, of one length in "
            f"all rows: {in_short(error)}"
        ) from error
    return x, x_pos


def written(found: Any, folder: Path, name: str) -> None:
    """Print a diagnosis, and write its JSON, CSV and page."""
    print(found.summary())
    paths = [
        found.to_json(folder / f"{name}.json"),
        found.to_csv(folder / f"{name}.csv"),
        found.to_html(folder / f"{name}.html"),
    ]
    print()
    print("\n".join(f"wrote {path}" for path in paths))


def _shown(row: dict[str, Any]) -> None:
    means = [sum(row[k]) / len(row[k]) for k in ("loss", "held_out")]
    text = f"step {row['step']}: loss {means[0]:.3f}, held out {means[1]:.3f}"
    print(text, file=sys.stderr)
