"""Content from pictures with a causal graph: settings and presets. Imports no JAX.

Pictures of the scene `figures`, whose latents follow the graph of Causal3DIdent; two
views of each, by augmentation or by redrawing some of its factors and rendering again.

- `full/NAME`: the twelve rows of the published table at 64 x 64, ResNet-18;
- `published/NAME`: their resolution, steps and optimiser as well;
- `quick/...`: 32 x 32 with the small CNN.

Source: von Kuegelgen et al. 2021, section 5.2 and its table of SimCLR results.
"""

import dataclasses
from dataclasses import replace
from typing import Any, ClassVar

from jidcl.checks import check_above, check_at_least, check_choice
from jidcl.systems.shared.settings import Optimisation, Pictures, Scoring

# What is done to a picture, or which factors are redrawn.
AUGMENTED = {
    "colour": ("colour",),
    "crop-large": ("crop_large",),
    "crop-small": ("crop_small",),
    "crop-large-colour": ("crop_large", "colour"),
    "crop-small-colour": ("crop_small", "colour"),
    "rotation": ("turn",),
    "rotation-colour": ("turn", "colour"),
}
TRANSFORMED = {
    "lt-hues": ("hues",),
    "lt-positions": ("positions",),
    "lt-positions-hues": ("positions", "hues"),
    "lt-rotations": ("rotations",),
    "lt-rotations-hues": ("rotations", "hues"),
}


@dataclasses.dataclass(frozen=True)
class Causal3D(Optimisation, Scoring, Pictures):
    """Every setting of a run; any field can be overridden.

    Attributes:
        views: how a picture's second view comes about: one of the names of `AUGMENTED`
            or `TRANSFORMED`.
        m: width of the representation.
        tau: temperature of NT-Xent.
        fit_rows: pictures that the read-outs are fitted on.
    """

    mixings: ClassVar[tuple[str, ...]] = ("figures",)
    layout: ClassVar[str] = "causal3dident"

    mixing: str = "figures"
    optimiser: str = "adam"
    learning_rate: float = 1e-3
    warmup: int = 50
    batch: int = 256
    steps: int = 20_000
    eval_batch: int = 1024
    eval_batches: int = 4
    views: str = "lt-hues"
    m: int = 9
    tau: float = 1.0
    fit_rows: int = 2048

    def check(self) -> None:
        """As `Settings.check`."""
        super().check()
        check_choice("views", self.views, (*AUGMENTED, *TRANSFORMED))
        check_above("tau", self.tau, 0)
        check_at_least("m", self.m, 1)
        check_at_least("fit_rows", self.fit_rows, 16)
        if self.factors:
            raise ValueError(
                "factors must be empty: the graph draws all of them, got "
                f"{list(self.factors)}"
            )

    def summary(self) -> str:
        """One line: scene, views, encoder and objective."""
        size = f"{self.size} x {self.size}"
        return (
            f"{self.source()} {size}; views {self.views}; {self.encoder} -> {self.m}, "
            f"NT-Xent / {self.tau:g}"
        )


# Five minutes for both, one seed each, on two CPU cores. Scores are R2, percent.
QUICK = (
    "lt-positions",  # the ground's hue 99.4, the spotlight's angle 4.5
    "lt-hues",  # the ground's hue -0.2, the object's position 77.8
)
_QUICK: dict[str, Any] = dict(
    size=32, encoder="cnn", batch=128, steps=400, chunk=20, fit_rows=1024
)


def as_published(config: Causal3D) -> Causal3D:
    """The same row with the published resolution, optimiser, batch and steps."""
    return replace(
        config,
        size=224,
        learning_rate=1e-4,
        schedule="constant",
        warmup=0,
        batch=512,
        steps=20_000,
        fit_rows=10_240,
        eval_batch=2048,
        eval_batches=10,
    )


def presets() -> dict[str, Causal3D]:
    """All presets by name."""
    rows = {name: Causal3D(views=name) for name in (*AUGMENTED, *TRANSFORMED)}
    named = {f"quick/{name}": replace(rows[name], **_QUICK) for name in QUICK}
    named |= {f"full/{name}": config for name, config in rows.items()}
    return named | {f"published/{k}": as_published(c) for k, c in rows.items()}


# Meanings of scores of its own.
LEGEND = {"rows_of_set": "pictures of the set on disk"}
