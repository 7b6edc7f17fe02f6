"""Settings of contrastive ICA. Imports no JAX.

Source: Zimmermann, Sharma, Schneider, Bethge, Brendel 2021, *Contrastive Learning
Inverts the Data Generating Process*.
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
_MARGINALS = ("uniform", "laplace", "normal", "gennorm")
_OUTPUTS = ("none", "sphere", "learnable_sphere", "box", "learnable_box")


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
