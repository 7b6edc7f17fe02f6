"""Settings of cross-entropy identifiability and its presets. Imports no JAX.

A preset is one frozen dataclass; `presets()` names them all:

- `quick/...`: small latents, minutes on two CPU cores (`jidcl verify`);
- `full/diet-...`, `full/diet-...-rows`, `full/supervised-...`: published data, loss
  and encoder of a cell of Table 2, 3 or 5, our optimiser, batch and steps; `-rows` with
  rows of W normalised inside the loss, `-projected` before every step, as published;
- `full/case-c1`, ... `case-c4`: the four cases of Theorem 1 at the default cell;
- `published/...`: their optimiser, batch and steps as well.

Source: Reizinger, Bizeul, Juhos, Vogt, Balestriero, Brendel, Klindt 2024,
*Cross-Entropy Is All You Need To Invert the Data Generating Process*.
"""

import dataclasses
from dataclasses import replace

from jidcl.checks import (
    check_above,
    check_at_least,
    check_choice,
    check_unit_interval,
)
from jidcl.systems.shared.settings import (
    DrawnMixing,
    Network,
    Optimisation,
    Scoring,
)

CLUSTERS = ("uniform", "laplace", "normal")
CONDITIONALS = ("vmf", "laplace", "normal", "gennorm", "truncated_laplace")
ROWS = ("free", "unit", "projected")


@dataclasses.dataclass(frozen=True)
class Diet(Optimisation, Scoring, DrawnMixing, Network):
    """Every setting of a run; any field can be overridden.

    Attributes:
        n: dimension of latents, observations and features.
        clusters: C, number of cluster vectors.
        cluster_density: uniform, or the noise (laplace, normal, scale 1) around e_1.
        conditional: vmf (assumed by the theory), laplace, normal, gennorm, or
            truncated_laplace.
        kappa: concentration of vmf; 1 / kappa is also the target of the scale error.
        scale: scale of the other conditionals.
        gennorm_p: exponent of gennorm.
        limit: bound of truncated_laplace.
        project: put truncated_laplace back on the sphere.
        labels: instance (DIET) or class (supervised).
        instances: N, number of instance labels (DIET).
        label_noise: share of labels replaced by uniform ones in training.
        output: features none (free) or sphere (unit norm).
        rows: rows of W free, unit (normalised inside the loss), or projected (divided
            by their norm before every step, as published).
        beta: inverse temperature, or where it starts.
        learn_beta: train it (log beta).
        bias: a bias for every row.
        smoothing: label smoothing.
        batch_norm: batch normalisation in the encoder.
    """

    mixing_layers: int = 4
    n: int = 5
    clusters: int = 100
    cluster_density: str = "uniform"
    conditional: str = "vmf"
    kappa: float = 10.0
    scale: float = 1.0
    gennorm_p: float = 2.0
    limit: float = 1.0
    project: bool = True
    labels: str = "instance"
    instances: int = 1000
    label_noise: float = 0.0
    output: str = "none"
    rows: str = "free"
    beta: float = 1.0
    learn_beta: bool = False
    bias: bool = False
    smoothing: float = 0.0
    batch_norm: bool = True
    eval_batch: int = 8192
    eval_batches: int = 4

    def check(self) -> None:
        """As `Settings.check`."""
        super().check()
        check_choice("cluster_density", self.cluster_density, CLUSTERS)
        check_choice("conditional", self.conditional, CONDITIONALS)
        check_choice("labels", self.labels, ("instance", "class"))
        check_choice("output", self.output, ("none", "sphere"))
        check_choice("rows", self.rows, ROWS)
        check_at_least("n", self.n, 2)
        check_at_least("clusters", self.clusters, 2)
        if self.labels == "instance" and self.instances < self.clusters:
            raise ValueError(
                f"instances must be >= clusters = {self.clusters}, got "
                f"{self.instances}: some clusters would be empty"
            )
        check_at_least("gennorm_p", self.gennorm_p, 1)
        for name in ("kappa", "scale", "limit", "beta"):
            check_above(name, getattr(self, name), 0)
        for name in ("label_noise", "smoothing"):
            check_unit_interval(name, getattr(self, name))

    def inert(self) -> dict[str, str]:
        """As `Settings.inert`."""
        held, why = super().inert(), f"with conditional {self.conditional!r}"
        truncated = self.conditional == "truncated_laplace"
        if self.conditional == "vmf":
            held["scale"] = why
        if self.conditional != "gennorm":
            held["gennorm_p"] = why
        if not truncated:
            held.update(limit=why, project=why)
        if self.labels == "class":
            held["instances"] = "with labels 'class'"
        return held

    @property
    def num_rows(self) -> int:
        """Rows of W: N instances or C classes."""
        return self.instances if self.labels == "instance" else self.clusters

    def summary(self) -> str:
        """One line: latents, labels, and what is normalised."""
        law = "vmf" if self.conditional == "vmf" else self.conditional
        width = self.kappa if self.conditional == "vmf" else self.scale
        z = f"sphere n={self.n}, {self.clusters} {self.cluster_density} clusters"
        labels = f"{self.num_rows} {self.labels} labels"
        model = f"features {self.output}, rows {self.rows}, beta "
        model += "learned" if self.learn_beta else f"{self.beta:g}"
        return f"{z}, {law}({width:g}); {labels}; {model}"


_FULL = Diet(steps=4000, batch=512, learning_rate=5e-3, warmup=50, optimiser="adam")

# Cells that differ from the default (d = 5, C = 100, vMF(10), uniform v, N = 1000).
CELLS = {
    "default": _FULL,
    "d10": replace(_FULL, n=10),
    "d20": replace(_FULL, n=20),
    "c10": replace(_FULL, clusters=10),
    "c1000": replace(_FULL, clusters=1000),
    "kappa5": replace(_FULL, kappa=5.0),
    "kappa50": replace(_FULL, kappa=50.0),
    "laplace": replace(_FULL, conditional="laplace"),
    "normal": replace(_FULL, conditional="normal"),
}
DIET_CELLS = {
    **CELLS,
    "n100000": replace(_FULL, instances=100_000),
    "v-laplace": replace(_FULL, cluster_density="laplace"),
    "v-normal": replace(_FULL, cluster_density="normal"),
}
# Classes are uniform, as Theorem 2 assumes: with N = 1000 and labels i mod C, 9000 of
# 10000 classes would never occur.
CLASS_CELLS = {**CELLS, "c10000": replace(_FULL, clusters=10_000, instances=10_000)}

CASES = {
    "case-c1": replace(_FULL, output="sphere", rows="unit", learn_beta=True),
    "case-c2": replace(_FULL, output="sphere"),
    "case-c3": replace(_FULL, rows="unit"),
    "case-c4": _FULL,
}

_QUICK = replace(
    Diet(),
    n=3,
    clusters=20,
    instances=200,
    widths=(10, 20, 20, 10),
    optimiser="adam",
    learning_rate=5e-3,
    warmup=50,
    batch=256,
    steps=2000,
    chunk=50,
    eval_batch=4096,
    mixing_draws=5000,
)
# Three minutes for all, of five seeds each, on two CPU cores. Scores in percent.
QUICK = {
    "supervised": _QUICK.changed(labels="class"),  # R2 99.0
    "diet": _QUICK,  # R2 99.0, of rows 99.5
    "diet-rows": replace(_QUICK, rows="unit"),  # R2 98.4 without intercept
    # Short on purpose: almost separable classes come near the floor with little learnt.
    "peaked": replace(_QUICK, kappa=50.0, steps=500),  # R2 76
    "laplace": _QUICK.changed(labels="class", conditional="laplace"),  # R2 93.5
}


def as_published(config: Diet) -> Diet:
    """The same cell with the published optimiser, batch, steps and initialisation.

    The length is N // B steps (at least one) for each of 50,000 epochs; at N = 10^5
    that is 4.85 million.
    """
    return replace(
        config,
        rows="projected" if config.rows == "unit" else config.rows,
        init="fan_in_uniform",
        optimiser="adam",
        learning_rate=1e-3,
        schedule="constant",
        warmup=0,
        batch=1024,
        steps=50_000 * max(config.instances // 1024, 1),
        late_share=0.0,
        chunk=250,
    )


def presets() -> dict[str, Diet]:
    """All presets by name."""
    cells = {f"diet-{name}": cell for name, cell in DIET_CELLS.items()}
    cells |= {
        f"diet-{name}-rows": replace(cell, rows="unit")
        for name, cell in DIET_CELLS.items()
    }
    # At half this rate one seed of three stays folded.
    cells |= {
        f"diet-{name}-projected": replace(cell, rows="projected", learning_rate=1e-2)
        for name, cell in DIET_CELLS.items()
    }
    cells |= {
        f"supervised-{name}": cell.changed(labels="class", steps=max(cell.steps, 8000))
        for name, cell in CLASS_CELLS.items()
    }
    cells |= CASES
    named = {f"quick/{name}": config for name, config in QUICK.items()}
    named |= {f"full/{name}": config for name, config in cells.items()}
    named |= {f"published/{name}": as_published(c) for name, c in cells.items()}
    return named


# Meanings of scores that no other system has.
LEGEND = {
    "r2_linear": "R2 of a linear map, without intercept",
    "r2_rows_linear": "R2 of the cluster vectors by a map without intercept",
    "r2_rows": "R2 of the cluster vectors from the rows of W",
    "scale_error": "mean |singular values of outputs -> latents - 1 / kappa|",
    "scale_error_relative": "the same times kappa",
    "rows_scale_error": "mean |singular values of rows -> cluster vectors - 1|",
    "kappa_error": "|kappa read from the model / true - 1|",
    "tied_deviation": "how far beta M^T P is from kappa I",
    "row_collapse": "variance of W's rows within clusters, share of all",
}
