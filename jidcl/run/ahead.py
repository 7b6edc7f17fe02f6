"""Programs of the runs to come, compiled by a second process while one run trains.

Most of a short verification on a CPU is compiling. A helper compiles what
the next runs need into JAX's persistent cache, and the runs read it from there. It
computes nothing and writes nothing else; it ends when the process that began it does,
however that ends, because the pipe between them closes.
"""

import contextlib
import json
import os
import subprocess
import sys
import threading
import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh

from jidcl.numerics import numbers_in
from jidcl.run.folders import run_folder
from jidcl.run.traced import programs_of
from jidcl.run.verify import Verification
from jidcl.systems.registry import load_system
from jidcl.train import loop
from jidcl.train.evaluation import compile_each_seed
from jidcl.train.programs import Made
from jidcl.train.sharding import check_seeds, make_mesh

NICE = 10  # the run that trains comes first
SETTINGS = ("system", "budget", "rows", "seeds", "pictures")


def compile_run(
    config: Any,
    *,
    system: Any,
    seeds: Sequence[int],
    mesh: Mesh | None = None,
    only_last: bool = False,
) -> Iterator[Made]:
    """Compile the programs that `jidcl.run.runner.run` will ask for; run none.

    Args:
        config: the system's settings.
        system: its name, or the `System` itself.
        seeds: distinct integers.
        mesh: devices; one device when None.
        only_last: the evaluation alone, for a run that is under way.

    Yields:
        Each program, when it is compiled; those that a run needs last come first.

    Raises:
        ValueError: as `run`.
    """
    held, mesh = load_system(system), make_mesh() if mesh is None else mesh
    numbers = np.asarray(check_seeds(seeds), np.int32)
    program, phases = programs_of(held, config, mesh)
    like = loop.like_start(program, len(numbers), mesh=mesh)
    yield compile_each_seed(program.evaluate, program, like, mesh=mesh)
    if only_last:
        return
    done = 0
    for own, until in phases:
        sizes = {min(config.chunk, until - done), (until - done) % config.chunk} - {0}
        for size in sorted(sizes):
            yield loop.compile_chunk(own, like, steps=size, mesh=mesh)[0].made
        done = until
    if phases and program.probe is not None:
        yield compile_each_seed(program.probe, program, like, mesh=mesh, name="probe")
    with numbers_in(program.precision):
        parts = (
            loop.compile_frozen(program, numbers),
            loop.compile_start(program, numbers, like.frozen, mesh=mesh),
        )
    yield from (made for made in parts if isinstance(made, Made))


def _unfinished(work: Verification) -> list[int]:
    """The stages of a verification whose runs no record on disk has."""
    found = []
    for index, (name, config) in enumerate(work.runs()):
        folder = run_folder(work.root, work.system, name, config, work.seeds_of(name))
        if not (folder / "result.json").exists():
            found.append(index)
    return found


@contextlib.contextmanager
def compiled_ahead(work: Verification) -> Iterator[Callable[[int], None]]:
    """Compile the programs of a verification in a second process, while it works.

    Where that cannot help nothing is started: on an accelerator, on one core, with no
    persistent cache, or for a single run; and only where `JIDCL_AHEAD` is `on`.

    Args:
        work: what is about to `go`.

    Yields:
        A function to be told each stage as it begins.
    """
    alone = jax.default_backend() != "cpu" or (os.cpu_count() or 1) < 2
    alone = alone or os.environ.get("JIDCL_AHEAD", "").lower() != "on"
    cache = os.environ.get("JAX_COMPILATION_CACHE_DIR")
    if alone or not cache or len(_unfinished(work)) < 2:
        yield lambda stage: None
        return
    given = {name: getattr(work, name) for name in SETTINGS}
    given |= {"root": str(work.root)}
    helper = subprocess.Popen(
        [sys.executable, "-m", "jidcl.run.ahead", json.dumps(given)],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    pipe, told = helper.stdin, [-1]
    assert pipe is not None

    def tell(stage: int) -> None:
        if stage != told[0]:
            told[0] = stage
            with contextlib.suppress(OSError, ValueError):  # it is done, or gone
                pipe.write(f"{stage}\n")
                pipe.flush()

    try:
        yield tell
    finally:
        helper.kill()
        helper.wait()
        with contextlib.suppress(OSError):
            pipe.close()


def _main(given: dict[str, Any]) -> None:
    """What the second process does."""
    begun = [0]

    def listen() -> None:
        for line in sys.stdin:
            begun[0] = int(line)
        os._exit(0)  # the pipe is closed: nobody waits for these programs

    threading.Thread(target=listen, daemon=True).start()
    os.nice(NICE)
    work = Verification(**given)
    todo, runs = _unfinished(work), work.runs()
    for stage in todo:
        if stage < begun[0]:
            continue
        name, config = runs[stage]
        made = compile_run(
            config,
            system=work.system,
            seeds=work.seeds_of(name),
            only_last=stage == begun[0],
        )
        with contextlib.suppress(Exception):  # the run itself will say it
            for _ in made:
                if stage < begun[0]:
                    break
    os._exit(0)


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    _main(json.loads(sys.argv[1]))
