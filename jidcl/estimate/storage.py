"""An encoder on disk: `encoder.json`, `params.safetensors`, `held_out.safetensors`."""

from pathlib import Path
from typing import Any

import numpy as np
from flax.traverse_util import flatten_dict, unflatten_dict

from jidcl.checks import check_type
from jidcl.estimate.tensors import read_tensors, write_tensors
from jidcl.files import read_json, write_folder_whole, write_json

FORMAT = 1
OWN = "own"  # stands for a network that is no name


def save_encoder(encoder: Any, folder: Path) -> Path:
    """Write a fitted encoder; `encoder.json` comes last.

    Args:
        encoder: a fitted `ContrastiveEncoder`.
        folder: a new one.

    Returns:
        The folder.

    Raises:
        ValueError: where something of that name exists.
    """
    settings = encoder.get_params()
    settings.pop("progress")
    if not isinstance(settings["network"], str):
        settings["network"] = OWN
    settings["hidden"] = list(settings["hidden"])
    seeds = [int(seed) for seed in encoder.seeds_]
    settings["seeds"] = seeds
    tree = {"params": encoder.params_, "mean": encoder.mean_, "scale": encoder.scale_}
    tensors = flatten_dict(tree, sep="/")
    told = {
        "format": FORMAT,
        "settings": settings,
        "features": encoder.n_features_in_,
        "train_rows": encoder.train_rows_,
        "best": encoder.best_,
        "held_out_loss": [float(loss) for loss in encoder.held_out_loss_],
        "history": encoder.history_,
    }

    def write(part: Path) -> None:
        write_tensors(part / "params.safetensors", tensors)
        held = {"test": encoder.held_out_, "stop": encoder.stop_}
        write_tensors(part / "held_out.safetensors", held)
        write_json(part / "encoder.json", told)

    write_folder_whole(folder, write)
    return folder


def load_encoder(kind: Any, folder: Path, network: Any) -> Any:
    """The encoder that a folder holds.

    Args:
        kind: `ContrastiveEncoder`.
        folder: of `save_encoder`.
        network: the module of an encoder that had one of its own, else None.

    Returns:
        It, fitted.

    Raises:
        FileNotFoundError: where a file is missing.
        ValueError: naming the file that does not hold what it says.
    """
    path = folder / "encoder.json"
    told = read_json(path)
    try:
        if told["format"] != FORMAT:
            raise ValueError(f"its format must be {FORMAT}, got {told['format']!r}")
        settings = dict(told["settings"])
        check_type("settings", settings, dict)
        own = settings["network"] == OWN
        if own != (network is not None):
            raise ValueError(
                "network must be given where the encoder had one of its own, and only "
                "there"
            )
        settings["network"] = network if own else settings["network"]
        settings["hidden"] = tuple(settings["hidden"])
        settings["seeds"] = tuple(settings["seeds"])
        encoder = kind(**settings)
        encoder.n_features_in_, encoder.best_ = int(told["features"]), int(told["best"])
        encoder.train_rows_ = int(told["train_rows"])
        encoder.history_ = list(told["history"])
        encoder.held_out_loss_ = np.asarray(told["held_out_loss"], np.float32)
        encoder.seeds_, encoder._state, encoder.pairs_ = settings["seeds"], None, None
        encoder.learning()
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{path} does not hold an encoder: {error}") from error
    _read_arrays(encoder, folder)
    return encoder


def _read_arrays(encoder: Any, folder: Path) -> None:
    """Parameters and held-out pairs, which must fit the settings."""
    path = folder / "params.safetensors"
    flat = read_tensors(path)
    features, seeds = encoder.n_features_in_, len(encoder.seeds_)
    params = {k[7:]: v for k, v in flat.items() if k.startswith("params/")}
    whole = (
        {"mean", "scale"} <= set(flat)
        and flat["mean"].shape == flat["scale"].shape == (features,)
        and params
        and all(leaf.shape[:1] == (seeds,) for leaf in params.values())
        and all(np.isfinite(leaf).all() for leaf in flat.values())
        and (flat["scale"] > 0).all()
    )
    if not whole or not 0 <= encoder.best_ < seeds:
        raise ValueError(
            f"{path} must hold mean and scale > 0 of {features} features and "
            f"finite parameters of {seeds} seeds"
        )
    encoder.mean_, encoder.scale_ = flat["mean"], flat["scale"]
    encoder.params_ = unflatten_dict(params, sep="/")
    path = folder / "held_out.safetensors"
    held = read_tensors(path)
    for name in ("test", "stop"):
        part = held.get(name)
        if (
            part is None
            or part.ndim != 3
            or part.shape[::2] != (2, features)
            or not np.isfinite(part).all()
        ):
            raise ValueError(f"{path} must hold finite {name} [2, rows, {features}]")
    encoder.held_out_, encoder.stop_ = held["test"], held["stop"]
