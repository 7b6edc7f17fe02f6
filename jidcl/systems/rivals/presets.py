"""Settings of the comparison of objectives and its presets. Imports no JAX.

`quick/DATA-OBJECTIVE` names every pair of `DATA` and `OBJECTIVES` at four latents;
`full/...` the same at ten. There is no published table of this comparison.

Data: the five content/style conditions of von Kuegelgen et al. 2021 (`n1` to `n5`),
and two worlds of Zimmermann et al. 2021 where pairs share all latents up to noise:
`box` (uniform, Laplace conditional) and `sphere` (uniform, von Mises-Fisher).
"""

import dataclasses
from dataclasses import replace

from jidcl.checks import check_above, check_at_least, check_choice
from jidcl.systems.shared.conditions import CONDITIONS
from jidcl.systems.shared.settings import DrawnMixing, Network, Optimisation

DATA = (*CONDITIONS, "box", "sphere")
# Those whose outputs are compared as unit vectors.
ON_SPHERE = ("simclr", "moco", "aninfonce", "simsiam", "byol", "swav")
OBJECTIVES = (
    "lp_infonce",
    "l1_infonce",
    "align_maxent",
    "barlow",
    "vicreg",
    "lejepa",
    *ON_SPHERE,
)
# Settings that some objectives alone read, and which.
_USERS = {
    "tau": ("lp_infonce", "l1_infonce", "simclr", "moco", "aninfonce", "swav"),
    "lam": ("barlow", "lejepa"),
    "momentum": ("moco", "byol"),
    "queue": ("moco",),
    "hidden": ("simsiam", "byol"),
    "prototypes": ("swav",),
    "epsilon": ("swav",),
    "directions": ("lejepa",),
    "variance": ("align_maxent",),
}


@dataclasses.dataclass(frozen=True)
class Rivals(Optimisation, DrawnMixing, Network):
    """Every setting of one objective on one data-generating process.

    Attributes:
        data: n1 to n5, box or sphere.
        objective: one of `OBJECTIVES`.
        n: latents in all; half of them are content in n1 to n5.
        m: outputs of the encoder; by the rule of `outputs` when None.
        noise: scale of the box's conditional, kappa of the sphere's; 0.1 and 5 when
            None.
        tau: temperature; the method's published one when None.
        lam: weight of barlow's off-diagonal or lejepa's SIGReg; published when None.
        momentum: where the weight of the old average starts (moco, byol); it ends at 1.
        queue: length of moco's queues in batches.
        hidden: width of the predictors of simsiam and byol.
        prototypes: clusters of swav.
        epsilon: entropy of swav's codes.
        directions: of lejepa.
        variance: of align_maxent's kernel.
        cross_validate: the evaluation's kernel ridge chooses among the published
            settings; otherwise alpha 0.01 and gamma 0.2.
        fit_rows: samples that the regressions of the evaluation are fitted on.
        score_rows: samples that they are scored on.
    """

    data: str = "n1"
    objective: str = "lp_infonce"
    n: int = 10
    m: int | None = None
    noise: float | None = None
    tau: float | None = None
    lam: float | None = None
    momentum: float = 0.99
    queue: int = 4
    hidden: int = 32
    prototypes: int = 64
    epsilon: float = 0.05
    directions: int = 64
    variance: float = 0.05
    cross_validate: bool = True
    fit_rows: int = 4096
    score_rows: int = 4096

    def check(self) -> None:
        """As `Settings.check`."""
        super().check()
        check_choice("data", self.data, DATA)
        check_choice("objective", self.objective, OBJECTIVES)
        check_at_least("n", self.n, 2)
        for name in ("noise", "tau", "lam"):
            value = getattr(self, name)
            check_above(name, 1.0 if value is None else value, 0)
        check_at_least("m", self.outputs, self.n_c)
        if self.data in CONDITIONS and self.n % 2:
            raise ValueError(
                f"n must be even for data {self.data!r} (half content, half style), "
                f"got {self.n}"
            )
        check_at_least("fit_rows", self.fit_rows, 10 * self.n)
        check_at_least("score_rows", self.score_rows, 2)
        if self.late_share:
            raise ValueError(
                "late_share must be 0 (queues hold rows of one batch size), got "
                f"{self.late_share}"
            )

    def inert(self) -> dict[str, str]:
        """As `Settings.inert`."""
        held, why = super().inert(), f"with objective {self.objective!r}"
        held.update(
            {k: why for k, users in _USERS.items() if self.objective not in users}
        )
        if self.data in CONDITIONS:
            held["noise"] = f"with data {self.data!r}"
        return held

    @property
    def n_c(self) -> int:
        """Latents that a pair shares (up to noise, in box and sphere)."""
        return self.n // 2 if self.data in CONDITIONS else self.n

    @property
    def outputs(self) -> int:
        """Outputs of the encoder: n_c, one more where they become unit vectors.

        Latents on a sphere are unit vectors themselves, and need no more.
        """
        if self.m is not None:
            return self.m
        return self.n_c + int(self.objective in ON_SPHERE and self.data != "sphere")

    def summary(self) -> str:
        """One line: data, outputs and objective."""
        tau = "" if self.tau is None else f", tau={self.tau:g}"
        return f"{self.data} n={self.n} -> {self.outputs}, {self.objective}{tau}"


# Expected in percent, five seeds: n1-lp_infonce content 99.8, style_excess -4.0;
# box-lp_infonce r2 99.5; sphere-simclr r2 99.5. These three take 2 minutes on two CPU
# cores. What the others find is in docs/comparison.md.
QUICK = Rivals(
    n=4,
    widths=(10, 20, 10),
    optimiser="adam",
    learning_rate=8e-3,
    warmup=50,
    batch=256,
    steps=600,
    chunk=40,
    mixing_draws=5000,
    cross_validate=False,
    fit_rows=800,
    score_rows=2000,
)
FULL = Rivals(steps=3000, muon_steps=3)


def presets() -> dict[str, Rivals]:
    """All presets by name."""
    budgets = {"quick": QUICK, "full": FULL}
    return {
        f"{budget}/{data}-{objective}": replace(base, data=data, objective=objective)
        for budget, base in budgets.items()
        for data in DATA
        for objective in OBJECTIVES
    }


# Meanings of scores that no other system has.
LEGEND = {
    "variance": "variance of each output",
    "effective_rank": "how many directions the outputs fill",
    "spread": "deviation of the outputs' directions, 0 when collapsed",
}
