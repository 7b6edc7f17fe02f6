"""Settings of cells (factors, codes, scores), and presets. Imports no JAX.

- `quick/...`: minutes on two CPU cores (`jidcl verify`);
- `full/exp06-D1-m3`, ...: cells of the recorded experiments.

Nothing is trained: a program draws factors and codes, and scores them.

Source: Joshi, Saulus, Brendel, Brouillard, Sridhar, Reizinger 2026, published code.
"""

import dataclasses
from dataclasses import replace

from jidcl.checks import check_at_least, check_choice, check_unit_interval
from jidcl.systems.metric_validity.factors import own_width
from jidcl.systems.shared.settings import Settings

LAWS = ("D1", "D2", "D3", "D4")
ENCODERS = tuple(f"E{i}" for i in range(1, 11))
GROUPS = ("all", "matching", "trees")
RHOS = tuple(round(-0.99 + 0.099 * i, 3) for i in range(21))
KAPPAS = (1, 2, 3, 5, 7.5, 10, 15, 20, 30, 50)
ALPHAS = (0, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.8, 1)


@dataclasses.dataclass(frozen=True)
class MetricValidity(Settings):
    """Every setting of a cell; any field can be overridden.

    Attributes:
        law: of the factors: D1 (independent), D2 (one correlation), D3 (a factor is a
            function of another), D4 (of two others).
        encoder: E1 .. E10, see `jidcl.systems.metric_validity.factors`.
        factors: how many.
        codes: how many; 0: the encoder's own number.
        samples: drawn; scores see the last fifth of them, read-outs are fitted on the
            others.
        rho: correlation, of D2.
        functions: factors that are functions of others, of D3 and D4.
        alpha: how far E2 is bent, in [0, 1].
        condition: of E3 and E7.
        group: all scores; matching: MCC and R2 alone; trees: DCI by boosted trees too.
        draws: of factors and map, averaged.
    """

    law: str = "D1"
    encoder: str = "E1"
    factors: int = 5
    codes: int = 0
    samples: int = 1000
    rho: float = 0.5
    functions: int = 1
    alpha: float = 1.0
    condition: float = 10.0
    group: str = "all"
    draws: int = 5

    def check(self) -> None:
        """As `Settings.check`."""
        super().check()
        check_choice("law", self.law, LAWS)
        check_choice("encoder", self.encoder, ENCODERS)
        check_choice("group", self.group, GROUPS)
        check_at_least("factors", self.factors, 2)
        check_at_least("samples", self.samples, 10)
        check_at_least("draws", self.draws, 1)
        check_at_least("condition", self.condition, 1)
        check_unit_interval("alpha", self.alpha)
        d, m = self.factors, self.width
        if not -1 / (d - 1) <= self.rho <= 1:
            raise ValueError(f"rho must be in [-1/(factors - 1), 1], got {self.rho}")
        if not 1 <= self.functions < d / 2 and self.law in ("D3", "D4"):
            raise ValueError(f"functions must be in [1, factors / 2), got {self}")
        least = {"E4": 1, "E5": d, "E6": d, "E7": d, "E8": 2 * d}.get(self.encoder, 1)
        check_at_least("codes (or 0)", m, least)
        if self.encoder in ("E1", "E2", "E3") and m != d:
            raise ValueError(f"codes must be 0 with {self.encoder}, got {self.codes}")
        if self.encoder == "E4" and m > d:
            raise ValueError(f"codes must be at most factors with E4, got {m}")
        if self.encoder == "E8" and m % d:
            raise ValueError(f"codes must be a multiple of factors with E8, got {m}")

    @property
    def width(self) -> int:
        """Number of codes."""
        return self.codes or own_width(self.encoder, self.factors)

    @property
    def scored(self) -> int:
        """Rows that scores see."""
        return self.samples - int(0.8 * self.samples)

    def inert(self) -> dict[str, str]:
        """As `Settings.inert`."""
        held, of_law = super().inert(), f"with law {self.law!r}"
        if self.law != "D2":
            held["rho"] = of_law
        if self.law not in ("D3", "D4"):
            held["functions"] = of_law
        of_encoder = f"with encoder {self.encoder!r}"
        if self.encoder != "E2":
            held["alpha"] = of_encoder
        if self.encoder not in ("E3", "E7"):
            held["condition"] = of_encoder
        return held

    def summary(self) -> str:
        """One line: factors, codes, samples."""
        return (
            f"{self.law} x {self.encoder}, {self.factors} factors, {self.width} codes, "
            f"{self.samples} samples ({self.scored} scored); {self.draws} draws"
        )


def cell(law: str, encoder: str, **settings) -> MetricValidity:
    """A cell; a setting that cannot act in it is left out."""
    dead = MetricValidity(law=law, encoder=encoder).inert()
    own = {name: value for name, value in settings.items() if name not in dead}
    return MetricValidity(law=law, encoder=encoder, **own)


def experiments() -> dict[str, MetricValidity]:
    """Cells of the recorded experiments exp01 .. exp15 by name.

    Two are left as they were recorded, though their names say otherwise: the functions
    of exp02 are never handed on, and r of exp07's D3 neither.
    """
    held: dict[str, MetricValidity] = {}
    for law in LAWS:
        for d in (5, 10, 20):
            held[f"exp01-{law}-d{d}"] = cell(law, "E1", factors=d)
    for d in (5, 10):
        for alpha in ALPHAS:
            one = cell("D1", "E2", factors=d, alpha=float(alpha))
            held[f"exp02-d{d}-alpha{alpha:g}"] = one
    for d, n in ((2, 100), (5, 1000), (10, 1000)):
        for rho in RHOS:
            if rho < -1 / (d - 1):
                continue
            for encoder in ("E1", "E3"):
                one = cell("D2", encoder, factors=d, samples=n, rho=rho)
                held[f"exp03-{encoder}-d{d}-rho{rho:g}"] = one
    for d in (2, 5, 10):
        for rho in (0, 0.15, 0.3, 0.45, 0.6, 0.75, 0.9):
            for kappa in KAPPAS:
                one = cell(
                    "D2", "E3", factors=d, rho=float(rho), condition=float(kappa)
                )
                held[f"exp04-d{d}-rho{rho:g}-kappa{kappa:g}"] = one
    for d in (5, 10):
        for rho in (0, 0.2, 0.4, 0.6, 0.8, 0.9, 0.95, 0.99):
            one = cell("D2", "E1", factors=d, rho=float(rho))
            held[f"exp05-d{d}-rho{rho:g}"] = one
        held[f"exp05-d{d}-D3"] = cell("D3", "E1", factors=d)
    for m in range(10, 0, -1):
        for law in LAWS:
            held[f"exp06-{law}-m{m}"] = _dropped(law, 10, m)
    for d in range(3, 12):
        held[f"exp06-m3-d{d}"] = _dropped("D1", d, 3)
    for law in ("D3", "D4"):
        for r in range(1, 5):
            for m in range(3, 10):
                one = cell(law, "E4", factors=10, codes=m, functions=r)
                held[f"exp07-{law}-r{r}-m{m}"] = one
    for d in (5, 20):
        for law in LAWS:
            for encoder in ("E1", "E3", "E5", "E6", "E7", "E8"):
                held[f"exp08-09-{law}-{encoder}-d{d}"] = cell(law, encoder, factors=d)
        for ratio in (1.6, 2, 3, 5, 10):
            for encoder in ("E5", "E6", "E7", "E8"):
                if encoder == "E8" and ratio < 2:
                    continue
                one = cell("D1", encoder, factors=d, codes=int(ratio * d))
                held[f"exp08-09-{encoder}-d{d}-ratio{ratio:g}"] = one
    return held | _sample_sizes()


def _dropped(law: str, d: int, m: int) -> MetricValidity:
    """The last m of d factors; all of them: E1."""
    if m == d:
        return cell(law, "E1", factors=d)
    return cell(law, "E4", factors=d, codes=m)


def _sample_sizes() -> dict[str, MetricValidity]:
    """Cells of exp10 .. exp15."""
    held: dict[str, MetricValidity] = {}
    for n in (50, 100, 200, 500, 1000, 2000, 5000):
        for law in LAWS:
            for encoder in ("E1", "E2", "E3", "E7"):
                held[f"exp10-{law}-{encoder}-n{n}"] = cell(law, encoder, samples=n)
    for n in (50, 100, 200, 500, 1000, 2000, 5000, 10_000):
        for encoder in ("E9", "E10"):
            for law in ("D1", "D2"):
                held[f"exp11-{law}-{encoder}-n{n}"] = cell(law, encoder, samples=n)
    for ratio in (1.2, 1.5, 2, 3):
        for law in LAWS:
            one = cell(law, "E5", factors=10, codes=int(10 * ratio))
            held[f"exp12-{law}-ratio{ratio:g}"] = one
    for d in (3, 5, 10, 20):
        for share in (0.02, 0.05, 0.1, 0.2):
            one = cell("D1", "E1", factors=d, samples=int(d / share), draws=10)
            held[f"exp13-d{d}-share{share:g}"] = one
    for n in (50, 100, 200, 500, 1000, 2000):
        one = cell("D1", "E4", factors=10, codes=5, samples=n, draws=10)
        held[f"exp14-m5-n{n}"] = one
    for m in (10, 50, 200):
        for n in (20, 100, 500, 2000, 5000):
            one = cell("D1", "E9", factors=10, codes=m, samples=n, group="matching")
            held[f"exp15-m{m}-n{n}"] = one
    for d in (10, 100):
        for n in (25, 50, 100, 500, 1000, 5000):
            one = cell("D1", "E10", factors=d, codes=50, samples=n, group="matching")
            held[f"exp15-E10-d{d}-n{n}"] = one
    return held


_SIX = dict(draws=6)
QUICK = {
    "scaled": cell("D1", "E1", **_SIX),
    "scaled-function": cell("D3", "E1", group="trees", draws=5),
    "bent": cell("D1", "E2", **_SIX),
    "bent-little": cell("D1", "E2", alpha=0.005, **_SIX),
    "mixed": cell("D1", "E3", **_SIX),
    "mixed-many": cell("D1", "E3", group="matching", draws=100),
    "mixed-correlated": cell("D2", "E3", rho=0.9, group="matching", draws=100),
    "wide": cell("D1", "E7", codes=8, group="matching", draws=60),
    "wider": cell("D1", "E7", codes=50, group="matching", draws=60),
    "dropped": cell("D1", "E4", factors=10, codes=5, group="trees", draws=4),
    "dropped-correlated": cell("D2", "E4", factors=10, codes=5, **_SIX),
    "split": cell("D1", "E8", **_SIX),
    "null": cell("D1", "E9", **_SIX),
    "null-50": cell("D1", "E9", factors=10, codes=50, group="matching", draws=100),
    "null-few": cell(
        "D1", "E9", factors=10, codes=200, samples=100, group="matching", draws=50
    ),
    "null-square": cell("D1", "E10", factors=10, codes=10, group="matching", draws=100),
}


def presets() -> dict[str, MetricValidity]:
    """All presets by name."""
    quick = {f"quick/{name}": config for name, config in QUICK.items()}
    trees = ("exp01", "exp06", "exp08-09", "exp14")
    full = {
        f"full/{name}": replace(config, group="trees")
        if name.startswith(trees) and config.group == "all"
        else config
        for name, config in experiments().items()
    }
    return quick | full


LEGEND = {
    "mcc": "matched MCC on the scored rows alone, as published",
    "mcc_coverage": "the same sum over the number of factors",
    "mcc_held_out": "cross-fitted MCC, unclipped: 0 on average by chance",
    "spearman": "matched MCC of ranks",
    "r2": "affine R2, fitted on four fifths, scored on the others, each clipped",
    "r2_published": "without intercept, of raw codes, clipped at 0",
    "chance": "E of the largest of max(d, m) null correlations of the scored rows",
    "chance_published": "sqrt(2 ln m / n), the published approximation of it",
    "law_r2": "R2 that dropped factors leave, in closed form",
    "law_coverage": "MCC over all factors that dropped ones leave, in closed form",
    "law_dci_d": "DCI disentanglement that dropped factors leave, in closed form",
    "rdc": "matched randomised dependence coefficient, cut-off 1e-4",
    "dci_d": "DCI disentanglement by lasso",
    "dci_c": "DCI completeness by lasso",
    "dci_trees_d": "DCI disentanglement by boosted trees",
    "dci_trees_c": "DCI completeness by boosted trees",
    "mig": "mutual information gap, 20 bins",
    "info_m": "InfoM of all codes that vary",
    "info_m_published": "InfoM of codes with a twentieth of the largest range",
    "info_c": "InfoC of all codes that vary",
    "tmex": "T-MEX alignment, as published: a dense mixture has 1",
    "tmex_f1": "T-MEX F1: ones off the assignment count",
}
