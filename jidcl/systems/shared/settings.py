"""Settings that systems are composed of. Imports no JAX.

A system's settings inherit the parts that act on its runs, and no others: a scene has
no hidden layers of a drawn mixing to set. `Settings` refuses a value that cannot act.
"""

import dataclasses
from typing import Any, ClassVar, Self

from jidcl.checks import (
    check_above,
    check_at_least,
    check_choice,
    check_unit_interval,
    is_traced,
)

VERSION = 1
MIXINGS = ("invertible_mlp", "linear", "orthogonal", "identity")
SCENES = ("ident3d", "figures", "sprites", "triangles", "shapes3d", "masks")
WITH_LEVELS = ("ident3d", "figures")  # and with hue conversions
IMAGE_ENCODERS = ("cnn", "resnet18", "resnet50")
PRECISIONS = ("float32", "fast", "bfloat16")  # of jidcl.numerics.products_in
INITS = ("looks_linear", "he_normal", "fan_in_uniform", "xavier_uniform")
OPTIMISERS = ("adam", "adamw", "muon")
SCHEDULES = ("constant", "cosine", "half_constant_cosine", "inverse_sqrt")


@dataclasses.dataclass(frozen=True)
class Settings:
    """What every system's settings are: values checked, none without an effect.

    Attributes:
        version: version of this schema; a run of another version is refused.

    Raises:
        ValueError: on a value out of range, or one that cannot act on the run.
    """

    version: int = VERSION

    def __post_init__(self):
        self.check()
        own = {field.name: field.default for field in dataclasses.fields(self)}
        for name, why in self.inert().items():
            value = getattr(self, name)
            plain = value == own[name] if not is_traced(value) else True
            off = not plain and not value and not isinstance(value, bool)
            if not (plain or off):
                raise ValueError(
                    f"{name} cannot act here, {why}: leave it at {own[name]!r}, got "
                    f"{value!r}"
                )

    def check(self) -> None:
        """Refuse values out of range; a part checks its own after `super().check()`.

        Raises:
            ValueError: naming the setting, its value and what is allowed.
        """
        if self.version != VERSION:
            raise ValueError(
                f"version must be {VERSION} (the schema of this release), got "
                f"{self.version}: the preset was written by another version"
            )

    def inert(self) -> dict[str, str]:
        """Settings that cannot act on this run, and why.

        They stay at their default, or off: 0, empty or none.
        """
        return {}

    def changed(self, **values: Any) -> Self:
        """The same with other values; what then cannot act goes back to its default.

        Args:
            values: settings by name.

        Returns:
            New settings, checked.
        """
        held = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
        unchecked = object.__new__(type(self))
        for name, value in {**held, **values}.items():
            object.__setattr__(unchecked, name, value)
        own = {field.name: field.default for field in dataclasses.fields(self)}
        reset = {k: own[k] for k in unchecked.inert() if k not in values}
        return type(self)(**{**held, **values, **reset})

    def phases(self) -> list[tuple[Any, int]]:
        """How it is trained: (settings, update up to which they hold); never, here."""
        return []

    def summary(self) -> str:
        """One line for lists of presets."""
        return ""


@dataclasses.dataclass(frozen=True)
class Optimisation(Settings):
    """How a run is trained.

    Attributes:
        optimiser: adam, adamw or muon.
        learning_rate: peak learning rate.
        schedule: constant, cosine, half_constant_cosine or inverse_sqrt.
        warmup: steps of linear growth.
        muon_steps: Newton-Schulz iterations of muon.
        weight_decay: decoupled weight decay of adamw.
        precision: of the matrix products of a training step: float32; fast: the
            platform's own for float32 numbers, TF32 on NVIDIA, bfloat16 on TPU; or
            bfloat16: of numbers rounded to it, summed in float32, on any accelerator.
        batch: samples or pairs per step.
        steps: updates.
        late_share: share of the steps, the last ones, made with another batch.
        late_batch: that batch.
        chunk: updates per dispatch.
    """

    optimiser: str = "muon"
    learning_rate: float = 1e-2
    schedule: str = "cosine"
    warmup: int = 100
    muon_steps: int = 5
    weight_decay: float = 0.0
    precision: str = "float32"
    batch: int = 1024
    steps: int = 3000
    late_share: float = 0.0
    late_batch: int = 6144
    chunk: int = 50

    def check(self) -> None:
        """As `Settings.check`."""
        super().check()
        check_choice("precision", self.precision, PRECISIONS)
        check_choice("optimiser", self.optimiser, OPTIMISERS)
        check_choice("schedule", self.schedule, SCHEDULES)
        check_above("learning_rate", self.learning_rate, 0)
        for name in ("batch", "late_batch"):
            check_at_least(name, getattr(self, name), 2)
        for name in ("steps", "chunk", "muon_steps"):
            check_at_least(name, getattr(self, name), 1)
        if self.steps >= 2**31:
            raise ValueError(f"steps must be < 2^31, got {self.steps}")
        check_at_least("warmup", self.warmup, 0)
        check_at_least("weight_decay", self.weight_decay, 0)
        check_unit_interval("late_share", self.late_share)

    def inert(self) -> dict[str, str]:
        """As `Settings.inert`."""
        held = super().inert()
        if self.optimiser != "muon":
            held["muon_steps"] = f"with optimiser {self.optimiser!r}"
        if self.optimiser != "adamw":
            held["weight_decay"] = f"with optimiser {self.optimiser!r}"
        if self.schedule not in ("cosine", "inverse_sqrt"):
            held["warmup"] = f"with schedule {self.schedule!r}"
        if not self.late_share:
            held["late_batch"] = "with late_share 0"
        return held

    def phases(self) -> list[tuple[Any, int]]:
        """How it is trained: (settings, update up to which they hold)."""
        late = dataclasses.replace(self, batch=self.late_batch)
        begin = self.steps - round(self.late_share * self.steps)
        parts = [(self, begin)] if begin else []
        return parts + ([(late, self.steps)] if begin < self.steps else [])


@dataclasses.dataclass(frozen=True)
class Scoring(Settings):
    """How a run is scored.

    Attributes:
        eval_batch: samples of one evaluation batch (the claim's batch).
        eval_batches: evaluation batches, scored one by one and averaged.
    """

    eval_batch: int = 6144
    eval_batches: int = 10

    def check(self) -> None:
        """As `Settings.check`."""
        super().check()
        # Two evaluation batches make a standard error.
        for name in ("eval_batch", "eval_batches"):
            check_at_least(name, getattr(self, name), 2)


@dataclasses.dataclass(frozen=True)
class DrawnMixing(Settings):
    """Observations x = g(z) of a mixing that is drawn at random, or learned.

    Attributes:
        mixing: invertible_mlp, linear, orthogonal, identity; mnist where a system has
            it (the decoder of a small VAE).
        mixing_layers: linear layers of the mixing.
        mixing_draws: matrices tried for each layer; the best conditioned is kept. A
            mixing that is learned makes so many updates.
    """

    mixings: ClassVar[tuple[str, ...]] = MIXINGS  # a system may have others

    mixing: str = "invertible_mlp"
    mixing_layers: int = 3
    mixing_draws: int = 25_000

    def check(self) -> None:
        """As `Settings.check`."""
        super().check()
        check_choice("mixing", self.mixing, self.mixings)
        for name in ("mixing_layers", "mixing_draws"):
            check_at_least(name, getattr(self, name), 1)

    def inert(self) -> dict[str, str]:
        """As `Settings.inert`."""
        held, why = super().inert(), f"with mixing {self.mixing!r}"
        if self.mixing in ("linear", "orthogonal", "identity"):
            held["mixing_layers"] = why
        if self.mixing in ("orthogonal", "identity"):
            held["mixing_draws"] = why
        return held


@dataclasses.dataclass(frozen=True)
class Network(Settings):
    """The encoder f of vectors, an MLP.

    Attributes:
        widths: hidden widths of the encoder in units of its input size.
        slope: negative slope of the encoder's leaky ReLU.
        init: looks_linear, he_normal, fan_in_uniform (the published one of most
            papers) or xavier_uniform.
    """

    widths: tuple[int, ...] = (10, 50, 50, 50, 50, 10)
    slope: float = 0.01
    init: str = "looks_linear"

    def check(self) -> None:
        """As `Settings.check`."""
        super().check()
        check_choice("init", self.init, INITS)


@dataclasses.dataclass(frozen=True)
class Pictures(Settings):
    """Observations that are pictures, x = render(z), and the encoder that reads them.

    Latents are the factors of the scene and must lie in [-1, 1].

    Attributes:
        mixing: a scene of `jidcl.mixing.scenes`.
        folder: pictures on disk (`jidcl.data.picture_set`) that stand in for the
            scene's: a latent vector shows as the picture with the nearest latents.
            Empty: the scene is rendered.
        factors: the factors that z sets, the others stay at 0; empty: all of them.
        size: rows and columns of a picture.
        level: fast, or reference (ident3d and figures only).
        hue: circle, or published (ident3d and figures only).
        encoder: cnn, resnet18 or resnet50.
        hidden: width of a residual network's layer before its last.
        bfloat16: the encoder's convolutions compute in bfloat16.
    """

    mixings: ClassVar[tuple[str, ...]] = SCENES
    encoders: ClassVar[tuple[str, ...]] = IMAGE_ENCODERS  # a system may have others
    layout: ClassVar[str] = ""  # of a folder, in jidcl.data.picture_set; none is read

    mixing: str = "ident3d"
    folder: str = ""
    factors: tuple[str, ...] = ()
    size: int = 64
    level: str = "fast"
    hue: str = "circle"
    encoder: str = "resnet18"
    hidden: int = 100
    bfloat16: bool = False

    def read_from(self, folder: str) -> Any:
        """The same row on pictures on disk, as published."""
        return dataclasses.replace(self, folder=folder)

    def source(self) -> str:
        """Where pictures come from: the scene, or a folder."""
        return f"pictures in {self.folder}" if self.folder else self.mixing

    def check(self) -> None:
        """As `Settings.check`."""
        super().check()
        check_choice("mixing", self.mixing, self.mixings)
        check_choice("encoder", self.encoder, self.encoders)
        check_at_least("size", self.size, 8)
        check_at_least("hidden", self.hidden, 0)
        check_choice("level", self.level, ("fast", "reference"))
        check_choice("hue", self.hue, ("circle", "published"))
        plain = (self.level, self.hue) == ("fast", "circle")
        if not plain and self.mixing not in WITH_LEVELS:
            raise ValueError(
                f"level {self.level!r} and hue {self.hue!r} need mixing 'ident3d' or "
                f"'figures', got {self.mixing!r}"
            )
        if self.encoder == "cnn" and self.size not in (8, 16, 32, 64):
            raise ValueError(
                f"size must be 8, 16, 32 or 64 for encoder 'cnn', got {self.size}"
            )
        if len(set(self.factors)) < len(self.factors):
            raise ValueError(f"factors must differ, got {list(self.factors)}")
        if not isinstance(self.folder, str):
            raise TypeError(f"folder must be a string, got {self.folder!r}")
        if self.folder and not self.layout:
            raise ValueError(f"folder must be empty for these runs, got {self.folder}")
        if self.folder and self.factors:
            raise ValueError(
                "factors must be empty with a folder, whose pictures show all of them "
                f"(--factors without a value), got {list(self.factors)}"
            )

    def inert(self) -> dict[str, str]:
        """As `Settings.inert`."""
        held, why = super().inert(), f"with encoder {self.encoder!r}"
        if self.encoder == "cnn":
            held["hidden"] = why
        if self.encoder == "mlp":
            held["bfloat16"] = why
        if self.folder:
            held.update(level="with pictures in a folder")
            held.update(hue="with pictures in a folder")
        return held
