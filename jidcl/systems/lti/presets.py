"""Settings of linear systems under interventions, and presets. Imports no JAX.

- `quick/...`: minutes on two CPU cores (`jidcl verify`);
- `full/minimal-5-normal`, ...: the recorded configurations, fitted by likelihood;
- `full/environments-3-2`, `full/noise-2-0.01`, ...: one thing varied.

Nothing is trained by gradients: a program draws systems, fits each and scores it.

Source: Rajendran, Reizinger, Brendel, Ravikumar 2024.
"""

import dataclasses
from dataclasses import replace

from jidcl.checks import check_above, check_at_least, check_choice
from jidcl.systems.shared.settings import Settings

EXPERIMENTS = ("recovery", "source", "motor", "exchangeable")
DESIGNS = ("minimal", "maximal", "uniform", "proportional")
MEANS = ("zero", "normal")
STATISTICS = ("known", "unknown")
DIMENSIONS = (2, 3, 5, 8, 10)
NOISES = (0.0, 1e-4, 1e-2, 1e-1, 1.0)
MOTOR_NOISES = (0.0, 1e-8, 1e-6, 1e-5, 1e-4, 1e-3, 1e-2)


@dataclasses.dataclass(frozen=True)
class Interventions(Settings):
    """Every setting of an experiment; any field can be overridden.

    Attributes:
        experiment: recovery (fit by likelihood), source (the published objective,
            without log |det W|), motor (a DC motor, one input of two states), or
            exchangeable (trajectories that share drawn parameters).
        states: of a system; it has as many inputs and outputs.
        environments: how many; 0: states + 1, and 3 of the motor.
        design: of the variances: minimal, maximal, uniform or proportional.
        means: of the controls: zero or normal.
        random_b: else B is the identity.
        random_c: else C is the identity.
        noise: variance of the noise of each output.
        length: steps of each environment.
        stride: 2: pairs that do not overlap; 1: all pairs.
        statistics: known or unknown to the estimator: variances of the controls.
        systems: how many are drawn.
        starts: random starts of a fit.
    """

    experiment: str = "recovery"
    states: int = 3
    environments: int = 0
    design: str = "minimal"
    means: str = "zero"
    random_b: bool = True
    random_c: bool = True
    noise: float = 0.0
    length: int = 4000
    stride: int = 2
    statistics: str = "known"
    systems: int = 50
    starts: int = 4

    def check(self) -> None:
        """As `Settings.check`."""
        super().check()
        check_choice("experiment", self.experiment, EXPERIMENTS)
        check_choice("design", self.design, DESIGNS)
        check_choice("means", self.means, MEANS)
        check_choice("statistics", self.statistics, STATISTICS)
        for name in ("states", "systems", "starts"):
            check_at_least(name, getattr(self, name), 1)
        check_at_least("environments", self.environments, 0)
        check_at_least("noise", self.noise, 0)
        check_above("length", self.length, 3)
        if self.stride not in (1, 2):
            raise ValueError(f"stride must be 1 or 2, got {self.stride}")
        if self.length % 2:
            raise ValueError(
                "length must be even, so that no pair crosses two environments, got "
                f"{self.length}"
            )
        if self.design == "maximal" and self.count != self.inputs + 1:
            raise ValueError(
                f"environments must be {self.inputs + 1} (inputs + 1) for the maximal "
                f"design, got {self.count}"
            )
        if self.statistics == "unknown" and self.count == 1:
            raise ValueError(
                "environments must be at least 2 with statistics 'unknown', got 1: one "
                "covariance leaves every rotation of the inputs open"
            )

    @property
    def inputs(self) -> int:
        """Of a system."""
        return 1 if self.experiment == "motor" else self.states

    @property
    def count(self) -> int:
        """Of environments."""
        of_motor = self.experiment == "motor"
        return self.environments or (3 if of_motor else self.inputs + 1)

    def inert(self) -> dict[str, str]:
        """As `Settings.inert`."""
        held, why = super().inert(), f"with experiment {self.experiment!r}"
        if self.experiment != "recovery":
            held.update(statistics=why, starts=why)
        if self.experiment == "motor":
            held.update(states=why, random_b=why, random_c=why)
        if self.experiment == "exchangeable":
            names = ("environments", "design", "means", "random_b", "random_c")
            held.update(dict.fromkeys((*names, "noise", "stride"), why))
        return held

    def summary(self) -> str:
        """One line: the experiment, its systems and environments."""
        if self.experiment == "exchangeable":
            return f"exchangeable trajectories; {self.systems} pairs of {self.length}"
        what = "DC motor" if self.experiment == "motor" else f"d = {self.states}"
        data = f"{self.count} environments of {self.length}, {self.design}"
        noise = f", noise {self.noise:g}" if self.noise else ""
        fit = "" if self.experiment != "recovery" else f"; variances {self.statistics}"
        own = f"{self.systems} systems, means {self.means}{noise}{fit}"
        return f"{self.experiment}: {what}; {data}; {own}"


_BASE = Interventions()
_MOTOR = Interventions(experiment="motor", length=5000, means="normal")
QUICK = {
    "minimal-2": replace(_BASE, states=2),
    "minimal-3": _BASE,
    "minimal-5": replace(_BASE, states=5, systems=1000),
    "proportional-3": replace(_BASE, design="proportional"),
    "one-3": replace(_BASE, design="uniform", environments=1),
    "two-3": replace(_BASE, design="uniform", environments=2),
    "unknown-3": replace(_BASE, design="uniform", statistics="unknown"),
    "noisy-2": replace(_BASE, states=2, noise=1e-2),
    "predicted-3": replace(
        _BASE, design="uniform", environments=8, length=100, systems=1000
    ),
    "source-zero-3": replace(_BASE, experiment="source"),
    "source-normal-3": replace(_BASE, experiment="source", means="normal"),
    "motor": _MOTOR,
    "motor-noisy": replace(_MOTOR, noise=1e-4),
    "exchangeable": Interventions(experiment="exchangeable", length=20, systems=4000),
}


def presets() -> dict[str, Interventions]:
    """All presets by name."""
    full = {}
    for d in DIMENSIONS:
        for means in MEANS:
            own = replace(_BASE, states=d, means=means)
            full[f"minimal-{d}-{means}"] = own
            full[f"maximal-{d}-{means}"] = replace(own, design="maximal")
            full[f"source-minimal-{d}-{means}"] = replace(own, experiment="source")
            full[f"source-maximal-{d}-{means}"] = replace(
                own, experiment="source", design="maximal"
            )
        for b, c in ((True, False), (False, True), (False, False)):
            parts = ("b-" if b else "") + ("c-" if c else "")
            full[f"only-{parts}{d}" if parts else f"plain-{d}"] = replace(
                _BASE, states=d, random_b=b, random_c=c
            )
    for count in range(1, 7):
        own = replace(_BASE, design="uniform", environments=count)
        full[f"environments-3-{count}"] = own
        full[f"proportional-3-{count}"] = replace(own, design="proportional")
    for noise in NOISES:
        full[f"noise-2-{noise:g}"] = replace(_BASE, states=2, noise=noise)
    for noise in MOTOR_NOISES:
        full[f"motor-{noise:g}"] = replace(_MOTOR, noise=noise)
    for length in (500, 2000, 8000):
        full[f"length-3-{length}"] = replace(_BASE, length=length)
    full["stride-3"] = replace(_BASE, stride=1)
    named = {f"quick/{name}": config for name, config in QUICK.items()}
    return named | {f"full/{name}": config for name, config in full.items()}


LEGEND = {
    "mcc": "mean |correlation| of controls with estimates, environments' means removed",
    "mcc_within": "the same within an environment, averaged over environments",
    "mcc_pooled": "the same over all environments, their means left in",
    "recovered": "share of systems with an MCC of 0.99",
    "optimised": "share of fits at least as likely as the true controls",
    "predicted": "the MCC within environments that the variances allow, in closed form",
    "g_error": "relative error of G = C A C^-1, median over systems",
    "m_error": "relative error of M = C B, columns matched and scaled, median",
    "sufficient": "share of systems whose environments meet the published condition",
    "sine": "least sine between profiles of two inputs, mean over systems",
    "likelihood_mcc": "MCC of maximum likelihood on the same data",
    "shrunk": "norm of V after the last step over that before the first",
    "falls": "share of systems whose norm of V never grows",
    "source_mcc": "MCC of the published objective on the same data",
    "source_mcc_within": "the same within an environment",
    "source_mcc_pooled": "the same over all environments, their means left in",
    "correlation": "of a statistic of two linear trajectories that share parameters",
    "swap_z": "z-score of what changes when the two trajectories swap",
    "hmm_correlation": "the same correlation of two hidden Markov sequences",
    "hmm_swap_z": "the same z-score of two hidden Markov sequences",
    "swapped": "largest change of a log-evidence when two trajectories swap, nats",
    "apart": "mean |log-evidence minus that of single trajectories|, nats",
    "reversed": "mean |log-evidence minus that of reversed time|, nats",
}
