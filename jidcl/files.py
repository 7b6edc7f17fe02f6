"""Files that are written whole and read with bounds; one owner of a folder.

What is read may be damaged or hostile: nothing is executed, sizes are bounded, and what
is wrong is one `ValueError` that names the file. Imports no JAX.
"""

import contextlib
import errno
import json
import math
import os
import re
import shutil
import socket
import stat
import zipfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

try:
    import fcntl
except ImportError:  # not on Windows: two runs of one folder are not told apart there
    fcntl = None  # type: ignore[assignment]

MOST_JSON = 1 << 28  # bytes of a JSON file
MOST_ARRAYS = 1 << 34  # bytes of all arrays of one file together

NOT_JSON = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}


def to_json(value: Any, *, indent: int | None = None) -> str:
    """JSON text that any parser reads, and `from_json` reads back equal.

    Args:
        value: what JSON can hold, and numbers that are NaN or infinite. They are
            written as the names of `NOT_JSON`, which no text may be.
        indent: spaces a level; None for one line.

    Returns:
        The text.

    Example:
        >>> to_json([0.5, float("nan"), None])
        '[0.5, "NaN", null]'
    """

    def plain(held: Any) -> Any:
        if isinstance(held, dict):
            return {key: plain(one) for key, one in held.items()}
        if isinstance(held, list | tuple):
            return [plain(one) for one in held]
        if isinstance(held, float) and not math.isfinite(held):
            return "NaN" if held != held else "Infinity" if held > 0 else "-Infinity"
        return held

    return json.dumps(plain(value), indent=indent, allow_nan=False)


def from_json(text: str) -> Any:
    """What `to_json` wrote; the bare tokens NaN and Infinity are read as well.

    Args:
        text: JSON.

    Returns:
        Its value. All that is NaN is one object, so that lists and dicts that hold it
        equal themselves.

    Raises:
        json.JSONDecodeError: a ValueError, on other text.

    Example:
        >>> from_json('[0.5, "-Infinity", Infinity]')
        [0.5, -inf, inf]
    """

    def numbers(held: Any) -> Any:
        if isinstance(held, dict):
            return {key: numbers(one) for key, one in held.items()}
        if isinstance(held, list):
            return [numbers(one) for one in held]
        return NOT_JSON.get(held, held) if isinstance(held, str) else held

    return numbers(json.loads(text, parse_constant=NOT_JSON.__getitem__))


def read_json(path: Path) -> Any:
    """The value of a JSON file, NaN and infinities as `to_json` wrote them.

    Args:
        path: a regular file of at most `MOST_JSON` bytes.

    Returns:
        Its value.

    Raises:
        FileNotFoundError: when there is none.
        ValueError: naming the file, when it is no regular file, too large, or no JSON.
    """
    text = read_bytes(path, MOST_JSON)
    try:
        return from_json(text.decode())
    except (ValueError, RecursionError) as error:
        what = "nested too deeply" if isinstance(error, RecursionError) else error
        raise ValueError(f"{path} is not a JSON file: {what}") from error


def read_bytes(path: Path, most: int) -> bytes:
    """The content of a regular file; a FIFO or a device is refused, not waited for.

    Args:
        path: the file.
        most: bytes that it may have.

    Returns:
        Its content.

    Raises:
        FileNotFoundError: when there is none.
        ValueError: naming the file, when it is no regular file or too large.
    """
    check_regular(path, most)
    return Path(path).read_bytes()


def check_regular(path: Path, most: int) -> None:
    """Raise unless a path is a regular file of a bounded size.

    Args:
        path: the file.
        most: bytes that it may have.

    Raises:
        FileNotFoundError: when there is none.
        ValueError: naming the file, when it is no regular file or too large.
    """
    try:
        held = os.stat(path)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise ValueError(f"{path} is a loop of links") from error
        raise
    if not stat.S_ISREG(held.st_mode):
        raise ValueError(f"{path} must be a regular file")
    if held.st_size > most:
        raise ValueError(f"{path} must have at most {most} bytes, got {held.st_size}")


def check_unpacked(path: Path, most: int = MOST_ARRAYS) -> None:
    """Raise unless a path is an archive of a bounded size, packed and unpacked.

    Args:
        path: a file of `.npz`.
        most: bytes that it, and all that it unpacks to, may have.

    Raises:
        FileNotFoundError: when there is none.
        ValueError: naming the file, when it is no regular file or too large.
        zipfile.BadZipFile: when it is no archive.
    """
    check_regular(path, most)
    with zipfile.ZipFile(path) as archive:
        size = sum(part.file_size for part in archive.infolist())
    if size > most:
        raise ValueError(f"{path} must unpack to at most {most} bytes, got {size}")


def in_short(error: BaseException) -> str:
    """What an error says, in 200 printable characters at most.

    A reader of damaged bytes may quote them all.

    Args:
        error: of a reader.

    Returns:
        One line.
    """
    said = "".join(c if c.isprintable() else "?" for c in str(error)[:201])
    return said if len(said) <= 200 else said[:197] + "..."


def write_whole(path: Path, write: Callable[[Path], None]) -> None:
    """Write a file in one step: a reader never sees half of it.

    It is written under another name beside, put on the disk, and renamed.

    Args:
        path: the file; its folder is created.
        write: writes it, given the other name (which ends as `path` does).

    Raises:
        OSError: when the disk is full or may not be written; the file is as it was.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{os.getpid()}.{path.name}")
    try:
        write(part)
        with part.open("rb") as file:
            os.fsync(file.fileno())
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def remove_parts(folder: Path) -> None:
    """Remove what `write_whole` left behind in a folder when its process was killed.

    Args:
        folder: one that no other process writes to.
    """
    for path in folder.glob(".*"):
        if re.match(r"\.[0-9]+\.", path.name) and path.is_file():
            path.unlink(missing_ok=True)


def write_folder_whole(path: Path, write: Callable[[Path], None]) -> None:
    """Write a folder in one step: it appears with all its files, or not at all.

    Args:
        path: the folder, which must not exist; the one above is created.
        write: writes its files, given another folder, which is there.

    Raises:
        ValueError: when something of that name exists.
        OSError: when the disk is full or may not be written; nothing is left.
    """
    check_new(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{os.getpid()}.{path.name}")
    part.mkdir()
    try:
        write(part)
        part.rename(path)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def check_new(path: Path) -> None:
    """Raise when something has a name that is about to be written.

    Args:
        path: the file or folder.

    Raises:
        ValueError: naming it.
    """
    if os.path.lexists(path):
        raise ValueError(f"{path} exists: choose another name, or remove it")


def write_json(path: Path, value: Any) -> None:
    """Write a JSON file in one step.

    Args:
        path: the file; its folder is created.
        value: as for `to_json`.

    Raises:
        OSError: as for `write_whole`.
    """
    write_text(path, to_json(value, indent=1) + "\n")


def write_text(path: Path, text: str) -> None:
    """Write a text file in one step.

    Args:
        path: the file; its folder is created.
        text: its content.

    Raises:
        OSError: as for `write_whole`.
    """

    def write(part: Path) -> None:
        part.write_text(text)

    write_whole(path, write)


def write_arrays(path: Path, arrays: Mapping[str, Any]) -> None:
    """Write an `.npz` file in one step, compressed.

    Args:
        path: the file, ending in `.npz`; its folder is created.
        arrays: by name.

    Raises:
        OSError: as for `write_whole`.
    """
    held: Any = dict(arrays)
    write_whole(path, lambda part: np.savez_compressed(part, **held))


def read_arrays(path: Path, most: int = MOST_ARRAYS) -> dict[str, np.ndarray]:
    """The arrays of an `.npz` file; none when it is missing or damaged.

    An archive that holds more than its arrays' shapes say is refused before it is
    unpacked. Objects are not read.

    Args:
        path: the file.
        most: bytes of all arrays together.

    Returns:
        `{name: array}`.
    """
    try:
        check_unpacked(path, most)
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            held = {name: arrays[name] for name in arrays.files}
        whole = all(isinstance(array, np.ndarray) for array in held.values())
        return held if whole else {}
    except MemoryError:
        raise
    except Exception:  # whatever a reader of damaged or hostile bytes may raise
        return {}


def read_array(path: Path, most: int = MOST_ARRAYS) -> np.ndarray:
    """The array of an `.npy` file. Objects are not read.

    Args:
        path: the file.
        most: bytes that it may have.

    Returns:
        The array.

    Raises:
        ValueError: naming the file, when it is missing or holds something else.
    """
    try:
        check_regular(path, most)
        with path.open("rb") as file:
            return np.lib.format.read_array(file, allow_pickle=False)
    except MemoryError:
        raise
    except Exception as error:  # as above
        raise ValueError(
            f"{path} must be an array in .npy: {in_short(error)}"
        ) from error


def _no_link(path: str, flags: int) -> int:
    return os.open(path, flags | getattr(os, "O_NOFOLLOW", 0), 0o666)


class FolderInUse(OSError):
    """Another process works in a folder."""


@contextlib.contextmanager
def owned(folder: Path) -> Iterator[None]:
    """The one owner of a folder, as long as the context lasts; it finds no half files.

    The operating system frees it when the process ends, however it ends. Where the file
    system has no locks nothing is checked.

    Args:
        folder: an existing folder; the file `lock` in it names process and host. A link
            of that name is not followed: what it names would be emptied.

    Raises:
        FolderInUse: naming the process that works there.
        ValueError: when `lock` is no regular file.
    """
    lock = folder / "lock"
    if lock.is_symlink() or (lock.exists() and not lock.is_file()):
        raise ValueError(f"{lock} must be a regular file: remove it")
    with open(lock, "a+", opener=_no_link) as file:
        if fcntl is not None:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                if error.errno in (errno.EACCES, errno.EAGAIN):
                    file.seek(0)
                    owner = file.read(200).strip() or "another process"
                    raise FolderInUse(
                        f"{folder} is in use by {owner}: wait for it, or stop it"
                    ) from error
        file.seek(0)
        file.truncate()
        file.write(f"process {os.getpid()} on {socket.gethostname()}\n")
        file.flush()
        remove_parts(folder)
        yield
