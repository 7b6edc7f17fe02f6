"""Settings of AnInfoNCE and its presets. Imports no JAX.

- `quick/...`: small latents, minutes on two CPU cores (`jidcl verify`);
- `full/linear`, `full/bimodal`, `full/isotropic`, `full/infonce`: published data and
  encoder, our loss, optimiser, batch and steps: `linear` reaches R2 99.95 and MCC 98.56
  in 21 minutes on two CPU cores;
- `published/...`: their loss, optimiser, batch and steps as well;
- `study/...`: one assumption broken at a time, at four latents: half a minute of
  training for two seeds on two CPU cores;
- `mnist/...`: g is a decoder trained on MNIST (found through JIDCL_DATA): `linear`
  reaches MCC 99.7 in ten minutes on two CPU cores.

Source: Rusak, Reizinger, Juhos, Bringmann, Zimmermann, Brendel 2024, *InfoNCE:
Identifying the Gap Between Theory and Practice*.
"""

import dataclasses
import math
from dataclasses import replace
from typing import ClassVar

from jidcl.checks import (
    check_above,
    check_at_least,
    check_choice,
    check_unit_interval,
)
from jidcl.systems.shared.settings import (
    MIXINGS,
    DrawnMixing,
    Network,
    Optimisation,
    Scoring,
)

LAMS = ("linear", "bimodal", "isotropic", "custom")
OBJECTIVES = ("contrastive", "supervised")
LAM_MODELS = ("diagonal", "scalar", "fixed", "truth")
LEARNED = LAM_MODELS[:2]
PAIRS = ("rejection", "projected", "laplace", "vmf")
MARGINALS = ("uniform", "normal", "lam")


@dataclasses.dataclass(frozen=True)
class Anisotropic(Optimisation, Scoring, DrawnMixing, Network):
    """Every setting of an AnInfoNCE run; any field can be overridden.

    The mixing `mnist` is the decoder of a variational autoencoder that is trained on
    MNIST, for `mixing_draws` updates, before the run: `mixing_layers` layers, 25 n
    wide, to 784 pixels; it sees the latents times sqrt(n).

    Attributes:
        n: latent dimension of the sphere.
        m: outputs of the encoder; 0 for n.
        lam: true precisions: linear (5 to 25), bimodal (25, then 5), isotropic (10),
            or custom.
        lam_values: the custom ones, n for each pair distribution, one after another:
            K n values make an ensemble of K.
        pair: rejection (the model's law), or a mismatch: projected (no rejection),
            laplace (Laplace steps of the same variance, rejection), vmf.
        shell: half width of the shell of the rejection.
        kappa: concentration of vmf pairs.
        marginal: uniform; normal: a projected normal around e_1; lam: the direction of
            a normal vector of precisions lam.
        marginal_param: scale of the normal marginal, small is concentrated.
        objective: contrastive, or supervised (mean squared error to z): the ceiling.
        lam_model: Lambda of the loss: diagonal (learned), scalar (one learned number),
            fixed (all `lam_start`: InfoNCE at temperature 1 / lam_start), or truth
            (fixed at the true values).
        lam_start: where a learned Lambda starts; its softplus arguments get a noise of
            standard deviation 0.1 on top.
        lam_rate: Adam's learning rate for them, on the network's schedule.
        cross: symmetric, or reference (the published code).
        beta: concentration on hard negatives.
        tau_plus: assumed share of positives among the negatives.
        head: hidden widths, in units of n, of a projection head that the loss sees and
            the scores do not; none when empty.
    """

    mixings: ClassVar[tuple[str, ...]] = (*MIXINGS, "mnist")

    n: int = 10
    m: int = 0
    lam: str = "linear"
    lam_values: tuple[float, ...] = ()
    pair: str = "rejection"
    shell: float = 0.1
    kappa: float = 10.0
    marginal: str = "uniform"
    marginal_param: float = 1.0
    objective: str = "contrastive"
    lam_model: str = "diagonal"
    lam_start: float = math.log(2)
    lam_rate: float = 3e-2
    cross: str = "symmetric"
    beta: float = 0.0
    tau_plus: float = 0.0
    head: tuple[int, ...] = ()

    def check(self) -> None:
        """As `Settings.check`."""
        super().check()
        check_at_least("n of a sphere", self.n, 2)
        if self.m:
            check_at_least("m (0 for n outputs)", self.m, 2)
        check_choice("lam", self.lam, LAMS)
        check_choice("pair", self.pair, PAIRS)
        check_choice("marginal", self.marginal, MARGINALS)
        check_choice("objective", self.objective, OBJECTIVES)
        check_choice("lam_model", self.lam_model, LAM_MODELS)
        check_choice("cross", self.cross, ("symmetric", "reference"))
        for name in ("shell", "marginal_param", "lam_start", "lam_rate"):
            check_above(name, getattr(self, name), 0)
        for name in ("kappa", "beta"):
            check_at_least(name, getattr(self, name), 0)
        check_unit_interval("tau_plus", self.tau_plus)
        count = len(self.lam_values)
        if (self.lam == "custom") != bool(count) or count % self.n:
            raise ValueError(
                f"lam_values must hold a multiple of n={self.n} values with "
                f"lam='custom', and none otherwise, got {count} with lam={self.lam!r}"
            )
        for value in self.lam_values:
            check_above("lam_values", value, 0)
        if self.lam_model == "truth" and self.outputs != self.n:
            raise ValueError(f"lam_model 'truth' needs m = n, got m={self.m}")
        if self.objective == "supervised" and (self.outputs != self.n or self.head):
            raise ValueError(
                "objective 'supervised' needs m = n and no head, got "
                f"m={self.outputs} and head={self.head}"
            )

    def inert(self) -> dict[str, str]:
        """As `Settings.inert`."""
        held, pair = super().inert(), f"with pair {self.pair!r}"
        if self.pair in ("projected", "vmf"):
            held["shell"] = pair
        if self.pair != "vmf":
            held["kappa"] = pair
        if self.marginal != "normal":
            held["marginal_param"] = f"with marginal {self.marginal!r}"
        if self.lam_model not in LEARNED:
            held["lam_rate"] = f"with lam_model {self.lam_model!r}"
        if self.lam_model == "truth":
            held["lam_start"] = "with lam_model 'truth'"
        if self.objective == "supervised":
            names = ("pair", "shell", "kappa", "lam_model", "lam_start", "lam_rate")
            names += ("cross", "beta", "tau_plus")
            held.update(dict.fromkeys(names, "with objective 'supervised'"))
        return held

    @property
    def outputs(self) -> int:
        """Width of the encoder's output."""
        return self.m or self.n

    @property
    def lams(self) -> tuple[tuple[float, ...], ...]:
        """True precisions of each pair distribution, K times n."""
        n, half = self.n, self.n // 2
        match self.lam:
            case "linear":
                return (tuple(5 + 20 * i / (n - 1) for i in range(n)),)
            case "bimodal":
                return ((25.0,) * half + (5.0,) * (n - half),)
            case "isotropic":
                return ((10.0,) * n,)
        values = self.lam_values
        return tuple(values[i : i + n] for i in range(0, len(values), n))

    def summary(self) -> str:
        """One line: latents, pairs, output and objective."""
        lam = self.lam if self.lam != "custom" else f"{len(self.lams)} x custom"
        marginal = "" if self.marginal == "uniform" else f", marginal {self.marginal}"
        model = self.lam_model
        model += f" {self.lam_start:g}" if model == "fixed" else ""
        hard = f", beta {self.beta:g}, tau+ {self.tau_plus:g}"
        head = f"sphere n={self.n}{marginal}; pairs {self.pair}, lam {lam}"
        head += ", images" if self.mixing == "mnist" else ""
        if self.objective == "supervised":
            return f"{head} -> sphere m={self.outputs}, supervised"
        return f"{head} -> sphere m={self.outputs}, lam {model}, {self.cross}" + (
            hard if self.beta or self.tau_plus else ""
        )


_FULL = Anisotropic(
    batch=1000,
    eval_batch=1000,
    steps=1500,
    learning_rate=2e-2,
    warmup=200,
    muon_steps=3,
    lam_start=3.0,
    lam_rate=0.3,
)
# The axes turn last: after 1,500 steps R2 is above 99.8 and MCC near 91.
_LONG = replace(_FULL, steps=4000, precision="fast")
FULL = {
    "linear": _LONG,
    "bimodal": replace(_LONG, lam="bimodal"),
    "isotropic": replace(_LONG, lam="isotropic"),
    "infonce": _LONG.changed(lam_model="fixed", lam_start=1.0),
    "supervised": _LONG.changed(objective="supervised"),
}

_QUICK = replace(
    _FULL,
    n=4,
    widths=(10, 25, 25, 10),
    batch=256,
    steps=800,
    chunk=40,
    eval_batch=1024,
    eval_batches=4,
    mixing_draws=5000,
)
_PARTITIONS = (25.0, 25.0, 5.0, 5.0, 25.0, 5.0, 25.0, 5.0)
QUICK = {
    # Expected: mean and standard deviation over five seeds, percent.
    # Each precision is twice the last. With 5 to 25 at equal distances the two largest
    # differ by a third: after 1,200 steps three of five seeds still turned these two
    # axes, at MCC 86 to 95, for less than 0.02 nats.
    "distinct": replace(_QUICK, lam="custom", lam_values=(3.0, 6.0, 12.0, 24.0)),
    # R2 98.2 +- 0.1, MCC 76.5 +- 6.3: no permutation.
    "infonce": _QUICK.changed(lam_model="fixed", lam_start=1.0),
    "supervised": _QUICK.changed(objective="supervised"),
    # MCC 82.9 +- 6.7, block_r2 99.7 +- 0.1: a rotation within each block remains.
    "bimodal": replace(_QUICK, n=6, lam="bimodal"),
    # MCC 99.96 +- 0.00.
    "ensemble": replace(_QUICK, lam="custom", lam_values=_PARTITIONS),
}


def geometric(ratio: float, n: int = 4) -> tuple[float, ...]:
    """n precisions of geometric mean sqrt(5 * 25), the largest ratio times the least.

    Example:
        >>> [round(v, 2) for v in geometric(25.0, 3)]
        [2.24, 11.18, 55.9]
    """
    steps = (i / (n - 1) - 0.5 for i in range(n))
    return tuple(math.sqrt(125) * ratio**step for step in steps)


def study() -> dict[str, Anisotropic]:
    """One broken assumption each, beside `quick/distinct` (row `matched`)."""
    rows = {
        "matched": {},
        "infonce": dict(lam_model="fixed", lam_start=1.0),
        "scalar": dict(lam_model="scalar"),
        "truth": dict(lam_model="truth"),
        "projected": dict(pair="projected"),
        "laplace": dict(pair="laplace"),
        "vmf": dict(pair="vmf"),
        "marginal-normal": dict(marginal="normal", marginal_param=0.5),
        "marginal-lam": dict(marginal="lam"),
        "exact-content": dict(lam="custom", lam_values=(5.0, 10.0, 20.0, 1e4)),
        "ensemble": dict(lam="custom", lam_values=_PARTITIONS),
        "head": dict(head=(10, 10)),
    }
    for ratio in (1, 5, 25, 100, 400):
        values = geometric(float(ratio))
        rows[f"ratio-{ratio}"] = dict(lam="custom", lam_values=values)
    rows |= {f"batch-{batch}": dict(batch=batch) for batch in (16, 64, 1000, 4000)}
    rows |= {f"outputs-{m}": dict(m=m) for m in (2, 6, 8)}
    for beta in (0.0, 0.25, 0.5, 1.0, 2.0):
        for tau_plus in (0.0, 0.1):
            if not (beta or tau_plus):  # rows `matched` and `truth`
                continue
            hard = dict(beta=beta, tau_plus=tau_plus)
            rows[f"hard-{beta:g}-{tau_plus:g}"] = hard
            rows[f"hard-{beta:g}-{tau_plus:g}-truth"] = hard | dict(lam_model="truth")
    return {name: _QUICK.changed(**changes) for name, changes in rows.items()}


def learned() -> dict[str, Anisotropic]:
    """AnInfoNCE, InfoNCE and the supervised ceiling on images of a learned decoder."""
    images = dict(mixing="mnist", mixing_draws=3000, widths=(25, 25, 25))
    base = replace(_QUICK, **images, eval_batch=4096, eval_batches=2)
    rows = {
        "linear": {},
        "infonce": dict(lam_model="fixed", lam_start=1.0),
        "supervised": dict(objective="supervised"),
    }
    return {
        f"{name}{tail}": base.changed(**size, **change)
        for tail, size in (("", {}), ("-10", dict(n=10, batch=1000, steps=1500)))
        for name, change in rows.items()
    }


def as_published(config: Anisotropic) -> Anisotropic:
    """The same data with the published loss, optimiser, batch and steps."""
    published = config.changed(
        init="fan_in_uniform",
        optimiser="adam",
        learning_rate=1e-4,
        schedule="constant",
        warmup=0,
        batch=1000,
        steps=300_003,
        precision="float32",
        chunk=250,
    )
    if config.objective == "supervised":
        return published
    published = replace(published, cross="reference")
    if config.lam_model not in LEARNED:
        return published
    return replace(published, lam_start=math.log(2), lam_rate=1e-3)


def presets() -> dict[str, Anisotropic]:
    """All presets by name."""
    named = {f"quick/{name}": config for name, config in QUICK.items()}
    named |= {f"full/{name}": config for name, config in FULL.items()}
    named |= {f"published/{name}": as_published(c) for name, c in FULL.items()}
    named |= {f"study/{name}": config for name, config in study().items()}
    return named | {f"mnist/{name}": config for name, config in learned().items()}


# Meanings of scores that no other system has.
LEGEND = {
    "lam_aligned": "learned Lambda, of the output assigned to each latent",
    "block_r2": "R2 of a block of equal Lambda from its outputs",
    "head_r2": "R2 behind the projection head",
    "head_mcc": "MCC behind the projection head",
    "lam_error": "mean |learned / true - 1| of Lambda, outputs assigned to latents",
    "lam_error_sorted": "the same with both in order",
    "lam_pearson": "correlation of learned and true Lambda",
    "decoder_loss": "mean -ELBO of the VAE whose decoder is g, nats an image",
}
