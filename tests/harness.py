"""What every public function answers to arguments that are wrong or extreme.

From each row of `public_calls.CALLS` each argument is changed in every way that
`MUTATIONS` has for its kind, one at a time, and the answer is counted as one of
`OUTCOMES`. Only where a value can tell is a function computed; elsewhere it is traced.

    python tests/harness.py tests/harness.json

tries all of it, in processes that may be lost, and writes and prints the table. Names
of rows after the file try these alone. Answers stand beside the file, in `.answers`, a
line a row: a run that was stopped goes on from there.
"""

import collections
import dataclasses
import functools
import json
import pathlib
import re
import subprocess
import sys
import tempfile
import threading
import traceback
import warnings
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

OUTCOMES = {
    "value": "the value of the valid call, or the one that float64 has",
    "accepted": "an argument that may be so",
    "not finite": "NaN or infinity, where the argument has them or is huge",
    "refused": "ValueError or TypeError that names the argument",
    "unnamed": "ValueError or TypeError of this library that does not name it",
    "opaque": "any other error, or one from below",
    "swallowed": "a finite answer to NaN or infinity",
    "silent": "a wrong value, or an answer to what has the wrong shape, range or type",
    "compiles": "a second call that compiles again",
    "lost": "the process ended, or did not answer",
}
FINE = ("value", "accepted", "not finite", "refused")
HERE = pathlib.Path(__file__).parent
PATIENCE = 300  # seconds without an answer
EPS32 = 2.0**-23


@dataclasses.dataclass(frozen=True)
class Case:
    """One change of one argument: `name` of a row, argument, mutation."""

    name: str
    argument: str
    mutation: str

    def __str__(self):
        return f"{self.name}({self.argument}: {self.mutation})"


# Mutations ---------------------------------------------------------------------------


def _first(value):
    def change(x):
        x = x.copy()
        x.flat[0] = value
        return x

    return change


def _memmap(x):
    with tempfile.NamedTemporaryFile(suffix=".npy") as file:
        mapped = np.memmap(file.name, x.dtype, "w+", shape=x.shape)
    mapped[...] = x
    return mapped


def _read_only(x):
    x = x.copy()
    x.flags.writeable = False
    return x


def _strided(x):
    wide = np.repeat(x, 2, axis=-1)
    return wide[..., ::2]


SHAPES = {
    "rank up": lambda x: x[None],
    "rank down": lambda x: x[0],
    "longer": lambda x: np.concatenate([x, x[:1]]),
    "one row": lambda x: x[:1],
    "no row": lambda x: x[:0],
    "wider": lambda x: np.concatenate([x, x[..., :1]], axis=-1),
    "one column": lambda x: x[..., :1],
    "number": lambda x: x.flat[0],
}
TYPES = {
    "bool": lambda x: x > 0,
    "complex": lambda x: x.astype(np.complex64),
    "text array": lambda x: x.astype(str),
    "objects": lambda x: x.astype(object),
    "list": lambda x: x.tolist(),
    "none": lambda x: None,
    "text": lambda x: "text",
    "masked": lambda x: np.ma.masked_array(x, x > x.mean()),
    "longdouble": lambda x: x.astype(np.longdouble),
    "big-endian": lambda x: x.astype(x.dtype.newbyteorder(">")),
    "structured": lambda x: x.astype([("a", np.float32)]),
}
# Of the same numbers: the answer must be that of the valid call.
SAME = {
    "read-only": _read_only,
    "memmap": _memmap,
    "strided": _strided,
    "jax": jnp.asarray,
    "float64": lambda x: x.astype(np.float64) if x.dtype.kind == "f" else x.astype(int),
}
NOT_FINITE = {
    "nan": _first(np.nan),
    "infinity": _first(np.inf),
    "minus infinity": _first(-np.inf),
}
EXTREME = {
    "offset 1e8": lambda x: x.astype(np.float64) + 1e8,
    "scale 1e20": lambda x: x * np.float32(1e20),
    "scale 1e-20": lambda x: x * np.float32(1e-20),
}
NUMBERS = {
    "nan": float("nan"),
    "infinity": float("inf"),
    "minus infinity": float("-inf"),
    "-1": -1.0,
    "0": 0.0,
    "1": 1.0,
    "2.5": 2.5,
    "1e30": 1e30,
    "-1e30": -1e30,
    "1e-30": 1e-30,
    "text": "text",
    "none": None,
    "complex": 1j,
    "list": [0.5],
    "array": np.float32([0.5, 0.5]),
    "bytes": b"0.5",
}
WHOLES = {
    "2.5": 2.5,
    "-1": -1,
    "0": 0,
    "nan": float("nan"),
    "infinity": float("inf"),
    "text": "text",
    "none": None,
    "float": 3.0,
    "complex": 1j,
    "list": [3],
    "array": np.int32([3, 3]),
    "true": True,
}
THINGS = {"none": None, "text": "text", "number": 3, "object": object(), "list": [1]}
MUTATIONS = {
    "floats": {
        **NOT_FINITE,
        **EXTREME,
        **SHAPES,
        "integers": lambda x: (4 * x).astype(np.int32),
        **TYPES,
        **SAME,
    },
    "labels": {**NOT_FINITE, **SHAPES, **TYPES, **SAME, "twos": lambda x: 2 * x + 0},
    "integers": {
        "negative": lambda x: x - 1,
        "beyond": lambda x: x + 1000,
        **SHAPES,
        "floats": lambda x: x.astype(np.float32),
        **TYPES,
        **SAME,
    },
    "number": {k: lambda x, v=v: v for k, v in NUMBERS.items()}
    | {"numpy": np.float64, "jax": jnp.asarray},
    "whole": {k: lambda x, v=v: v for k, v in WHOLES.items()} | {"numpy": np.int64},
    "text": {"other": lambda x: "other", "empty": lambda x: "", "bytes": str.encode}
    | {k: lambda x, v=v: v for k, v in THINGS.items() if k != "text"},
    "thing": {k: lambda x, v=v: v for k, v in THINGS.items()},
    "sequence": {
        "empty": lambda x: type(x)(),
        "nan": lambda x: type(x)([float("nan")]) * len(x),
        "negative": lambda x: type(x)([-1]) * len(x),
        "halves": lambda x: type(x)([0.5]) * len(x),
        "longer": lambda x: x + x[:1],
        "names": lambda x: type(x)(["text"]) * len(x),
    }
    | {k: lambda x, v=v: v for k, v in THINGS.items() if k != "list"},
    "key": {
        "none": lambda x: None,
        "number": lambda x: 0,
        "text": lambda x: "text",
        "floats": lambda x: np.ones(2, np.float32),
        "two keys": lambda x: jax.random.split(jax.random.key(0)),
        "numpy": lambda x: np.random.default_rng(0),
    },
}


def cases(calls):
    """Every case of every row, in order."""
    found = []
    for name, row in calls.items():
        for argument, held in row.arguments.items():
            for mutation, change in MUTATIONS[held.kind].items():
                if held.kind in ("floats", "labels", "integers"):
                    changed = change(held.value)
                    one = getattr(changed, "shape", None) == held.value.shape
                    if mutation in SHAPES and one:
                        continue  # as it was
                found.append(Case(name, argument, mutation))
        found.append(Case(name, "", "second call"))
    return found


# One call ----------------------------------------------------------------------------


def valid(row):
    """The arguments of the valid call."""
    return {
        name: jax.random.key(held.value) if held.kind == "key" else held.value
        for name, held in row.arguments.items()
    }


def widened(tree):
    """A tree with float32 arrays of NumPy or JAX in float64."""

    def leaf(x):
        narrow = getattr(x, "dtype", None) == np.float32
        here = jnp if isinstance(x, jax.Array) else np
        return here.asarray(x, np.float64) if narrow else x

    return jax.tree.map(leaf, tree)


def quiet(function):
    """Without warnings: what is asked for here deserves them."""

    @functools.wraps(function)
    def call(*args, **kwargs):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return function(*args, **kwargs)

    return call


@quiet
def computed(row, arguments):
    """Leaves of the answer as NumPy arrays; what is no number is left out."""
    answer = row.function(**arguments)
    leaves = jax.device_get(jax.tree.leaves(answer))
    arrays = [np.asarray(leaf) for leaf in leaves if not callable(leaf)]
    arrays = [a.astype(int) if a.dtype.kind == "b" else a for a in arrays]
    return [a for a in arrays if a.dtype.kind in "fiu" or a.dtype.name == "bfloat16"]


@quiet
def traced(row, arguments):
    """The same call without computing it."""
    jax.eval_shape(lambda: row.function(**arguments))


@functools.cache
def expected(name):
    """The answer to the valid call."""
    from public_calls import CALLS

    return computed(CALLS[name], valid(CALLS[name]))


def finite(leaves):
    return all(np.isfinite(leaf).all() for leaf in leaves)


def close(got, want, slack=0.0, rtol=1e-4):
    """Whether answers agree, to rounding and the slack of each leaf."""
    if [a.shape for a in got] != [a.shape for a in want]:
        return False
    slacks = slack if isinstance(slack, list) else [slack] * len(want)
    for a, b, more in zip(got, want, slacks, strict=True):
        a, b = a.astype(np.float64), b.astype(np.float64)
        size = np.abs(b).max(initial=0)
        if not np.allclose(a, b, rtol=rtol, atol=rtol * size + more, equal_nan=True):
            return False
    return True


# What an answer is -------------------------------------------------------------------


def refusal(error, case, row):
    """Which kind of refusal an exception is."""
    names = {case.argument, *row.says.get(case.argument, "").split("|")} - {""}
    if isinstance(error, ValueError | TypeError):
        text = str(error)
        own = traceback.extract_tb(error.__traceback__)[-1].filename
        if "/jidcl/" in own.replace("\\", "/"):
            if case.mutation in SHAPES:  # of two that do not fit, either
                names |= set(row.arguments) | {"columns"}
            named = any(re.search(rf"\b{re.escape(n)}\b", text) for n in names)
            return "refused" if named else "unnamed"
    return "opaque"


def answer(case, calls):
    """The outcome of one case, and what it said."""
    row = calls[case.name]
    try:
        if case.mutation == "second call":
            return again(row), ""
        held = row.arguments[case.argument]
        change = MUTATIONS[held.kind][case.mutation]
        arguments = valid(row) | {case.argument: change(held.value)}
        return judged(case, row, held, arguments), ""
    except Exception as error:  # what is counted
        said = f"{type(error).__name__}: {error}".splitlines()[0]
        return refusal(error, case, row), said[:200]


def judged(case, row, held, arguments):
    """The outcome of a case that is not refused."""
    mutation = case.mutation
    numeric = held.kind in ("number", "whole")
    if held.kind in ("floats", "labels") and mutation in NOT_FINITE:
        return not_finite(row, held, arguments, mutation)
    if mutation in EXTREME and held.kind == "floats":
        return extreme(case, row, held, arguments)
    if mutation in SAME and held.kind in ("floats", "labels", "integers"):
        got = computed(row, arguments)
        if row.random and mutation == "float64":
            return "accepted"  # drawn with 64-bit types, other rows
        return "value" if close(got, expected(case.name)) else "silent"
    if numeric and mutation in ("numpy", "jax"):
        got = computed(row, arguments)
        return "value" if close(got, expected(case.name)) else "silent"
    if numeric:
        return in_range(row, held, arguments, mutation)
    (computed if row.host else traced)(row, arguments)
    return "accepted" if allowed(held, mutation) else "silent"


def allowed(held, mutation):
    """Whether an argument may be so."""
    free = set(held.free)
    if "any" in free or mutation in free:
        return True
    of_axis = {
        "rank up": {"rank", "rank up"},
        "rank down": {"rank", "rank down"},
        "number": {"number"},
        "longer": {0},
        "one row": {0},
        "no row": {0, "rank"},
        "wider": {getattr(held.value, "ndim", 0) - 1, "width"},
        "negative": {"range"},
        "beyond": {"range"},
    }
    of_axis["one column"] = of_axis["wider"]
    if mutation in of_axis and free & of_axis[mutation]:
        return True
    # One dimension: its length is its width.
    flat = getattr(held.value, "ndim", 0) == 1
    return flat and mutation in ("longer", "one row", "no row") and "width" in free


def not_finite(row, held, arguments, mutation):
    got = computed(row, arguments)
    if not finite(got):
        return "not finite"
    kinds = {"nan"} if mutation == "nan" else {"nan", "infinite"}
    return "accepted" if kinds & set(held.free) else "swallowed"


def in_range(row, held, arguments, mutation):
    value = arguments[[k for k, v in row.arguments.items() if v is held][0]]
    if mutation in ("array", "list", "none", "text", "complex", "bytes", "true"):
        (computed if row.host else traced)(row, arguments)
        return "accepted" if allowed(held, mutation) else "silent"
    whole = held.kind == "number" or float(value).is_integer()
    low = value > held.low if held.open else value >= held.low
    inside = low and value <= held.high and whole
    got = computed(row, arguments)
    if inside and value == value:
        return "value" if finite(got) else "not finite"
    return "silent" if finite(got) else "not finite"


def extreme(case, row, held, arguments):
    """Against float64, to what rounding the arguments to float32 is worth."""
    got = computed(row, arguments)
    if not finite(got):
        return "not finite"
    if row.random:
        return "accepted"
    on_host = case.name.startswith("metrics.") and case.mutation == "offset 1e8"
    if not on_host:  # what float32 holds of them
        arguments = arguments | {case.argument: np.float32(arguments[case.argument])}
        got = computed(row, arguments)
    eps = 2.0**-52 if on_host else EPS32
    rng = np.random.default_rng(0)
    with jax.enable_x64(True):
        wide = widened(arguments)
        want = computed(row, wide)
        moved = []
        for _ in range(4):
            near = {
                k: v * (1 + eps * rng.choice([-1, 1], v.shape))
                if row.arguments[k].kind == "floats"
                else v
                for k, v in wide.items()
            }
            moved.append(computed(row, near))
    # Terms that cancel are rounded as they are, and what is below float32 is 0.
    least = 1e-6 * max((np.abs(a).max(initial=0) for a in want), default=0) + 1e-37
    slack = [
        least + 100 * max(np.nanmax(np.abs(a - b), initial=0) for a in near)
        for b, near in zip(want, zip(*moved, strict=True), strict=True)
    ]
    return "value" if close(got, want, slack, rtol=1e-3) else "silent"


def compilations():
    """Programs compiled so far in this process, as `budget` counts them."""
    import budget

    return budget.compiled()


def again(row):
    """Whether a second call compiles, after one that may."""
    computed(row, valid(row))
    again_valid = valid(row)
    before = compilations()
    computed(row, again_valid)
    return "compiles" if compilations() > before else "value"


# All of it ---------------------------------------------------------------------------


def table(answers):
    """Counts of outcomes, by mutation and in all, and what is not fine."""
    counts = collections.Counter(outcome for outcome, _ in answers.values())
    by_mutation = collections.defaultdict(collections.Counter)
    for case, (outcome, _) in answers.items():
        by_mutation[case.mutation][outcome] += 1
    return {
        "cases": len(answers),
        "functions": len({case.name for case in answers}),
        "outcomes": {name: counts[name] for name in OUTCOMES},
        "means": OUTCOMES,
        "by_mutation": {k: dict(v) for k, v in sorted(by_mutation.items())},
        "not_fine": [
            {"case": str(case), "outcome": outcome, "said": said}
            for case, (outcome, said) in answers.items()
            if outcome not in FINE
        ],
    }


def markdown(result):
    """The counts as a table of a page."""
    lines = ["| outcome | what it is | cases |", "|---|---|---|"]
    lines += [f"| {k} | {v} | {result['outcomes'][k]} |" for k, v in OUTCOMES.items()]
    return "\n".join(lines) + (
        f"\n\n{result['cases']} cases of {result['functions']} functions."
    )


def _child(names):
    """Answer the cases of these rows, a line each; what is next stands before it."""
    import conftest  # noqa: F401  the flags of the tests
    from public_calls import CALLS

    for case in cases({name: CALLS[name] for name in names}):
        print(json.dumps(dataclasses.astuple(case)), flush=True)
        print(json.dumps(answer(case, CALLS)), flush=True)


def _answers(names) -> Any:
    """Answers of a process for these rows; a case that ends it is lost."""
    command = [sys.executable, __file__, "--rows", *names]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=HERE)
    assert process.stdout is not None
    case, found = None, {}
    while True:
        timer = threading.Timer(PATIENCE, process.kill)
        timer.start()
        line = process.stdout.readline()
        timer.cancel()
        if not line:
            break
        held = json.loads(line)
        if len(held) == 3:
            case = Case(*held)
        else:
            found[case] = tuple(held)
            case = None
    if case is not None:
        found[case] = ("lost", f"exit {process.wait()}")
    return found


def kept(path, calls):
    """Answers of an earlier run to the cases that rows still have."""
    found: dict = {}
    if path.exists():
        for line in path.read_text().splitlines():
            row = {Case(*case): tuple(held) for case, held in json.loads(line)}
            name = next(iter(row)).name
            if name in calls and list(row) == cases({name: calls[name]}):
                found |= row
    return found


def keep(path, answers):
    """Add the answers of these rows to the file, a line a row."""
    by_name = collections.defaultdict(list)
    for case, held in answers.items():
        by_name[case.name].append((dataclasses.astuple(case), held))
    with path.open("a") as file:
        file.writelines(json.dumps(row) + "\n" for row in by_name.values())


def main(path, *only):
    """Try all cases, or some rows', and write the table; 1 where any is not fine."""
    from public_calls import CALLS

    beside = pathlib.Path(path).with_suffix(".answers")
    found = kept(beside, CALLS)
    done = {case.name for case in found}
    names = [name for name in only or CALLS if name not in done]
    for start in range(0, len(names), 6):
        some = names[start : start + 6]
        wanted = cases({name: CALLS[name] for name in some})
        while missing := [case for case in wanted if case not in found]:
            rest = list(dict.fromkeys(case.name for case in missing))
            got = _answers(rest)
            new = {case: a for case, a in got.items() if case not in found}
            if not new:
                raise SystemExit(f"no answer for {rest}")
            found |= new
            lost = [case for case, (outcome, _) in new.items() if outcome == "lost"]
            for case in lost:  # its row is not tried further: it would end again
                found |= {
                    c: ("lost", "not tried")
                    for c in wanted
                    if c.name == case.name and c not in found
                }
        keep(beside, {case: found[case] for case in wanted})
        print(f"{min(start + 6, len(names))} of {len(names)}", file=sys.stderr)
    result = table(found)
    pathlib.Path(path).write_text(json.dumps(result, indent=1) + "\n")
    print(markdown(result))
    return int(any(result["outcomes"][k] for k in OUTCOMES if k not in FINE))


if __name__ == "__main__":
    sys.path.insert(0, str(HERE))
    if sys.argv[1] == "--rows":
        _child(sys.argv[2:])
    else:
        sys.exit(main(*sys.argv[1:]))
