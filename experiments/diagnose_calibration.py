"""Is a diagnosis right where the truth is known? Planted pairs, all fits batched.

    python experiments/diagnose_calibration.py --root runs/diagnose --part tuning
    python experiments/diagnose_calibration.py --root runs/diagnose --part scoring
    python experiments/diagnose_calibration.py --root runs/diagnose --part again
    python experiments/diagnose_calibration.py --root runs/diagnose --part shuffled
    python experiments/diagnose_calibration.py --root runs/diagnose --part calibration

Every case of `jidcl.diagnosis.planted.CASES` is drawn `sets` times. Each set is fitted
with p = 1, 2, 3 (three, two seeds, one), all sets of a piece in one program. What was
fitted and judged lies in `--root` and is not done again, so a run that was ended goes
on; rules that changed want another root. After each piece
`experiments/results/diagnose_<part>.json` is written; at the end tables are printed:
what is said of each case, and how often each sentence is said where it is true and
where it is false (`TRUTH`), with intervals of 95 %.
"""

import argparse
import dataclasses
import json
import time
from pathlib import Path

import numpy as np
from scipy.stats import binomtest

from jidcl.diagnosis.evidence import Outputs, gather
from jidcl.diagnosis.planted import CASES, OUTPUTS, TRUTH, plant
from jidcl.diagnosis.sentences import SENTENCES, say
from jidcl.estimate import pairs as rows
from jidcl.estimate.learning import Learning
from jidcl.estimate.training import learn, programs_of
from jidcl.files import read_arrays, read_json, write_arrays, write_json, write_text


@dataclasses.dataclass(frozen=True)
class Part:
    """Which sets, and how they are fitted.

    Attributes:
        first: seed of the first set of each case.
        sets: of each case.
        rows: pairs of a set.
        steps: updates of a fit.
        batch: pairs of an update.
        rate: peak of the learning rate.
        cases: by name.
    """

    first: int
    sets: int
    rows: int = 10_000
    steps: int = 800
    batch: int = 128
    rate: float = 4e-3
    cases: tuple[str, ...] = tuple(CASES)


PARTS = {
    "tuning": Part(0, 2),
    "scoring": Part(3000, 3),
    # After `scoring`, whose false `already_linear` moved one bar, on the tuning sets.
    "again": Part(4000, 3),
    # A null of shuffled partners asks for no end of training.
    "shuffled": Part(2000, 200, rows=2000, steps=100, cases=("shuffled",)),
    "calibration": Part(10_000, 170, rows=3000, steps=400, batch=64, rate=1e-2),
}
SEEDS = {1.0: 3, 2.0: 2, 3.0: 1}  # runs of each exponent
LISTED = 100  # sets that are written down one by one
RESULTS = Path(__file__).parent / "results"


def prepared(name: str, seed: int, count: int) -> dict[str, np.ndarray]:
    """Standardised parts of a planted set, few rows repeated to the common number."""
    pairs = rows.open_pairs(*plant(name, seed, count))
    split = rows.split_rows(pairs.rows, 0.3, seed)
    mean, scale = rows.moments(pairs, split.train)
    held = {
        part: rows.read_blocks(pairs, getattr(split, part), mean, scale)
        for part in ("train", "stop", "test")
    }
    whole = rows.split_rows(count, 0.3, seed)
    for part in ("train", "stop"):
        wanted = sum(stop - start for start, stop in getattr(whole, part))
        own = held[part]
        held[f"wide_{part}"] = own[:, np.arange(wanted) % own.shape[1]]
    return held


def fitted(
    sets: list[dict[str, np.ndarray]], p: float, part: Part
) -> dict[str, np.ndarray]:
    """Outputs of every set and seed, `[sets, seeds, ...]`."""
    how = Learning(
        OUTPUTS,
        p=p,
        hidden=(32, 32),
        steps=part.steps,
        batch=part.batch,
        learning_rate=part.rate,
    )
    seeds = SEEDS[p]
    train, stop = (
        np.repeat(np.stack([one[f"wide_{name}"] for one in sets]), seeds, axis=0)
        for name in ("train", "stop")
    )
    found = learn(how, train, stop, seeds=range(len(train)), patience=6)
    programs = programs_of(how, train.shape[-1])

    def outputs(name: str) -> list[np.ndarray]:
        most = max(one[name].shape[1] for one in sets)
        wide = [one[name][:, np.arange(most) % one[name].shape[1]] for one in sets]
        repeated = np.repeat(np.stack(wide), seeds, axis=0)
        y = np.asarray(programs.outputs_own(found.params["f"], repeated))
        y = y.reshape(len(sets), seeds, *y.shape[1:])
        return [y[i][:, :, : one[name].shape[1]] for i, one in enumerate(sets)]

    last = found.history[-1]
    gap = np.subtract(last["held_out"], last["loss"]).reshape(len(sets), seeds)
    held = {"loss": found.loss.reshape(len(sets), seeds), "overfit": gap}
    for name in ("stop", "test"):
        held |= {f"{name}_{i}": y for i, y in enumerate(outputs(name))}
    return held


def piece(root: Path, wanted: list[tuple[str, int]], part: Part) -> list[dict]:
    """What is said of some sets: fitted and judged, or read where it was before."""
    ends = f"{wanted[0][0]}-{wanted[0][1]}-{wanted[-1][0]}-{wanted[-1][1]}"
    label = f"{ends}-{len(wanted)}-{part.rows}x{part.steps}x{part.batch}"
    path = root / f"{label}.json"
    if path.exists():
        return read_json(path)
    began = time.process_time()
    sets, held = [prepared(*one, part.rows) for one in wanted], {}
    for p in SEEDS:
        outputs = root / f"{label}-p{p:g}.npz"
        held[p] = read_arrays(outputs)
        if not held[p]:
            write_arrays(outputs, fitted(sets, p, part))
            held[p] = read_arrays(outputs)
    between = time.process_time()
    found = [judged(one, i, held, *wanted[i]) for i, one in enumerate(sets)]
    write_json(path, found)
    cost = between - began, time.process_time() - between
    print(f"{label}: CPU {cost[0]:.0f} s to fit, {cost[1]:.0f} s to judge", flush=True)
    return found


def judged(one, i: int, held: dict, name: str, seed: int) -> dict:
    """What is said of one set, and whether it is right."""
    case = CASES[name]
    runs = {}
    for p, own in held.items():
        y = own[f"test_{i}"]
        runs[p] = Outputs(y[:, 0], y[:, 1], own[f"stop_{i}"])
    best = int(np.argmin(held[case.p]["loss"][i]))
    found = gather(
        one["test"][0],
        runs,
        p=case.p,
        best=best,
        overfit=float(held[case.p]["overfit"][i].mean()),
        train_rows=one["train"].shape[1],
    )
    said = [sentence.name for sentence in say(found)]
    missed = [" or ".join(g) for g in case.right if not set(g) & set(said)]
    false = sorted(set(case.wrong) & set(said))
    return {
        "case": name, "seed": seed, "said": said, "missed": missed, "false": false,
        "right": not missed and not false, "numbers": numbers(found),
    }  # fmt: skip


def numbers(found) -> dict:
    """The evidence that rules read, short."""
    names = (
        "bits", "p_value", "overfit", "matched", "rotated", "linear", "linear_of_x",
        "effective", "local", "change", "correlated", "tails", "uniform",
    )  # fmt: skip
    short = {name: np.round(getattr(found, name), 4).tolist() for name in names}
    short["gains"] = {
        f"{p:g}": [round(r.gain, 3), round(r.error, 3)] for p, r in found.rivals.items()
    }
    return short


def summary(results: list[dict], part: Part) -> dict:
    """Counts by case, and every set where they are few."""
    cases = {}
    for name in part.cases:
        own = [r for r in results if r["case"] == name]
        count = {s: sum(s in r["said"] for r in own) for s in SENTENCES}
        cases[name] = {
            "sets": len(own),
            "right": sum(r["right"] for r in own),
            "said": {s: k for s, k in count.items() if k},
            "missed": sorted({s for r in own for s in r["missed"]}),
            "false": sorted({s for r in own for s in r["false"]}),
        }
    settings = dataclasses.asdict(part) | {"cases": len(part.cases)}
    told = {"settings": settings, "sets": len(results), "cases": cases}
    return told | ({"each": results} if len(results) <= LISTED else {})


def table(cases: dict[str, dict]) -> str:
    """A row for each case: truth, what is said, whether it is right."""
    lines = [
        "| planted | truth | right | said, of all | missed | false |",
        "|---|---|---|---|---|---|",
    ]
    for name, own in cases.items():
        said = ", ".join(f"{s} {k}" for s, k in own["said"].items())
        wrong = " | ".join(", ".join(own[kind]) or "-" for kind in ("missed", "false"))
        right = f"{own['right']} of {own['sets']}"
        lines.append(f"| `{name}` | {CASES[name].truth} | {right} | {said} | {wrong} |")
    return "\n".join(lines)


def rates(cases: dict[str, dict]) -> str:
    """A row for each sentence: how often it is said where it is true, where false."""
    lines = [
        "| sentence | said where true | said where false | most of these in |",
        "|---|---|---|---|",
    ]
    for sentence, truth in TRUTH.items():
        shown = []
        for value in (True, False):
            own = [c for name, c in cases.items() if truth.of(name) is value]
            said = sum(c["said"].get(sentence, 0) for c in own)
            shown.append(_rate(said, sum(c["sets"] for c in own)))
        false = {
            name: c["said"][sentence]
            for name, c in cases.items()
            if truth.of(name) is False and sentence in c["said"]
        }
        most = max(false, key=lambda name: false[name]) if false else ""
        where = f"`{most}`, {false[most]} of {cases[most]['sets']}" if most else "-"
        lines.append(f"| `{sentence}` | {shown[0]} | {shown[1]} | {where} |")
    return "\n".join(lines)


def _rate(said: int, sets: int) -> str:
    if not sets:
        return "-"
    low, high = binomtest(said, sets).proportion_ci()
    share = f"{100 * said / sets:.1f} % ({100 * low:.1f} to {100 * high:.1f})"
    return f"{said} of {sets}: {share}"


def main() -> None:
    """Fit, judge, write, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--root", type=Path, required=True)
    parser.add_argument("--part", choices=PARTS, required=True)
    parser.add_argument("--sets", type=int, help="of each case")
    parser.add_argument("--piece", type=int, default=40, help="sets in one program")
    options = parser.parse_args()
    part = PARTS[options.part]
    seeds = range(part.first, part.first + (options.sets or part.sets))
    wanted = [(name, seed) for seed in seeds for name in part.cases]
    results: list[dict] = []
    path = RESULTS / f"diagnose_{options.part}.json"
    for start in range(0, len(wanted), options.piece):
        some = wanted[start : start + options.piece]
        results += piece(options.root, some, part)
        told = summary(results, part)
        text = json.dumps(told).replace('}, {"case', '},\n{"case')
        write_text(path, text.replace('}, "', '},\n"') + "\n")
    cases = {name: own for name, own in told["cases"].items() if own["sets"]}
    print(f"{told['sets']} sets\n\n{table(cases)}\n\n{rates(cases)}")


if __name__ == "__main__":
    main()
