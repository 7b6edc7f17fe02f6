"""JAX's persistent compilation cache, on by default: a program is compiled once.

A folder below the user's cache folder for each set of versions, flags and kind of
processor, so that nothing is read back where it does not fit. `JIDCL_CACHE` names
another folder, or is `off`; what the user says to JAX itself
(`JAX_COMPILATION_CACHE_DIR`) comes first. Imports no JAX.
"""

import hashlib
import importlib.metadata
import os
import platform
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

MOST_BYTES = 2**30
# From which compilation times a program is worth a file.
LEAST_SECONDS = "0.1"


class Kept(NamedTuple):
    """What a cache holds.

    Attributes:
        folder: of all versions; None where there is no cache.
        why: why not, or empty.
        programs: files of compiled programs.
        size: bytes.
    """

    folder: Path | None
    why: str = ""
    programs: int = 0
    size: int = 0


def remember() -> None:
    """Let JAX keep what it compiles; say so in one line where it cannot.

    Call it before JAX is imported. Old files go when the cache is larger than
    `MOST_BYTES`.
    """
    if "JAX_COMPILATION_CACHE_DIR" in os.environ:
        return
    folder, why = _folder()
    if folder is None:
        if why:
            print(
                f"jidcl: no compilation cache ({why}): programs are compiled anew. "
                "Another folder: JIDCL_CACHE=FOLDER; none: JIDCL_CACHE=off",
                file=sys.stderr,
            )
        return
    shrink(folder, MOST_BYTES)
    os.environ["JAX_COMPILATION_CACHE_DIR"] = str(folder / _version())
    os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", LEAST_SECONDS)


def kept() -> Kept:
    """The cache as it is.

    Returns:
        Folder, programs and size.
    """
    given = os.environ.get("JAX_COMPILATION_CACHE_DIR")
    folder, why = (Path(given), "") if given else _folder()
    if folder is None:
        return Kept(None, why or "JIDCL_CACHE is off")
    files = _files(folder)
    programs = sum(path.name.endswith("-cache") for path, *_ in files)
    return Kept(folder, "", programs, sum(size for *_, size in files))


def shrink(folder: Path, most: int) -> None:
    """Remove the oldest files until half of `most` is free, where it is exceeded.

    Args:
        folder: of the cache; it may be missing.
        most: bytes that it may hold.
    """
    files = sorted(_files(folder), key=lambda entry: entry[1])
    size = sum(entry[2] for entry in files)
    if size <= most:
        return
    for path, _, own in files:
        if size <= most // 2:
            break
        try:
            path.unlink()
            size -= own
        except OSError:  # in use, or gone
            continue


def _folder() -> tuple[Path | None, str]:
    """(folder, "") where files can be written, or (None, why not)."""
    named = os.environ.get("JIDCL_CACHE", "")
    if named.lower() == "off":
        return None, ""
    try:
        base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
        folder = Path(named) if named else Path(base) / "jidcl" / "programs"
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=folder) as probe:
            probe.write(b"0" * 4096)
            probe.flush()
    except (OSError, RuntimeError) as error:  # no home, read-only, full
        return None, f"{getattr(error, 'filename', None) or named}: {error}"
    return folder, ""


def _version() -> str:
    """A name for everything that decides whether a compiled program still fits."""
    names = ("jidcl", "jax", "jaxlib")
    parts = [importlib.metadata.version(name) for name in names]
    parts += [os.environ.get("XLA_FLAGS", ""), platform.machine(), _processor()]
    digest = hashlib.sha256("\n".join(parts).encode()).hexdigest()[:10]
    return f"jax-{parts[1]}-{digest}"


def _processor() -> str:
    """The features of the processor, where the system says."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line for line in lines if line.startswith(("flags", "Features"))), "")


def _files(folder: Path) -> list[tuple[Path, float, int]]:
    """(path, time of the last use, bytes) of every file below."""
    found = []
    for path in folder.rglob("*"):
        try:
            stat = path.stat()
        except OSError:  # another process removed it
            continue
        if path.is_file():
            found.append((path, max(stat.st_atime, stat.st_mtime), stat.st_size))
    return found
