"""Settings of content/style isolation and its presets. Imports no JAX.

- `quick/...`: two content and two style coordinates, minutes on two CPU cores;
- `full/n1` ... `full/n5`: the published data, loss and encoder of the five conditions,
  our optimiser, batch and steps;
- `published/n1` ... `published/n5`: their optimiser, batch and steps as well.

Source: von Kuegelgen, Sharma, Gresele, Brendel, Schoelkopf, Besserve, Locatello 2021,
*Self-Supervised Learning with Data Augmentations Provably Isolates Content from Style*,
section 5.1, appendix and published code.
"""

import dataclasses
from dataclasses import replace

from jidcl.checks import (
    check_above,
    check_at_least,
    check_choice,
    check_unit_interval,
)
from jidcl.systems.shared.conditions import CONDITIONS
from jidcl.systems.shared.settings import (
    DrawnMixing,
    Network,
    Optimisation,
    Scoring,
)

OBJECTIVES = ("infonce", "align_maxent")
OUTPUTS = ("none", "box")
# Settings that one objective alone reads.
_OF_INFONCE = ("p", "power", "tau", "alpha", "include_positive", "log_mean")
_OF_MAXENT = ("variance", "weight")


@dataclasses.dataclass(frozen=True)
class ContentStyle(Optimisation, Scoring, DrawnMixing, Network):
    """Every setting of a content/style run; any field can be overridden.

    Attributes:
        n_c: content coordinates, shared by a pair.
        n_s: style coordinates, which may change.
        m: outputs of the encoder; n_c when None.
        change: probability that a style coordinate changes.
        fixed_style: style coordinates (from 0) that never change, against the
            assumption; they are content as far as the pairs tell.
        stat: Wishart covariances inside the blocks and of the changes.
        causal: style depends on content.
        least_eigenvalue: smaller eigenvalues of drawn covariances are raised to it.
        objective: infonce or align_maxent.
        output: none, or box for the unit box (a sigmoid), which align_maxent needs.
        p: exponent of the distance of infonce.
        power: without its root.
        tau: temperature of infonce.
        alpha: weight of its positive term, 0.5 for InfoNCE.
        include_positive: the positive is an entry of its denominator.
        log_mean: its log-mean-exp instead of log-sum-exp.
        variance: of the entropy kernel of align_maxent.
        weight: of its alignment.
        fit_rows: samples that the regressions of the evaluation are fitted on.
        score_rows: samples of each batch that they are scored on.
    """

    n_c: int = 5
    n_s: int = 5
    m: int | None = None
    change: float = 0.75
    fixed_style: tuple[int, ...] = ()
    stat: bool = False
    causal: bool = False
    least_eigenvalue: float = 0.0
    objective: str = "infonce"
    output: str = "none"
    p: float = 2.0
    power: bool = True
    tau: float = 1.0
    alpha: float = 0.5
    include_positive: bool = True
    log_mean: bool = True
    variance: float = 0.05
    weight: float = 1.0
    fit_rows: int = 20_480
    score_rows: int = 4096

    def check(self) -> None:
        """As `Settings.check`."""
        super().check()
        for name in ("n_c", "n_s", "p", "outputs"):
            check_at_least(name, getattr(self, name), 1)
        for name in ("tau", "variance", "weight"):
            check_above(name, getattr(self, name), 0)
        for name in ("change", "alpha"):
            check_unit_interval(name, getattr(self, name))
        check_at_least("least_eigenvalue", self.least_eigenvalue, 0)
        check_choice("objective", self.objective, OBJECTIVES)
        check_choice("output", self.output, OUTPUTS)
        if self.objective == "align_maxent" and self.output != "box":
            raise ValueError(
                "objective 'align_maxent' needs output 'box' (the entropy of "
                f"unbounded outputs has no maximum), got {self.output!r}"
            )
        beyond = [j for j in self.fixed_style if not 0 <= j < self.n_s]
        if beyond:
            raise ValueError(
                f"fixed_style must hold numbers from 0 to {self.n_s - 1}, got {beyond}"
            )
        check_at_least("fit_rows", self.fit_rows, 10 * self.n)
        check_at_least("score_rows", self.score_rows, 2)

    def inert(self) -> dict[str, str]:
        """As `Settings.inert`."""
        held, why = super().inert(), f"with objective {self.objective!r}"
        of_others = {"infonce": _OF_MAXENT, "align_maxent": _OF_INFONCE}
        held.update(dict.fromkeys(of_others.get(self.objective, ()), why))
        if not self.stat:
            held["least_eigenvalue"] = "without stat"
        return held

    @property
    def n(self) -> int:
        """Latents in all."""
        return self.n_c + self.n_s

    @property
    def outputs(self) -> int:
        """Outputs of the encoder."""
        return self.n_c if self.m is None else self.m

    def summary(self) -> str:
        """One line: latents, pairs, output and objective."""
        words = ["stat"] * self.stat + ["causal"] * self.causal
        z = f"n_c={self.n_c}, n_s={self.n_s}, {'+'.join(words) or 'independent'}"
        pair = f"style changes {self.change:g}"
        pair += f" but {self.fixed_style}" if self.fixed_style else ""
        model = f"-|d|_{self.p:g} / {self.tau:g}, " * (self.objective == "infonce")
        return f"{z}; {pair} -> {self.output} {self.outputs}, {model}{self.objective}"


# Expected, n1: content R2 99.8, style -0.1; one seed, 16 minutes on two busy cores.
FULL = {
    name: replace(ContentStyle(steps=3000, muon_steps=3), **condition)
    for name, condition in CONDITIONS.items()
}

_QUICK = ContentStyle(
    n_c=2,
    n_s=2,
    widths=(10, 25, 25, 10),
    muon_steps=3,
    warmup=50,
    batch=512,
    steps=900,
    chunk=30,
    eval_batch=2048,
    eval_batches=3,
    mixing_draws=5000,
    fit_rows=1200,
    score_rows=1200,
)
# Expected in percent, five seeds: content_krr, style_excess. All five presets take 5
# minutes on two CPU cores.
QUICK = {
    # n1: 99.9, -0.3. n2: 100.0, -0.3. n4: 99.9, -0.2.
    **{name: replace(_QUICK, **CONDITIONS[name]) for name in ("n1", "n2", "n4")},
    # 99.9, 49.4, and fixed_style_krr 99.4. One output more: room for the coordinate
    # that became content.
    "frozen-style": replace(_QUICK, **CONDITIONS["n1"], fixed_style=(0,), m=3),
    # 97.0, -0.3. At weight 1 it ends with content mixed up with some style.
    "align-maxent": replace(
        _QUICK,
        **CONDITIONS["n1"],
        objective="align_maxent",
        output="box",
        variance=0.005,
        weight=100.0,
    ),
}


def as_published(config: ContentStyle) -> ContentStyle:
    """The same condition with the published optimiser, batch, steps and start."""
    return config.changed(
        init="fan_in_uniform",
        optimiser="adam",
        learning_rate=1e-4,
        schedule="constant",
        warmup=0,
        batch=6144,
        steps=100_001,
        chunk=250,
    )


def presets() -> dict[str, ContentStyle]:
    """All presets by name."""
    named = {f"quick/{name}": config for name, config in QUICK.items()}
    named |= {f"full/{name}": config for name, config in FULL.items()}
    return named | {f"published/{name}": as_published(c) for name, c in FULL.items()}


# Meanings of scores that no other system has.
LEGEND = {
    "linear": "share of a latent that an affine map of y explains",
    "krr": "share of a latent that kernel ridge regression from y explains",
    "krr_alpha": "the regularisation that kernel ridge regression chose",
    "krr_gamma": "the width of its kernel that it chose",
    "content_eigenvalues": "eigenvalues of the covariance of content",
    "style_eigenvalues": "eigenvalues of the covariance of style",
    "change_eigenvalues": "eigenvalues of the covariance of style's changes",
    "change_condition": "condition number of the covariance of style's changes",
}
