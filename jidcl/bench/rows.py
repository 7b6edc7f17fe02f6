"""Benchmark rows: one loss, one training step, small problems, growth with the batch.

A row is a dict with what was measured, by whom, its times, memory and floor.
"""

import dataclasses
import os
import resource
import tempfile
import time
from collections.abc import Iterator
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jidcl.bench.floors import loss_floor, own_floor, step_floor
from jidcl.bench.independence import independence_rows
from jidcl.bench.measure import Ceilings, Timing, repeat, time_program, timing
from jidcl.bench.scenes import scene_rows
from jidcl.losses.contrastive import infonce
from jidcl.losses.similarity import Similarity
from jidcl.numerics import PRODUCTS
from jidcl.run import runner
from jidcl.systems.registry import load_presets, load_system
from jidcl.train import loop
from jidcl.train.sharding import make_mesh

SIMILARITIES = {
    "dot": Similarity(),
    "p=1": Similarity("lp", 1.0),
    "p=2": Similarity("lp", 2.0),
    "p=3": Similarity("lp", 3.0),
}
ROWS_OF_TABLES = {"dot": "t1r3", "p=1": "t2r6", "p=2": "t1r5", "p=3": "t1r8"}
SMALL = dict(n=4, widths=(4, 8, 8, 4), batch=256, mixing_draws=1)
SMALL_STEPS = 50
WIDEST_MATRIX = 8192  # above it the forms that store all pairs are left out
FORMS = {"auto": "auto", "matrix": None, "kernels": "kernel"}  # tile of each
TILES = [(256, 1024), (512, 4096), (1024, 4096), (1024, 8192), (2048, 8192)]
TILES += [(4096, 4096), (4096, 16384)]


@dataclasses.dataclass(frozen=True)
class Options:
    """What all suites share.

    Attributes:
        batch: rows of the loss and of the whole step.
        n: width.
        repeats: timed calls.
        peer: time the textbook PyTorch formulation beside, where torch is installed.
        similarities: which of `SIMILARITIES`.
        forms: which of `FORMS` of a loss, where they run.
        precisions: which precisions of products, where they differ.
    """

    batch: int = 6144
    n: int = 10
    repeats: int = 5
    peer: bool = True
    similarities: tuple[str, ...] = tuple(SIMILARITIES)
    forms: tuple[str, ...] = tuple(FORMS)
    precisions: tuple[str, ...] = PRODUCTS

    def precisions_of(self, name: str) -> list[str]:
        """Those that differ for a similarity's loss on this platform."""
        several = name == "dot" and jax.default_backend() != "cpu"
        return [p for p in self.precisions if several or p == "float32"]

    @property
    def torch(self) -> Any:
        """The peers' module, or None: not wanted or not installed."""
        if find_spec("torch") is None or not self.peer:
            return None
        from jidcl.bench import torch_peer

        return torch_peer


def loss_row(
    name: str,
    batch: int,
    n: int,
    top: Ceilings,
    *,
    tile: Any = "auto",
    precision: str = "float32",
    repeats: int,
) -> dict[str, Any]:
    """One infonce with gradients for anchors and positives.

    Args:
        name: of a similarity in `SIMILARITIES`.
        batch: anchors, >= 2.
        n: dimension of the embeddings.
        top: what the machine can do, see `measure_ceilings`.
        tile: see `jidcl.losses.infonce`.
        precision: of matrix products, one of `jidcl.numerics.PRODUCTS`.
        repeats: timed runs, >= 1.

    Returns:
        Shapes, times, memory and ratios by name.
    """
    y, y_pos = embeddings(batch, n)
    similarity = dataclasses.replace(SIMILARITIES[name], precision=precision)

    def loss(y, y_pos):
        return infonce(y, y_pos, similarity=similarity, tile=tile)[0]

    gradient = jax.value_and_grad(loss, argnums=(0, 1))
    took = time_program(gradient, y, y_pos, repeats=repeats)
    what = {"similarity": name, "batch": batch, "n": n, "tile": tile}
    what |= {"precision": precision}
    floors = [
        floor(top, name, n, batch, precision) for floor in (loss_floor, own_floor)
    ]
    # Forms that are timed beside each other can be seen to agree.
    value = {"value": float(took.result[0])}
    return _row("loss", "jidcl", what, took, *floors) | value


def step_row(
    name: str,
    config: Any,
    top: Ceilings,
    *,
    seeds: int = 1,
    steps: int = 1,
    repeats: int,
) -> dict[str, Any]:
    """Whole training steps (draw, mix, encode, loss, gradients, update), each.

    Args:
        name: what the row is called.
        config: settings of contrastive ICA.
        top: what the machine can do, see `measure_ceilings`.
        seeds: runs that are trained together, >= 1.
        steps: updates per dispatch, >= 1.
        repeats: timed dispatches, >= 1.

    Returns:
        Shapes, times, memory and ratios by name.
    """
    program, mesh = load_system("contrastive_ica").make_program(config), make_mesh()
    state = loop.start(program, np.arange(seeds), mesh=mesh)
    compiled, compiling = loop.compile_chunk(program, state, steps=steps, mesh=mesh)
    held = [state]

    def run():
        held[0], _ = jax.block_until_ready(compiled(held[0]))

    extra = compiled.program.memory_analysis().temp_size_in_bytes
    took = timing(repeat(run, repeats) / steps, compiling, extra)
    floor = step_floor(top, name, program, config)
    what = {"similarity": name, "batch": config.batch, "n": config.n, "seeds": seeds}
    what |= {"optimiser": config.optimiser, "precision": config.precision}
    return _row("step", "jidcl", what, took, seeds * floor)


def loss_forms(batch: int, platform: str) -> list[str | None]:
    """Which `tile` of a loss to time, on a platform of that version text."""
    forms: list[str | None] = ["auto"]
    if batch <= WIDEST_MATRIX:
        forms.append(None)
    if "cuda" in platform:  # elsewhere the kernels are interpreted
        forms.append("kernel")
    return forms


def losses(options: Options, top: Ceilings) -> Iterator[dict[str, Any]]:
    """One loss with gradients: chosen form, one matrix, kernels, and the peer."""
    from jidcl.losses.kernel_products import WIDTHS  # and with it Pallas

    batch, n = options.batch, options.n
    for name in options.similarities:
        own: Any = dict(repeats=options.repeats)
        wanted = [FORMS[form] for form in options.forms]
        for tile in loss_forms(batch, jax.devices()[0].client.platform_version):
            precisions = options.precisions_of(name) if tile in wanted else []
            if tile == "kernel" and not WIDTHS[0] <= n <= WIDTHS[1]:
                precisions = precisions[:1]  # no matrix unit is used there
            for precision in precisions:
                kind = dict(tile=tile, precision=precision)
                yield loss_row(name, batch, n, top, **kind, **own)
        if options.torch:
            arrays = [np.array(a) for a in embeddings(batch, n)]
            what = {"similarity": name, "batch": batch, "n": n}
            if batch <= WIDEST_MATRIX:
                times = options.torch.time_loss(name, *arrays, repeats=2)
                floors = [f(top, name, n, batch) for f in (loss_floor, own_floor)]
                yield _row("loss", "torch", what, timing(times), *floors)
            if name == "dot" and options.torch.has_inf_cl(n):
                times = options.torch.time_inf_cl(*arrays, **own)
                floor = loss_floor(top, name, n, batch, "fast")
                what |= {"precision": "fast"}
                yield _row("loss", "inf_cl", what, timing(times), floor)


def tiles(options: Options, top: Ceilings) -> Iterator[dict[str, Any]]:
    """One loss with gradients over the tiles of its streamed form."""
    for name in options.similarities:
        for tile in TILES:
            for precision in options.precisions_of(name):
                own: Any = dict(tile=tile, precision=precision, repeats=options.repeats)
                row = loss_row(name, options.batch, options.n, top, **own)
                yield row | {"what": "tile"}


def steps(options: Options, top: Ceilings) -> Iterator[dict[str, Any]]:
    """Whole steps of published rows: published encoder, batch and Adam.

    On an accelerator also in its own precision, and of many seeds at once.
    """
    cases = [(1, "float32")]
    if jax.default_backend() != "cpu":
        cases += [(8, "float32"), (1, "fast"), (8, "fast"), (40, "fast")]
    for name in options.similarities:
        row = ROWS_OF_TABLES[name]
        config = load_presets("contrastive_ica")[f"published/{row}"]
        shape = dict(batch=options.batch, n=options.n, mixing_draws=1)
        config = dataclasses.replace(config, **shape)
        for seeds, precision in cases:
            own = dataclasses.replace(config, precision=precision)
            yield step_row(name, own, top, seeds=seeds, repeats=options.repeats)
        if options.torch and options.batch <= WIDEST_MATRIX:
            times = options.torch.time_steps(name, config, steps=1, repeats=2)
            what = {"similarity": name, "batch": config.batch, "n": config.n}
            program = load_system("contrastive_ica").make_program(config)
            floor = step_floor(top, name, program, config)
            yield _row("step", "torch", what, timing(times), floor)


def small(options: Options, top: Ceilings) -> Iterator[dict[str, Any]]:
    """Small steps (n = 4, B = 256, tiny encoder), where overhead counts; seeds."""
    config = load_presets("contrastive_ica")["published/t1r5"]
    config = dataclasses.replace(config, **SMALL)
    for seeds in (1, 8, 40):
        own = dict(seeds=seeds, steps=SMALL_STEPS, repeats=options.repeats)
        yield step_row("p=2", config, top, **own) | {"what": "small"}
    if options.torch:
        times = options.torch.time_steps("p=2", config, steps=SMALL_STEPS, repeats=3)
        what = {"similarity": "p=2", "batch": config.batch, "n": config.n, "seeds": 1}
        yield _row("small", "torch", what, timing(times), float("nan"))


def growth(options: Options, top: Ceilings) -> Iterator[dict[str, Any]]:
    """One loss with gradients, from half the batch that is asked for to eight times."""
    for name in options.similarities:
        batch = max(options.batch // 2, 2)
        while batch <= 8 * options.batch:
            repeats = options.repeats if batch <= options.batch else 2
            row = loss_row(name, batch, options.n, top, repeats=repeats)
            yield row | {"what": "growth"}
            batch *= 2


def verification(options: Options, top: Ceilings) -> Iterator[dict[str, Any]]:
    """A whole run of `jidcl verify` (draw, train, evaluate, record), over the seeds.

    Its floor is that of its steps alone.
    """
    preset = "quick/sphere-vmf"
    config = load_presets("contrastive_ica")[preset]
    program = load_system("contrastive_ica").make_program(config)
    step = step_floor(top, "dot", program, config)
    for seeds in (1, 5, 20):
        with tempfile.TemporaryDirectory() as root:
            began = time.perf_counter()
            own: Any = dict(preset=preset, seeds=range(seeds), root=Path(root))
            *_, last = runner.run(config, system="contrastive_ica", **own)
            took = time.perf_counter() - began
        assert last.record is not None  # the last event of a run
        compiling = last.record.seconds["compile"]
        what = {"similarity": "dot", "batch": config.batch, "n": config.n}
        what |= {"seeds": seeds, "preset": preset, "seconds": last.record.seconds}
        times = timing(np.asarray([took]), compiling)
        yield _row("verify", "jidcl", what, times, seeds * config.steps * step)


def width(options: Options, top: Ceilings) -> Iterator[dict[str, Any]]:
    """One loss with gradients at a third of the batch, over the width n."""
    batch = max(options.batch // 3, 2)
    for name in options.similarities:
        for n in (4, 8, 16, 32, 64, 128):
            row = loss_row(name, batch, n, top, repeats=options.repeats)
            yield row | {"what": "width"}


def devices(options: Options, top: Ceilings) -> Iterator[dict[str, Any]]:
    """The ring over 1, 2, 4, ... devices: one loss with gradients of the whole batch.

    The floor is one device's, so that `times_floor` falls as 1 / devices at best.
    """
    count = 1
    while count <= jax.device_count():
        for name in options.similarities:
            yield ring_row(name, options.batch, options.n, count, top, options.repeats)
        count *= 2


def ring_row(
    name: str, batch: int, n: int, count: int, top: Ceilings, repeats: int
) -> dict[str, Any]:
    """One infonce with gradients, its rows spread over `count` devices."""
    mesh = make_mesh(data=count)
    rows = jax.sharding.NamedSharding(mesh, jax.P("data"))
    y, y_pos = (jax.device_put(a, rows) for a in embeddings(batch, n))
    sharded = jax.shard_map(
        lambda y, y_pos: infonce(y, y_pos, similarity=SIMILARITIES[name], axis="data")[
            0
        ],
        mesh=mesh,
        in_specs=(jax.P("data"), jax.P("data")),
        out_specs=jax.P(),
    )
    gradient = jax.value_and_grad(sharded, argnums=(0, 1))
    took = time_program(gradient, y, y_pos, repeats=repeats)
    what = {"similarity": name, "batch": batch, "n": n, "devices": count}
    return _row("devices", "jidcl", what, took, loss_floor(top, name, n, batch))


def scenes(options: Options, top: Ceilings) -> Iterator[dict[str, Any]]:
    """Pictures a second of every scene; no floor, no peer."""
    return scene_rows(options.batch, options.repeats)


def independence(options: Options, top: Ceilings) -> Iterator[dict[str, Any]]:
    """Conditional kernel tests over samples, beside causal-learn; no floor."""
    return independence_rows(options.repeats, peer=options.peer)


SUITES = {
    "losses": losses,
    "tiles": tiles,
    "steps": steps,
    "small": small,
    "growth": growth,
    "width": width,
    "devices": devices,
    "verification": verification,
    "scenes": scenes,
    "independence": independence,
}


def benchmark_result(rows: list, options: Options, top: Ceilings) -> dict[str, Any]:
    """What `results.json` holds: rows, options, ceilings, device, versions, memory."""
    device = jax.devices()[0]
    return {
        "device": f"{device.platform} {device.device_kind}",
        "cores": os.cpu_count(),
        "versions": {p: version(p) for p in ("jax", "torch") if find_spec(p)},
        "options": dataclasses.asdict(options),
        "ceilings": top._asdict(),
        "process_peak_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
        "rows": rows,
    }


def embeddings(batch: int, n: int) -> tuple[jax.Array, jax.Array]:
    """Anchors and positives near them, `[batch, n]` each."""
    first, second = jax.random.split(jax.random.key(0))
    y = 0.3 * jax.random.normal(first, (batch, n))
    return y, y + 0.1 * jax.random.normal(second, (batch, n))


def _row(
    suite: str,
    by: str,
    what: dict,
    took: Timing,
    floor: float,
    own: float | None = None,
) -> dict[str, Any]:
    """A row; `own`: the floor at the rates of each operation's kind, for a loss."""
    row = {
        "what": suite,
        "by": by,
        **what,
        "median_s": took.median,
        "low_s": took.low,
        "high_s": took.high,
        "compile_s": took.compile,
        "extra_bytes": took.extra_bytes,
        "floor_s": floor,
        "times_floor": took.median / floor if jnp.isfinite(floor) else None,
    }
    if own is not None:
        row |= {"own_floor_s": own, "times_own_floor": took.median / own}
    return row
