"""Settings of contrastive ICA and the presets of its tables. Imports no JAX.

A preset is one frozen dataclass; `presets()` names them all:

- `quick/...`: small latents, minutes on two CPU cores (`jidcl verify`);
- `full/t1r3`, `full/t2r6`, ...: published data, loss and encoder of a row of Table 1
  or 2, our optimiser, batch and steps;
- `published/t1r3`, ...: their optimiser, batch and steps as well;
- `.../...-supervised`: the supervised column (one per data, encoder and output);
- `identity/...`, `theorem1/...`: what trains nothing: the identity column, Theorem 1
  by simulation.

Source: Zimmermann, Sharma, Schneider, Bethge, Brendel 2021, *Contrastive Learning
Inverts the Data Generating Process*, Tables 1 and 2.
"""

import dataclasses
from dataclasses import replace
from typing import Any

from jidcl.checks import (
    check_above,
    check_at_least,
    check_choice,
    check_ordered,
    check_unit_interval,
)
from jidcl.systems.shared.settings import (
    DrawnMixing,
    Network,
    Optimisation,
    Scoring,
    Settings,
)

SPACES = ("sphere", "box", "real", "ball", "simplex")
OBJECTIVES = ("contrastive", "supervised", "marginal_only", "identity")


@dataclasses.dataclass(frozen=True)
class ContrastivePairs(Settings):
    """Latents, pairs and objective of contrastive ICA.

    Attributes:
        space: latent space: sphere, box, real, ball or simplex.
        n: latent dimension.
        low: lower bound of the box.
        high: upper bound of the box.
        marginal: density of the anchors: uniform, laplace, normal, gennorm.
        marginal_param: its scale.
        conditional: density of the positives: vmf, laplace, normal, gennorm.
        conditional_param: its scale, or kappa for vmf.
        gennorm_p: exponent of gennorm (marginal and conditional).
        output: output space of the encoder: none, sphere, learnable_sphere, box,
            learnable_box.
        output_size: where a learnable radius or bound starts (published: 1).
        objective: contrastive, supervised (mean squared error to z), marginal_only
            (the denominator alone: no pairs), or identity (nothing is trained: the
            observations themselves are scored).
        similarity: dot, cosine or lp.
        p: exponent of lp.
        power: lp without the root.
        tau: temperature.
        include_positive: the positive is an entry of the denominator.
        exclude_self: leave the anchor out of its own negatives.
        compare: negatives are compared with the anchor or the positive.
        log_mean: log-mean-exp instead of log-sum-exp.
        alpha: weight of the positive term, 0.5 for InfoNCE.
        symmetric: both directions.
        early_share: share of the steps, the first ones, made at another temperature.
        early_tau: that temperature.
    """

    space: str = "box"
    n: int = 10
    low: float = 0.0
    high: float = 1.0
    marginal: str = "uniform"
    marginal_param: float = 1.0
    conditional: str = "normal"
    conditional_param: float = 0.05
    gennorm_p: float = 3.0
    output: str = "none"
    output_size: float = 1.0
    objective: str = "contrastive"
    similarity: str = "lp"
    p: float = 2.0
    power: bool = True
    tau: float = 1.0
    include_positive: bool = True
    exclude_self: bool = False
    compare: str = "anchor"
    log_mean: bool = False
    alpha: float = 0.5
    symmetric: bool = False
    early_share: float = 0.0
    early_tau: float = 0.1

    def check(self) -> None:
        """As `Settings.check`."""
        super().check()
        check_choice("space", self.space, SPACES)
        check_choice("objective", self.objective, OBJECTIVES)
        check_choice("marginal", self.marginal, _MARGINALS)
        check_choice("conditional", self.conditional, ("vmf", *_MARGINALS[1:]))
        check_choice("similarity", self.similarity, ("dot", "cosine", "lp"))
        check_choice("compare", self.compare, ("anchor", "positive"))
        check_choice("output", self.output, _OUTPUTS)
        check_at_least("n" if self.space != "sphere" else "n of a sphere", self.n, 1)
        if self.space == "sphere":
            check_at_least("n of a sphere", self.n, 2)
        check_ordered("low", self.low, "high", self.high)
        vmf = self.conditional == "vmf"
        if vmf and self.space != "sphere":
            raise ValueError(
                f"conditional vmf needs space 'sphere', got {self.space!r}"
            )
        for name in ("p", "gennorm_p"):
            check_at_least(name, getattr(self, name), 1)
        for name in ("tau", "early_tau", "marginal_param", "output_size"):
            check_above(name, getattr(self, name), 0)
        if vmf:
            check_at_least("kappa (conditional_param)", self.conditional_param, 0)
        else:
            check_above("scale (conditional_param)", self.conditional_param, 0)
        check_unit_interval("early_share", self.early_share)

    def inert(self) -> dict[str, str]:
        """As `Settings.inert`."""
        held = super().inert()

        def without(needed: bool, why: str, *names: str) -> None:
            held.update(dict.fromkeys(names, why) if not needed else {})

        laws = (self.marginal, self.conditional)
        sized = ("learnable_sphere", "box", "learnable_box")
        without(self.space == "box", f"on space {self.space!r}", "low", "high")
        without("gennorm" in laws, "without a law gennorm", "gennorm_p")
        without(self.similarity == "lp", "without similarity 'lp'", "p", "power")
        without(self.output in sized, f"with output {self.output!r}", "output_size")
        without(bool(self.early_share), "with early_share 0", "early_tau")
        why = "with marginal 'uniform'"
        without(self.marginal != "uniform", why, "marginal_param")
        if self.objective == "identity":
            names = {field.name for field in dataclasses.fields(self)}
            of_data = ("space", "n", "low", "high", "marginal", "marginal_param")
            of_data += ("gennorm_p", "version", "objective", "eval_batch")
            of_data += ("eval_batches", "mixing", "mixing_layers", "mixing_draws")
            without(False, "with objective 'identity'", *(names - {*of_data}))
        if self.objective == "supervised":
            of_pairs = ("similarity", "p", "power", "tau", "include_positive")
            of_pairs += ("exclude_self", "compare", "log_mean", "alpha", "symmetric")
            of_pairs += ("conditional", "conditional_param", "early_share", "early_tau")
            without(False, "with objective 'supervised'", *of_pairs)
        return held

    def at_early_temperature(self, parts: list[tuple[Any, int]], steps: int):
        """Phases of which the first `early_share` of the steps is at `early_tau`."""
        end = round(self.early_share * steps)
        early = [(replace(self, tau=self.early_tau), end)] if end else []
        return early + [part for part in parts if part[1] > end]

    def summary(self) -> str:
        """One line: latents, pairs, output and objective."""
        z = f"{self.space} n={self.n}, {self.marginal}"
        z += "" if self.marginal == "uniform" else f"({self.marginal_param:g})"
        if self.objective == "identity":
            return f"{z}; scores of x itself, no training"
        if self.objective == "supervised":
            return f"{z} -> {self.output}, supervised"
        pair = f"{self.conditional}({self.conditional_param:g})"
        s = f"-|d|_{self.p:g}" if self.similarity == "lp" else self.similarity
        model = f"{s} / {self.tau:g}"
        return f"{z}; pairs {pair} -> {self.output}, {model}, {self.objective}"


@dataclasses.dataclass(frozen=True)
class Trained(ContrastivePairs, Optimisation, Scoring):
    """Contrastive pairs that an encoder is trained on, in two phases or three."""

    def check(self) -> None:
        """As `Settings.check`."""
        super().check()
        check_unit_interval(
            "early_share + late_share", self.early_share + self.late_share
        )

    def phases(self) -> list[tuple[Any, int]]:
        """How it is trained: (settings, update up to which they hold)."""
        if self.objective == "identity":
            return []
        return self.at_early_temperature(super().phases(), self.steps)


@dataclasses.dataclass(frozen=True)
class ContrastiveICA(Trained, DrawnMixing, Network):
    """Every setting of a contrastive ICA run; any field can be overridden."""


@dataclasses.dataclass(frozen=True)
class Theorem1(Settings):
    """The loss of the true encoder against the number of negatives: Theorem 1.

    Attributes:
        space: sphere, with conditional exp(kappa z . z_pos); or box, [0, 1]^n, with
            conditional exp(-(|z - z_pos| / lam)^beta).
        n: latent dimension.
        kappa: concentration, on the sphere.
        lam: length, in the box.
        beta: exponent, in the box.
        counts: numbers of negatives M.
    """

    space: str = "sphere"
    n: int = 3
    kappa: float = 10.0
    lam: float = 1.0
    beta: float = 2.0
    counts: tuple[int, ...] = (64, 256, 1024, 4096)

    def check(self) -> None:
        """As `Settings.check`."""
        super().check()
        check_choice("space", self.space, ("sphere", "box"))
        check_at_least("n", self.n, 2 if self.space == "sphere" else 1)
        for name in ("kappa", "lam", "beta"):
            check_above(name, getattr(self, name), 0)
        if not self.counts or min(self.counts) < 2:
            raise ValueError(f"counts must be numbers >= 2, got {list(self.counts)}")

    def inert(self) -> dict[str, str]:
        """As `Settings.inert`."""
        names = ("lam", "beta") if self.space == "sphere" else ("kappa",)
        return {**super().inert(), **dict.fromkeys(names, f"on space {self.space!r}")}

    def summary(self) -> str:
        """One line: the conditional."""
        if self.space == "sphere":
            return f"Theorem 1, sphere n={self.n}, vmf({self.kappa:g}); no training"
        law = f"exp(-(|d| / {self.lam:g})^{self.beta:g})"
        return f"Theorem 1, box n={self.n}, {law}; no training"


_MARGINALS = ("uniform", "laplace", "normal", "gennorm")
_OUTPUTS = ("none", "sphere", "learnable_sphere", "box", "learnable_box")

# Of the ways that experiments/time_to_score.py compares the best on both of its rows.
_FULL = ContrastiveICA(
    steps=2000, muon_steps=3, early_share=0.25, late_share=0.1, precision="fast"
)
_SPHERE = replace(_FULL, space="sphere", similarity="dot", output="sphere", steps=3000)
_BOX = _FULL
# Where a learnable bound b starts matters, and only as b^p / tau does: no early
# temperature, whose end would be a jump of the scale. From far outside the sigmoid is
# a line, and p = 1 and 3 find the axes by themselves. With p = 2 the walls must show
# them: a bound below the one it ends at (4 to 6) is filled, and grows with what is
# found.
_WIDE_BOX = dict(output="learnable_box", output_size=20.0, early_share=0.0)
# The late batch turns the axes that the walls had shown (MCC 99.7, then 99.4).
_TIGHT_BOX = dict(
    output="learnable_box", output_size=3.2, early_share=0.0, late_share=0.0
)
_REAL = replace(_FULL, space="real", conditional_param=1.0)
_GENNORM = dict(conditional="gennorm")
_LAPLACE = dict(conditional="laplace")
_NORMAL_MARGINAL = dict(marginal="normal", marginal_param=1.0)

TABLE1 = {
    # Pairs as weak as these are not found at a lower temperature than their own, nor in
    # small batches.
    "t1r1": replace(
        _SPHERE,
        conditional="vmf",
        conditional_param=1.0,
        early_share=0.0,
        late_share=0.0,
        batch=6144,
        steps=4000,
    ),
    "t1r2": replace(_SPHERE, conditional="vmf", conditional_param=10.0),
    "t1r3": replace(_SPHERE, **_LAPLACE),
    "t1r4": _SPHERE,
    "t1r5": _BOX,
    "t1r6": replace(_BOX, **_LAPLACE),
    "t1r7": replace(_BOX, **_LAPLACE, p=3.0),
    "t1r8": replace(_BOX, p=3.0),
    "t1r9": replace(_SPHERE, **_NORMAL_MARGINAL, **_LAPLACE),
    "t1r10": replace(_SPHERE, **_NORMAL_MARGINAL),
    "t1r11": replace(_REAL, marginal="laplace"),
    "t1r12": replace(_REAL, marginal="normal"),
}
TABLE2 = {
    "t2r1": replace(_BOX, **_LAPLACE, p=1.0, **_WIDE_BOX),
    "t2r2": replace(_BOX, **_GENNORM, p=3.0, **_WIDE_BOX),
    "t2r3": replace(_BOX, **_TIGHT_BOX),
    "t2r4": replace(_BOX, **_LAPLACE, **_TIGHT_BOX),
    # From a wide start p = 1 finds the axes of such pairs in two seeds of five only.
    # The bound starts near where it ends.
    "t2r5": replace(_BOX, **_GENNORM, p=1.0, **(_TIGHT_BOX | {"output_size": 4.2})),
    "t2r6": replace(_BOX, **_LAPLACE, p=1.0),
    "t2r7": replace(_BOX, **_GENNORM, p=3.0),
    "t2r8": TABLE1["t1r5"],
    "t2r9": TABLE1["t1r6"],
    "t2r10": TABLE1["t1r8"],
}
FIGURE2_SIGMAS = (10, 5, 3, 2, 1.5, 1, 0.7, 0.5, 0.3, 0.2, 0.1, 0.05, 0.02)
FIGURE2 = {
    f"f2s{sigma:g}": replace(_SPHERE, marginal="normal", marginal_param=float(sigma))
    for sigma in FIGURE2_SIGMAS
}

_QUICK = replace(
    ContrastiveICA(),
    widths=(20, 40, 40, 20),
    optimiser="adam",
    learning_rate=1e-3,
    warmup=50,
    batch=512,
    steps=400,
    chunk=20,
    eval_batch=2048,
    eval_batches=3,
    mixing_draws=5000,
)
_QUICK_SPHERE = replace(
    _QUICK, space="sphere", n=3, similarity="dot", output="sphere", conditional="vmf"
)
QUICK = {
    "sphere-vmf": replace(_QUICK_SPHERE, conditional_param=10.0, tau=0.1),
    "box-laplace": replace(
        _QUICK,
        n=2,
        **_LAPLACE,
        conditional_param=0.1,
        p=1.0,
        tau=0.1,
        output="learnable_box",
        steps=700,
    ),
    "real-normal": replace(
        _QUICK,
        space="real",
        n=4,
        marginal="normal",
        conditional_param=0.3,
        learning_rate=2e-3,
        steps=800,
    ),
    # From a linear start it would stay near-linear: the claim is about the objective.
    "marginal-only": replace(
        _QUICK_SPHERE,
        conditional_param=10.0,
        tau=0.1,
        objective="marginal_only",
        init="he_normal",
    ),
    **{
        f"uniformity-{sigma:g}": replace(
            _QUICK_SPHERE,
            marginal="normal",
            marginal_param=sigma,
            conditional="normal",
            conditional_param=0.2,
        )
        for sigma in (10.0, 1.0, 0.2)
    },
}


def supervised(config: ContrastiveICA) -> ContrastiveICA:
    """The supervised run that shares data, encoder and output with `config`.

    Pairs, similarity and policy do not matter to it, so that all rows of a block share
    one run.
    """
    return config.changed(
        objective="supervised",
        late_share=0.0,
        output_size=1.0,
        batch=min(config.batch, 1024),
        steps=min(config.steps, 3000),
    )


def identity(config: ContrastiveICA) -> ContrastiveICA:
    """The scores of the observations themselves, of the data of `config`."""
    return config.changed(objective="identity")


THEOREM1 = {
    "theorem1/thm1-vmf": Theorem1(space="sphere", n=3, kappa=5.0),
    "theorem1/thm1-laplace": Theorem1(space="box", n=2, lam=0.2, beta=1.0),
    "theorem1/thm1-normal": Theorem1(space="box", n=2, lam=0.2, beta=2.0),
    "theorem1/thm1-gennorm": Theorem1(space="box", n=2, lam=0.2, beta=3.0),
}


def as_published(config: ContrastiveICA) -> ContrastiveICA:
    """The same row with the published optimiser, batch, steps and initialisation."""
    steps = 100_001 if config.objective == "supervised" else 300_003
    return config.changed(
        init="fan_in_uniform",
        output_size=1.0,
        optimiser="adam",
        learning_rate=1e-4,
        precision="float32",
        schedule="constant",
        warmup=0,
        batch=6144,
        steps=steps,
        early_share=0.0,
        late_share=0.0,
        chunk=250,
    )


def presets() -> dict[str, Settings]:
    """All presets by name."""
    named = {f"quick/{name}": config for name, config in QUICK.items()}
    rows = {**TABLE1, **TABLE2, **FIGURE2}
    rows |= {f"{name}-supervised": supervised(rows[name]) for name in _BLOCKS}
    named |= {f"full/{name}": config for name, config in rows.items()}
    named |= {f"published/{name}": as_published(c) for name, c in rows.items()}
    checks = {f"{name}-identity": identity(rows[name]) for name in _BLOCKS}
    named |= {
        f"check/{name}": config for name, config in {**checks, **THEOREM1}.items()
    }
    return named


# First row of each block of rows that share identity and supervised scores.
_BLOCKS = ("t1r1", "t1r5", "t1r9", "t1r11", "t1r12", "t2r1", "t2r6")

# Meanings of scores that no other system has.
LEGEND = {
    "counts": "numbers of negatives M of Theorem 1",
    "excess": "loss of the true latents minus log M, nats",
    "error": "its standard error",
    "predicted": "the closed form of Theorem 1 at M negatives, nats",
    "moment": "R of Theorem 1: the prediction holds for R well below M",
    "limit": "the closed form of Theorem 1 at infinitely many negatives, nats",
}
