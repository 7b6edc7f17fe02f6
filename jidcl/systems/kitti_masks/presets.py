"""Settings of silhouettes in video, and presets. Imports no JAX.

The scene `masks` is drawn inside the training step: its latents walk with Laplace steps
in a box. With a folder, sequences of KITTI Masks are read in its place.

- `quick/...`: 16 x 16, three outputs, as many as latents, lag 1;
- `full/laplace-lag1`, ...: the ten rows of Table 3 at 64 x 64, ten outputs; our
  optimiser and steps;
- `published/...`: their batch, steps and optimiser as well.

Lags 1 and 5 are those of 0.05 and 0.15 s in Table 3.

Source: Zimmermann et al. 2021, section 5.2 and Table 3; Klindt et al. 2021.
"""

import dataclasses
from dataclasses import replace
from typing import Any

from jidcl.checks import check_above, check_at_least, check_choice
from jidcl.systems.shared.settings import Optimisation, Scoring

OBJECTIVES = ("contrastive", "slowvae")
OUTPUTS = ("none", "learnable_box")
FACTORS = 3
LAGS = (1, 5)


@dataclasses.dataclass(frozen=True)
class KittiMasks(Optimisation, Scoring):
    """Every setting of a run; any field can be overridden.

    Attributes:
        folder: a file of KITTI Masks (`jidcl.data.read_kitti_masks`), or a folder of
            texts of KITTI MOTS. Empty: the scene is drawn.
        held_out: share of the frames, in videos of their own, that are scored and not
            trained on; 0: all are trained on and scored, as published.
        size: rows and columns of a mask.
        scale: of the Laplace steps of the drawn walk, in [-1, 1]^3.
        max_lag: a pair lies 1 to so many frames apart, each as likely.
        objective: contrastive, or slowvae.
        m: outputs of the encoder, as many as latents at least.
        output: none (unbounded) or learnable_box.
        output_size: where a learnable bound starts (published: 1).
        p: exponent of the model: 1 is Laplace, 2 is Normal.
        tau: temperature.
        prior: weight of SlowVAE's divergence from N(0, I).
        slow: weight of its divergence from the Laplace law of transitions.
        rate: of that law.
    """

    optimiser: str = "adam"
    learning_rate: float = 1e-3
    batch: int = 32
    steps: int = 2000
    eval_batch: int = 512
    eval_batches: int = 4
    folder: str = ""
    held_out: float = 0.2
    size: int = 64
    scale: float = 0.1
    max_lag: int = 1
    objective: str = "contrastive"
    m: int = 10
    output: str = "none"
    output_size: float = 1.0
    p: float = 1.0
    tau: float = 1.0
    prior: float = 1.0
    slow: float = 10.0
    rate: float = 6.0

    def read_from(self, folder: str) -> Any:
        """The same row on sequences on disk.

        The published pickle names no videos: all of it is trained on and scored, as
        published.
        """
        held_out = 0.0 if folder.endswith(".pickle") else self.held_out
        return self.changed(folder=folder, held_out=held_out, size=64)

    def check(self) -> None:
        """As `Settings.check`."""
        super().check()
        check_choice("objective", self.objective, OBJECTIVES)
        check_choice("output", self.output, OUTPUTS)
        if not 0 <= self.held_out < 1:
            raise ValueError(f"held_out must be in [0, 1), got {self.held_out}")
        if self.size not in (8, 16, 32, 64) or (self.folder and self.size != 64):
            allowed = "64 with a folder" if self.folder else "8, 16, 32 or 64"
            raise ValueError(f"size must be {allowed}, got {self.size}")
        check_at_least("m", self.m, FACTORS)
        check_at_least("max_lag", self.max_lag, 1)
        check_at_least("p", self.p, 1)
        for name in ("scale", "output_size", "tau", "rate"):
            check_above(name, getattr(self, name), 0)
        for name in ("prior", "slow"):
            check_at_least(name, getattr(self, name), 0)
        if not isinstance(self.folder, str):
            raise TypeError(f"folder must be a string, got {self.folder!r}")

    def inert(self) -> dict[str, str]:
        """As `Settings.inert`."""
        held, why = super().inert(), f"with objective {self.objective!r}"
        of_vae = ("prior", "slow", "rate")
        of_pairs = ("output", "output_size", "p", "tau")
        other = of_pairs if self.objective == "slowvae" else of_vae
        held.update(dict.fromkeys(other, why))
        if self.output != "learnable_box":
            held["output_size"] = f"with output {self.output!r}"
        if self.folder:
            held["scale"] = "with sequences on disk"
        else:
            held["held_out"] = "without sequences on disk"
        return held

    def summary(self) -> str:
        """One line: masks, pairs and objective."""
        walk = f"masks {self.size} x {self.size}, Laplace({self.scale:g}) steps"
        source = f"sequences in {self.folder}" if self.folder else walk
        lag = f"lag 1 to {self.max_lag}" if self.max_lag > 1 else "lag 1"
        if self.objective == "slowvae":
            model = f"SlowVAE, {self.slow:g} x Laplace({1 / self.rate:.2g})"
        else:
            model = f"{self.output}, -|d|_{self.p:g} / {self.tau:g}"
        return f"{source}; {lag}; cnn -> {self.m}, {model}"


# Where a bound starts: far outside for the Laplace model, which finds axes by itself;
# within reach for the Normal one, to which only walls show them.
_WIDE: dict[str, Any] = dict(output="learnable_box", output_size=20.0)
_TIGHT: dict[str, Any] = dict(output="learnable_box", output_size=3.2)
ROWS: dict[str, dict[str, Any]] = {
    "laplace": {},
    "laplace-box": _WIDE,
    "normal": dict(p=2.0),
    "normal-box": dict(p=2.0, **_TIGHT),
    "slowvae": dict(objective="slowvae"),
}
_QUICK = KittiMasks(
    size=16,
    m=FACTORS,
    learning_rate=2e-3,
    warmup=50,
    batch=64,
    steps=400,
    chunk=20,
)


def as_published(config: KittiMasks) -> KittiMasks:
    """The same row with the published optimiser, batch and steps."""
    return replace(
        config,
        output_size=1.0,
        learning_rate=1e-4,
        schedule="constant",
        warmup=0,
        steps=300_000,
        chunk=250,
        eval_batches=10,
    )


def presets() -> dict[str, KittiMasks]:
    """All presets by name."""
    named = {f"quick/{k}": _QUICK.changed(**own) for k, own in ROWS.items()}
    # Walls turn the outputs slowly: after 400 steps two seeds of five had found axes.
    named["quick/normal-box"] = replace(named["quick/normal-box"], steps=1200)
    rows = {
        f"{name}-lag{lag}": KittiMasks().changed(max_lag=lag, **own)
        for name, own in ROWS.items()
        for lag in LAGS
    }
    named |= {f"full/{name}": config for name, config in rows.items()}
    return named | {f"published/{k}": as_published(c) for k, c in rows.items()}


# Meanings of scores of its own.
LEGEND = {
    "mcc_seen": "mean |rank correlation| on sequences that were trained on",
    "rows_of_set": "sequences of the set on disk",
}
