"""Settings of causal de Finetti and its presets. Imports no JAX.

- `quick/...`: minutes on two CPU cores (`jidcl verify`);
- `full/recorded-both-100`, ...: the data sets of the published figure, drawn from its
  own stream, for both parameters and its two legacy modes;
- `full/binary-2000`, ...: the same of the multivariate experiment;
- `full/clean-cause-200`, ...: one parameter varies, nothing else does.

Nothing is trained: a program draws data sets, tests them and counts what is right.

Source: Guo, Toth, Schoelkopf, Huszar 2023, *Causal de Finetti*; Reizinger, Guo,
Huszar, Schoelkopf, Brendel 2025, *Identifiable Exchangeable Mechanisms*.
"""

import dataclasses
from dataclasses import replace

from jidcl.checks import check_above, check_at_least, check_choice
from jidcl.systems.shared.settings import Settings

EXPERIMENTS = ("pairs", "relations", "binary", "power")
SOURCES = ("drawn", "recorded")
VARY = ("both", "cause", "mechanism", "none", "legacy_row0_noise", "legacy_row1_noise")
QUADRATIC = ("none", "half", "all")
TESTS = ("kci", "fisher_z")
COUNTS = (100, 200, 300, 400, 500)
BINARY_COUNTS = (2000, 4000, 6000, 8000, 10000)


@dataclasses.dataclass(frozen=True)
class CausalDeFinetti(Settings):
    """Every setting of an experiment; any field can be overridden.

    Attributes:
        experiment: pairs (decide the direction), relations (all six tests of x -> y,
            direction known), binary (graph of several variables), or power (Fisher's
            z on linear Gaussian pairs, against its closed form).
        source: drawn, or recorded: the published data sets.
        environments: of a data set: the sample size of every test.
        repetitions: data sets.
        vary: which parameters vary over environments; legacy_row0_noise and
            legacy_row1_noise are the modes of the published figure.
        quadratic: environments with a quadratic term: none, half (the published ones;
            the mask is a change of the mechanism), all.
        spread: parameters are uniform in (-spread, spread).
        test: kci or fisher_z.
        alpha: level of every test.
        variables: of the binary experiment.
    """

    experiment: str = "pairs"
    source: str = "drawn"
    environments: int = 200
    repetitions: int = 100
    vary: str = "both"
    quadratic: str = "none"
    spread: float = 1.0
    test: str = "kci"
    alpha: float = 0.05
    variables: int = 3

    def check(self) -> None:
        """As `Settings.check`."""
        super().check()
        check_choice("experiment", self.experiment, EXPERIMENTS)
        check_choice("source", self.source, SOURCES)
        check_choice("vary", self.vary, VARY)
        check_choice("quadratic", self.quadratic, QUADRATIC)
        check_choice("test", self.test, TESTS)
        check_at_least("environments (KCI needs 6)", self.environments, 6)
        check_at_least("repetitions", self.repetitions, 1)
        check_at_least("variables", self.variables, 2)
        check_above("spread", self.spread, 0)
        if not 0 < self.alpha < 1:
            raise ValueError(f"alpha must be in (0, 1), got {self.alpha}")
        if self.source == "recorded":
            known = BINARY_COUNTS if self.experiment == "binary" else COUNTS
            if self.environments not in known or self.repetitions > 100:
                raise ValueError(
                    f"environments must be one of {list(known)} with source "
                    "'recorded', and repetitions at most 100, got "
                    f"{self.environments} and {self.repetitions}"
                )
            if self.experiment not in ("pairs", "binary"):
                raise ValueError(
                    "source must be 'drawn' for experiment "
                    f"{self.experiment!r}, got 'recorded'"
                )

    def inert(self) -> dict[str, str]:
        """As `Settings.inert`."""
        held, why = super().inert(), f"with experiment {self.experiment!r}"
        if self.experiment != "binary":
            held["variables"] = why
        if self.experiment in ("binary", "power"):
            held.update(vary=why, quadratic=why, spread=why, test=why)
        if self.source == "recorded":
            held.update(spread="with source 'recorded'", quadratic="as recorded")
            held.update(variables="with source 'recorded'")
        return held

    def summary(self) -> str:
        """One line: the experiment, its data and its test."""
        size = f"{self.repetitions} data sets of {self.environments} environments"
        if self.experiment == "binary":
            return f"binary graphs; {size}, {self.source}; G-test"
        if self.experiment == "power":
            return f"linear Gaussian pairs; {size}; Fisher's z"
        quadratic = "half" if self.source == "recorded" else self.quadratic
        varies = f"vary {self.vary}, quadratic {quadratic}, spread {self.spread:g}"
        return f"{self.experiment}; {varies}; {size}, {self.source}; {self.test}"


_MODES = {
    "both": "both",
    "cause": "legacy_row0_noise",
    "mech": "legacy_row1_noise",
}


def recorded(mode: str, environments: int) -> CausalDeFinetti:
    """The published data sets of one mode of the figure: both, cause or mech."""
    check_choice("mode", mode, _MODES)
    return CausalDeFinetti(
        source="recorded", environments=environments, vary=_MODES[mode]
    )


def binary(environments: int, source: str = "recorded") -> CausalDeFinetti:
    """The multivariate experiment."""
    return CausalDeFinetti(
        experiment="binary", environments=environments, source=source
    )


_CLEAN = CausalDeFinetti(spread=4.0)
# What stands beside the published curves: one parameter alone, none, or the mask alone.
GENERATORS = {
    "published": CausalDeFinetti(quadratic="half"),
    "mask": CausalDeFinetti(vary="none", quadratic="half"),
    "iid": CausalDeFinetti(vary="none"),
    "degenerate": CausalDeFinetti(),
    "degenerate-wide": _CLEAN,
    "clean-cause": replace(_CLEAN, vary="cause"),
    "clean-mechanism": replace(_CLEAN, vary="mechanism"),
}
_RELATIONS = replace(_CLEAN, experiment="relations", environments=100)
QUICK = {
    **{f"recorded-{mode}-100": recorded(mode, 100) for mode in _MODES},
    "binary-2000": binary(2000),
    **{name: GENERATORS[name] for name in ("mask", "iid", "degenerate", "clean-cause")},
    **{
        f"{name}-fisher": replace(GENERATORS[name], test="fisher_z")
        for name in ("clean-cause", "clean-mechanism", "degenerate-wide")
    },
    **{
        f"relations-{vary}": replace(_RELATIONS, vary=vary)
        for vary in ("cause", "mechanism", "none")
    },
    "power": CausalDeFinetti(experiment="power", environments=200, repetitions=2000),
}


def presets() -> dict[str, CausalDeFinetti]:
    """All presets by name."""
    full = {f"recorded-{m}-{n}": recorded(m, n) for m in _MODES for n in COUNTS}
    full |= {f"binary-{n}": binary(n) for n in BINARY_COUNTS}
    for test, tail in (("kci", ""), ("fisher_z", "-fisher")):
        full |= {
            f"{name}-{n}{tail}": replace(config, environments=n, test=test)
            for name, config in GENERATORS.items()
            for n in COUNTS
        }
    full |= {
        f"relations-{vary}": replace(_RELATIONS, vary=vary, environments=200)
        for vary in ("both", "cause", "mechanism", "none")
    }
    named = {f"quick/{name}": config for name, config in QUICK.items()}
    return named | {f"full/{name}": config for name, config in full.items()}


LEGEND = {
    "accuracy": "share of data sets whose structure is found",
    "accuracy_x_to_y": "the same among data sets with x -> y",
    "accuracy_y_to_x": "the same among data sets with y -> x",
    "accuracy_independent": "the same among data sets of independent x and y",
    "direction": "of dependent pairs with an arrow found, the share that points right",
    "clean": "share of data sets whose p-values are a clean pattern, no fallback",
    "shd": "normalised structural Hamming distance, 0 for the true graph",
    "exact": "share of data sets whose whole graph is found",
    "profile": "share of data sets told rightly which parameters vary",
    "rejected_c1_e2_given_c2": "rejections of C1 independent of E2 given C2",
    "rejected_e1_c2_given_e2": "rejections of E1 independent of C2 given E2",
    "rejected_c1_e1": "rejections of C1 independent of E1",
    "rejected_c1_c2": "rejections of C1 independent of C2",
    "rejected_e1_e2_given_c1_c2": "rejections of E1 independent of E2 given C1, C2",
    "rejected_c1_e2": "rejections of C1 independent of E2",
    "false_alarms": "largest rejection rate among the relations that hold",
    "power": "rejections of E1 independent of C2 given E2, the last setting",
    "predicted": "its closed form",
    "worst_error": "largest distance of power and closed form, in standard errors",
}
