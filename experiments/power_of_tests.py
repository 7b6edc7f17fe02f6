"""How often do tests of independence reject, where they should and where not?

Data sets of 100 rows with normal noise. Where no relation is, the p-values are also
compared with the uniform law (Kolmogorov-Smirnov distance). Without a condition, y is
noise plus nothing, 0.4 x, x^2 / 2 or sin 3x. With one, x is z + u, and y is sin z and
noise plus nothing, 0.4 u, u^2 / 2 or sin 3u. The G-test sees thirds of x and y, and
nothing beyond.

Expected, and said before the run. Level: at 0.05 each test rejects at most 0.08 where
no relation is (three standard errors of 500 sets above the level), and the distance
from the uniform law is at most 0.10. Power: a kernel test rejects at least half
wherever a relation is. Fisher's z does so for the slope, and rejects at most 0.3 of the
others. Nothing is expected of the power of the G-test and of Chatterjee's xi.

Command: python experiments/power_of_tests.py --out experiments/results
Prints the table and writes power_of_tests.json. Time: two minutes of one CPU core.
"""

import argparse
from pathlib import Path

import numpy as np
import scipy.stats

from jidcl.files import write_json
from jidcl.metrics import (
    chatterjee_xi,
    fisher_z,
    g_test,
    hsic,
    kci_conditional,
    kci_unconditional,
)

LEVEL, MOST, APART = 0.05, 0.08, 0.10
SEEN, UNSEEN = 0.5, 0.3
RELATIONS = {
    "none": np.zeros_like,
    "slope": lambda u: 0.4 * u,
    "square": lambda u: u**2 / 2,
    "wave": lambda u: np.sin(3 * u),
}


def thirds(x: np.ndarray) -> np.ndarray:
    """Which third of its data set a number is in."""
    order = np.argsort(np.argsort(x[..., 0], axis=-1), axis=-1)
    return 3 * order // x.shape[-2]


def tested(sets: int, rows: int, relation: str) -> dict[str, np.ndarray]:
    """p-values of every test, `[sets]` each."""
    x, v, z = np.random.default_rng(1).normal(size=(3, sets, rows, 1))
    more = RELATIONS[relation]
    y = v + more(x)
    found = {
        "kci_unconditional": kci_unconditional(x, y),
        "hsic": hsic(x, y),
        "chatterjee_xi": chatterjee_xi(x, y),
        "fisher_z": fisher_z(x, y),
        "g_test": g_test(thirds(x), thirds(y), levels=3),
    }
    given = z + x, np.sin(z) + y, z
    for form in ("exact", "fourier", "truncated", "low_rank"):
        found[f"kci_conditional, {form}"] = kci_conditional(*given, form=form)
    found["fisher_z, given z"] = fisher_z(*given)
    return {name: np.asarray(test.p) for name, test in found.items()}


def missed_by(test: str, rates: dict[str, float], apart: float) -> list[str]:
    """What of the docstring's expectations is missed; empty where nothing is."""
    missed = ["level"] if rates["none"] > MOST else []
    missed += ["uniform"] if apart > APART else []
    for name in list(RELATIONS)[1:]:
        kernel, linear = test.startswith(("kci", "hsic")), test.startswith("fisher_z")
        sees = kernel or (linear and name == "slope")
        blind = linear and name != "slope"
        if (sees and rates[name] < SEEN) or (blind and rates[name] > UNSEEN):
            missed.append(name)
    return missed


def main() -> None:
    """Test, print and write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sets", type=int, default=500)
    parser.add_argument("--rows", type=int, default=100)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    p = {name: tested(options.sets, options.rows, name) for name in RELATIONS}
    result = {}
    print(f"| test | {' | '.join(RELATIONS)} | from uniform | missed |")
    print("|---|" + "---|" * (len(RELATIONS) + 2))
    for test, null in p["none"].items():
        rates = {name: float(np.mean(p[name][test] <= LEVEL)) for name in RELATIONS}
        apart = float(scipy.stats.kstest(null, "uniform").statistic)
        missed = missed_by(test, rates, apart)
        result[test] = {"rejected": rates, "from_uniform": apart, "missed": missed}
        shown = " | ".join(f"{rate:.3f}" for rate in rates.values())
        print(f"| {test} | {shown} | {apart:.3f} | {', '.join(missed)} |")
    if options.out:
        about = {"sets": options.sets, "rows": options.rows, "level": LEVEL}
        write_json(options.out / "power_of_tests.json", {**about, "tests": result})


if __name__ == "__main__":
    main()
