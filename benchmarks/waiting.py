"""What a user waits for: whole commands with an empty and a full cache of programs.

Command: python benchmarks/waiting.py [--only verify train smoke] [--out FILE.json]
Time: some six minutes on two quiet cores. Each command is a new process with its own
folder of runs. Nothing of the user's cache is read or written.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path

COMMANDS = {
    "verify": ("verify",),
    "train": ("train", "quick/sphere-vmf"),
    "smoke": ("verify", "--budget", "smoke"),
}


def seconds(command: tuple[str, ...], cache: Path) -> float:
    """Of one command in an empty folder, with a cache of programs."""
    given = {k: v for k, v in os.environ.items() if not k.startswith("JAX_")}
    given |= {"JIDCL_CACHE": str(cache), "COLUMNS": "120"}
    with tempfile.TemporaryDirectory() as folder:
        began = time.perf_counter()
        done = subprocess.run(
            [sys.executable, "-m", "jidcl.cli", *command],
            cwd=folder,
            env=given,
            capture_output=True,
            text=True,
        )
        took = time.perf_counter() - began
    if done.returncode not in (0, 1):  # 1: a word came out otherwise
        raise RuntimeError(done.stderr[-2000:])
    return took


def rows(only: list[str]):
    for name in only:
        with tempfile.TemporaryDirectory() as folder:
            cold = seconds(COMMANDS[name], Path(folder))
            warm = seconds(COMMANDS[name], Path(folder))
        command = "jidcl " + " ".join(COMMANDS[name])
        yield dict(command=command, empty_cache=round(cold, 1), full=round(warm, 1))


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--only", nargs="+", choices=[*COMMANDS], default=[*COMMANDS])
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    found = []
    for row in rows(options.only):
        print(json.dumps(row), flush=True)
        found.append(row)
    if options.out:
        held = dict(cores=os.cpu_count(), machine=platform.machine(), rows=found)
        options.out.write_text(json.dumps(held, indent=1) + "\n")


if __name__ == "__main__":
    main()
