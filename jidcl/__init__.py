"""jidcl: does this objective, on this data, recover the true factors?

Public names are resolved on first use, so importing the package is instant and starts
no backend. Submodules: `latents`, `mixing`, `data`, `pairs`, `encoders`, `losses`,
`objectives`, `metrics`, `theory`, `optim`, `train`, `estimate`, `systems`,
`report`.
"""

import importlib
from typing import Any

__version__ = "0.1.0"

_NAMES = {
    "Ball": "latents",
    "Batch": "types",
    "Box": "latents",
    "ContrastiveEncoder": "estimate",
    "Encoder": "encoders",
    "Evaluation": "types",
    "GeneralisedNormal": "latents",
    "Laplace": "latents",
    "Losses": "types",
    "NegativePolicy": "losses",
    "Normal": "latents",
    "Pair": "types",
    "PairProblem": "run.own",
    "Problem": "types",
    "Product": "latents",
    "ProductDensity": "latents",
    "Program": "types",
    "Real": "latents",
    "Similarity": "losses",
    "Simplex": "latents",
    "Sphere": "latents",
    "System": "systems.contract",
    "Uniform": "latents",
    "VonMisesFisher": "latents",
    "diagnose": "diagnosis",
    "fit": "train",
    "fit_pairs": "estimate",
    "gradient": "train",
    "infonce": "losses",
    "init_invertible_mlp": "mixing",
    "judge": "run.own",
    "log_prob": "latents",
    "make_mlp": "encoders",
    "mcc": "metrics",
    "mix": "mixing",
    "r2": "metrics",
    "sample": "latents",
    "sample_marginal": "latents",
    "sample_pair": "pairs",
}

__all__ = ["__version__", *sorted(_NAMES)]  # pyright: ignore[reportUnsupportedDunderAll]


def __getattr__(name: str) -> Any:
    if name not in _NAMES:
        raise AttributeError(f"module 'jidcl' has no attribute {name!r}")
    return getattr(importlib.import_module(f"jidcl.{_NAMES[name]}"), name)


def __dir__() -> list[str]:
    return __all__
