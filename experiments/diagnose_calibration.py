"""Is a diagnosis right where the truth is known? Planted pairs, all fits batched.

    python experiments/diagnose_calibration.py --root runs/diagnose --part tuning
    python experiments/diagnose_calibration.py --root runs/diagnose --part scoring
    python experiments/diagnose_calibration.py --root runs/diagnose --part shuffled

Every case of `jidcl.diagnosis.planted.CASES` is drawn `--sets` times. Each set is
fitted with p = 1, 2, 3 (three, two seeds, one), all sets of a piece in one program.
What was fitted lies in `--root` and is not fitted again. `--part all --sets 170` are
some 2,000 sets. Writes `experiments/results/diagnose_<part>.json`; prints the tables.
"""

import argparse
import json
from pathlib import Path

import numpy as np

from jidcl.diagnosis.evidence import Outputs, gather
from jidcl.diagnosis.planted import CASES, OUTPUTS, plant
from jidcl.diagnosis.sentences import SENTENCES, say
from jidcl.estimate import pairs as rows
from jidcl.estimate.learning import Learning
from jidcl.estimate.training import learn, programs_of
from jidcl.files import read_arrays, write_arrays

FIRST = {"tuning": 0, "scoring": 1000, "shuffled": 2000, "all": 10_000}
SETS = {"tuning": 2, "scoring": 3, "shuffled": 200, "all": 170}
SEEDS = {1.0: 3, 2.0: 2, 3.0: 1}  # runs of each exponent
ROWS, ROWS_OF = 10_000, {"shuffled": 2000}
SETTINGS = dict(hidden=(32, 32), batch=128, learning_rate=4e-3)
STEPS = {"shuffled": 100}  # 800 else: a null of shuffled partners asks for no end
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
    sets: list[dict[str, np.ndarray]], p: float, steps: int
) -> dict[str, np.ndarray]:
    """Outputs of every set and seed, `[sets, seeds, ...]`."""
    how, seeds = Learning(OUTPUTS, p=p, steps=steps, **SETTINGS), SEEDS[p]
    train, stop = (
        np.repeat(np.stack([one[f"wide_{part}"] for one in sets]), seeds, axis=0)
        for part in ("train", "stop")
    )
    found = learn(how, train, stop, seeds=range(len(train)), patience=6)
    programs = programs_of(how, train.shape[-1])

    def outputs(part: str) -> list[np.ndarray]:
        most = max(one[part].shape[1] for one in sets)
        wide = [one[part][:, np.arange(most) % one[part].shape[1]] for one in sets]
        repeated = np.repeat(np.stack(wide), seeds, axis=0)
        y = np.asarray(programs.outputs_own(found.params["f"], repeated))
        y = y.reshape(len(sets), seeds, *y.shape[1:])
        return [y[i][:, :, : one[part].shape[1]] for i, one in enumerate(sets)]

    last = found.history[-1]
    gap = np.subtract(last["held_out"], last["loss"]).reshape(len(sets), seeds)
    held = {"loss": found.loss.reshape(len(sets), seeds), "overfit": gap}
    for part in ("stop", "test"):
        held |= {f"{part}_{i}": y for i, y in enumerate(outputs(part))}
    return held


def piece(
    root: Path, wanted: list[tuple[str, int]], exponents, steps: int, count: int
) -> list[tuple]:
    """Planted sets with the outputs of every exponent, as `judged` takes them."""
    sets = [prepared(*one, count) for one in wanted]
    held = {}
    for p in exponents:
        label = f"{wanted[0][0]}-{wanted[0][1]}-{wanted[-1][1]}-{len(wanted)}-p{p:g}"
        path = root / f"{label}.npz"
        held[p] = read_arrays(path)
        if not held[p]:
            write_arrays(path, fitted(sets, p, steps))
            held[p] = read_arrays(path)
            print("fitted", label, flush=True)
    return [(one, i, held, *wanted[i]) for i, one in enumerate(sets)]


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


def table(results: list[dict]) -> str:
    """A row for each case."""
    lines = [
        "| planted | right | said, of all | missed | false |",
        "|---|---|---|---|---|",
    ]
    for name in dict.fromkeys(r["case"] for r in results):
        own = [r for r in results if r["case"] == name]
        counts = {s: sum(s in r["said"] for r in own) for s in SENTENCES}
        said = ", ".join(f"{s} {k}" for s, k in counts.items() if k)
        wrong = [
            ", ".join(sorted({s for r in own for s in r[kind]})) or "-"
            for kind in ("missed", "false")
        ]
        right = f"{sum(r['right'] for r in own)} of {len(own)}"
        lines.append(f"| {name} | {right} | {said} | {wrong[0]} | {wrong[1]} |")
    return "\n".join(lines)


def main() -> None:
    """Fit, judge, write, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--root", type=Path, required=True)
    parser.add_argument("--part", choices=FIRST, required=True)
    parser.add_argument("--sets", type=int)
    parser.add_argument("--piece", type=int, default=24, help="sets in one program")
    parser.add_argument("--exponent", type=float, help="fit this one alone, no more")
    options = parser.parse_args()
    count = options.sets or SETS[options.part]
    names = ["shuffled"] if options.part == "shuffled" else list(CASES)
    first = FIRST[options.part]
    wanted = [(name, first + k) for k in range(count) for name in names]
    exponents = (1.0,) if options.part == "shuffled" else tuple(SEEDS)
    exponents = (options.exponent,) if options.exponent else exponents
    results, steps = [], STEPS.get(options.part, 800)
    size = ROWS_OF.get(options.part, ROWS)
    for start in range(0, len(wanted), options.piece):
        some = wanted[start : start + options.piece]
        found = piece(options.root, some, exponents, steps, size)
        results += [judged(*one) for one in found if not options.exponent]
    if options.exponent:
        return
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"diagnose_{options.part}.json"
    path.write_text(json.dumps(results, indent=None).replace("}}, {", "}},\n{") + "\n")
    print(table(results))


if __name__ == "__main__":
    main()
