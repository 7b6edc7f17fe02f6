"""What to run first on a GPU, in two calls that end: see docs/accelerators.md.

    python benchmarks/accelerator.py OUT first|second|PIECE ... [--seconds S] [--tiny]

A piece is a list of named rows, written to OUT/PIECE/results.json one by one. What is
there already is left out, so that another call does the rest. Needs JAX, flax, optax;
orbax where it trains; pytest and hypothesis for `tests`. `--tiny`: dry, on a CPU.
"""

import argparse
import dataclasses
import os
import pathlib
import subprocess
import sys
import time
import xml.etree.ElementTree as xml
from functools import cache, partial
from importlib.metadata import version
from importlib.util import find_spec

HERE = pathlib.Path(__file__).parents[1]
# Pieces of a call, with the most seconds of each. What trains comes last, takes what is
# left of the call, and goes on from its checkpoint in the next one.
CALLS = {
    "first": dict(tests=200, errors=75, narrow=75, t2r5=300, t2r7=300),
    "second": dict(wide=90, million=90, scenes=70, t2r5=300, t2r7=300),
}
SECONDS = 345  # of a call
LEAST = 10  # a piece is not started with fewer

# Trying every way to multiply takes 50 s a program on an H100, the library's own choice
# six; and processes that share a device must not each take all of its memory.
FLAGS = "--xla_gpu_enable_triton_gemm=false --xla_gpu_autotune_level=0"


class OutOfTime(Exception):
    """The rest is for another call."""


class LeftOut(Exception):
    """Something that this machine does not have."""


# Pieces: (name of a row, function of the seconds left that returns the row) ----------


def gpu_tests(out, tiny):
    """`pytest -m gpu`: values and gradients of compiled kernels against float64."""

    def run(left):
        report = out / "junit.xml"
        flags = f"{os.environ['XLA_FLAGS']} --xla_backend_optimization_level=3"
        own = {"XLA_FLAGS": flags, "PYTHONPATH": str(HERE)}
        own |= {"JAX_PLATFORMS": "cpu" if on_cpu() else "cuda,cpu"}
        # Plugins that happen to be installed may warn, and a warning is an error.
        own |= {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
        paths = [p for p in HERE.glob("tests/**/*.py") if "mark.gpu" in p.read_text()]
        command = [sys.executable, "-m", "pytest", "-q", "-m", "gpu", *map(str, paths)]
        command += ["-p", "no:cacheprovider", f"--junitxml={report.resolve()}"]
        most = None if left() == float("inf") else left()
        subprocess.run(
            command, cwd=HERE, env=os.environ | own, timeout=most, check=False
        )
        suite = xml.parse(report).getroot().find("testsuite")
        names = "tests", "failures", "errors", "skipped"
        count = {name: int(suite.get(name)) for name in names}
        passed = count["tests"] > 0 == count["failures"] + count["errors"]
        return {**count, "passed": passed and count["skipped"] == 0}

    yield "gpu tests", run


def kernel_errors(out, tiny):
    """Kernels beside float64: the largest error over the largest entry."""
    import jax
    import jax.numpy as jnp
    import numpy as np

    from jidcl.bench.rows import SIMILARITIES
    from jidcl.losses.logsumexp import row_logsumexp

    rows, cols, widths = (24, 40, (3,)) if tiny else (2048, 4096, (10, 128))

    def arrays(m):
        rng = np.random.default_rng(0)
        a, b, weight = (rng.normal(size=s) for s in ((rows, m), (cols, m), rows))
        args = a / m**0.5, b / m**0.5, np.asarray(0.5), weight
        return [x.astype(np.float32) for x in args]

    def computed(similarity, tile, args, dtype):
        def run(a, b, tau, weight):
            def lse(a, b, tau):
                return row_logsumexp(similarity, a, b, tau=tau, tile=tile)

            value, pull = jax.vjp(lse, a, b, tau)
            return value, *pull(weight)

        found = jax.jit(run)(*(jnp.asarray(x, dtype) for x in args))
        return [np.asarray(x, np.float64) for x in found]

    @cache
    def exact(name, m):
        with jax.enable_x64(True):
            return computed(SIMILARITIES[name], (256, 1024), arrays(m), np.float64)

    def row(name, precision, m, left):
        args = arrays(m)
        similarity = dataclasses.replace(SIMILARITIES[name], precision=precision)
        got, want = computed(similarity, "kernel", args, np.float32), exact(name, m)
        errors = [
            abs(x - y).max() / abs(y).max() for x, y in zip(got, want, strict=True)
        ]
        return dict(zip(("lse", "a", "b", "tau"), errors, strict=True))

    for name in ("dot", "p=2") if tiny else SIMILARITIES:
        fast = ["fast"] * (name == "dot")
        for precision in ("float32", *fast, "bfloat16"):
            for m in widths:
                yield f"{name} {precision} {m}", partial(row, name, precision, m)


def losses(out, tiny, *, batch, cases, repeats=5):
    """Losses with gradients beside the measured rates, and `inf_cl` for wide rows."""
    import numpy as np

    from jidcl.bench import rows
    from jidcl.bench.measure import Ceilings, measure_ceilings

    batch = 96 if tiny else batch

    def rates(left):
        return measure_ceilings(1 if tiny else 5)._asdict()

    def row(name, n, form, precision, left):
        top = Ceilings(**held(out)["rates"])
        own = dict(tile=rows.FORMS[form], precision=precision, repeats=repeats)
        return rows.loss_row(name, batch, n, top, **own)

    def inf_cl(n, left):
        peers = rows.Options(batch=batch, n=n).torch
        if peers is None or not peers.has_inf_cl(n):
            raise LeftOut("needs CUDA, torch and inf-cl")
        arrays = (np.array(x) for x in rows.embeddings(batch, n))
        times = peers.time_inf_cl(*arrays, repeats=repeats)
        return dict(median_s=float(sorted(times)[len(times) // 2]), precision="fast")

    yield "rates", rates
    for name, n, form, precision in cases:
        if not (on_cpu() and form == "kernels"):
            key = f"{name} {n} {form} {precision}"
            yield key, partial(row, name, n, form, precision)
    if batch > 2**15 or tiny:
        yield "inf_cl", partial(inf_cl, 128)


PRECISIONS = "bfloat16", "fast", "float32"
WIDE = [("dot", 128, f, p) for f in ("kernels", "auto") for p in PRECISIONS]
WIDE += [("p=2", 64, "kernels", p) for p in ("bfloat16", "float32")]
NARROW = [("dot", 10, f, p) for f in ("kernels", "auto") for p in PRECISIONS]
NARROW += [
    (f"p={k}", 10, form, p)
    for k in (1, 2, 3)
    for form in ("kernels", "auto")
    for p in ("float32", "bfloat16")
]


def million(out, tiny):
    """Rows against a million columns, some rows a piece: sums and gradients.

    The pieces of a precision are one loss with its gradients for all pairs.
    """
    import jax
    import jax.numpy as jnp

    from jidcl.losses import Similarity
    from jidcl.losses.logsumexp import row_logsumexp

    batch, pieces, n = (256, 4, 16) if tiny else (2**20, 64, 128)
    size, tile = batch // pieces, "auto" if on_cpu() else "kernel"
    made = {}

    def prepare(precision):
        similarity = Similarity(precision=precision)

        def total(a, b):
            return jnp.sum(row_logsumexp(similarity, a, b, tile=tile))

        y = 0.3 * jax.random.normal(jax.random.key(0), (batch, n))
        program = jax.jit(jax.value_and_grad(total, (0, 1)))
        program = program.lower(y[:size], y).compile()
        jax.block_until_ready(program(y[:size], y))
        made[precision] = program, y

    def row(precision, k, left):
        if precision not in made:
            prepare(precision)
        program, y = made[precision]
        a = jax.block_until_ready(y[k * size : (k + 1) * size])
        began = time.perf_counter()
        value, _ = jax.block_until_ready(program(a, y))
        took = time.perf_counter() - began
        return dict(seconds=took, sum=float(value), rows=size, cols=batch, n=n)

    for precision in PRECISIONS:
        for k in range(pieces):
            yield f"{precision} {k + 1}/{pieces}", partial(row, precision, k)


def scenes(out, tiny):
    """Pictures a second of every scene at three sizes."""
    from jidcl.bench.scenes import SIZES, scene_row
    from jidcl.mixing.scenes import SCENES

    for name in ("sprites",) if tiny else SCENES:
        for size in (8,) if tiny else SIZES:
            own = dict(batch=2 if tiny else 1024, repeats=3, size=size)
            yield f"{name} {size}", lambda left, n=name, own=own: scene_row(n, **own)


TINY = dict(widths=(4, 8), batch=16, steps=8, chunk=4, warmup=1, eval_batch=64)
TINY |= dict(eval_batches=2, mixing_draws=20)


def trained(out, tiny, *, row):
    """A full row of the published tables, five seeds in one program."""
    from jidcl.run.runner import run
    from jidcl.systems.registry import load_presets

    def train(left):
        preset = f"full/{row}"
        config = load_presets("contrastive_ica")[preset]
        config = dataclasses.replace(config, **TINY) if tiny else config
        own = dict(system="contrastive_ica", preset=preset, seeds=range(5))
        events = run(config, **own, root=out.parent / "runs")
        for event in events:
            if event.record is not None:
                record = event.record
                return dict(scores=record.scores, seconds=record.seconds)
            if left() < 0:
                events.close()  # writes a checkpoint
                raise OutOfTime(f"step {event.step} of {event.steps}")
        raise AssertionError("a run ends with its record")

    yield "five seeds", train


PIECES = {
    "tests": gpu_tests,
    "errors": kernel_errors,
    "narrow": partial(losses, batch=6144, cases=NARROW),
    "wide": partial(losses, batch=65536, cases=WIDE),
    "million": million,
    "scenes": scenes,
    "t2r5": partial(trained, row="t2r5"),
    "t2r7": partial(trained, row="t2r7"),
}


# Doing them ---------------------------------------------------------------------------


def on_cpu():
    import jax

    return jax.default_backend() == "cpu"


def held(out):
    """The rows that a piece has."""
    return read(out).get("rows", {})


def read(out):
    """What a piece has written; nothing before its first row."""
    from jidcl.files import from_json

    path = out / "results.json"
    return from_json(path.read_text()) if path.exists() else {}


def do_piece(out, name, seconds, tiny):
    """The rows that are missing, while there is time; whether all are there."""
    import jax

    from jidcl.files import write_json

    began, folder = time.monotonic(), out / name
    rows, done = held(folder), True
    device = jax.devices()[0]
    result = dict(device=f"{device.platform} {device.device_kind}", tiny=tiny)
    result |= {"versions": {p: version(p) for p in ("jax", "torch") if find_spec(p)}}

    if rows and {k: read(folder)[k] for k in ("device", "tiny")} != {
        k: result[k] for k in ("device", "tiny")
    }:
        raise SystemExit(f"OUT must be new for another device or size, got {folder}")

    def left():
        return seconds - (time.monotonic() - began)

    for key, run in PIECES[name](folder, tiny):
        if key in rows:
            continue
        try:
            if left() < 0:
                raise OutOfTime(f"{key} and what follows")
            rows[key] = run(left)
        except OutOfTime as rest:
            print(f"{name}: no time for {rest}", flush=True)
            done = False
            break
        except LeftOut as reason:
            print(f"{name} {key}: left out, {reason}", flush=True)
            continue
        except Exception as error:  # the other rows are worth having
            print(f"{name} {key}: {type(error).__name__}: {error}", flush=True)
            done = False
            continue
        write_json(folder / "results.json", {**result, "done": False, "rows": rows})
        print(f"{name} {key}: {short(rows[key])}", flush=True)
    write_json(folder / "results.json", {**result, "done": done, "rows": rows})
    return done


def short(row):
    """The numbers of a row, on a line."""
    items = row.items()
    plain = {k: v for k, v in items if isinstance(v, bool | int | float)}
    return ", ".join(f"{k} {v:.4g}" for k, v in plain.items()) or "done"


def do_call(out, pieces, seconds, tiny):
    """Each piece in a process of its own, ended when its time is over."""
    end, all_done = time.monotonic() + seconds, True
    for name, most in pieces.items():
        if read(out / name).get("done"):
            print(f"== {name}: done before", flush=True)
            continue
        most = min(most, end - time.monotonic())
        if most < LEAST:
            print(f"== {name}: left for another call", flush=True)
            all_done = False
            continue
        print(f"== {name}: at most {most:.0f} s", flush=True)
        command = [sys.executable, __file__, str(out), name]
        command += ["--seconds", f"{most - min(20, most / 3):.0f}"]
        try:
            # Rows end by themselves in time; what hangs is ended here.
            code = subprocess.run(
                command + ["--tiny"] * tiny, timeout=most, check=False
            ).returncode
        except subprocess.TimeoutExpired:
            code = "ended"
        all_done &= code == 0
        if code:
            print(f"== {name}: not done ({code})", flush=True)
    took = seconds - (end - time.monotonic())
    print(f"== {took:.0f} s; {'all done' if all_done else 'call again'}", flush=True)
    return all_done


def main(args=None):
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("what", choices=[*CALLS, *PIECES])
    parser.add_argument("--seconds", type=float)
    parser.add_argument("--tiny", action="store_true")
    given = parser.parse_args(args)
    flags = os.environ.get("XLA_FLAGS", "")
    os.environ["XLA_FLAGS"] = flags if FLAGS in flags else f"{flags} {FLAGS}".strip()
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
    cache = str((given.out / "cache").resolve())
    os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", cache)
    sys.path.insert(0, str(HERE))
    os.environ["PYTHONPATH"] = os.pathsep.join(sys.path)
    if given.what in CALLS:
        seconds = SECONDS if given.seconds is None else given.seconds
        done = do_call(given.out, CALLS[given.what], seconds, given.tiny)
    else:
        seconds = float("inf") if given.seconds is None else given.seconds
        done = do_piece(given.out, given.what, seconds, given.tiny)
    return 0 if done else 3


if __name__ == "__main__":
    sys.exit(main())
