"""Annotations of KITTI MOTS: one line an object and frame, its mask in run lengths.

    FRAME ID CLASS HEIGHT WIDTH RLE

`RLE` is the compressed run-length text of COCO: the lengths of runs of 0 and 1 in turn,
down the columns. Each length, less the one two before it from the third on, is written
in groups of five bits, the lowest first, as characters from `0` on; the sixth bit says
that more follow, and the fifth of the last group is the sign.

Source: Voigtlaender et al. 2019, KITTI MOTS; COCO's run-length format.
"""

import gzip
from pathlib import Path

import numpy as np

from jidcl.files import check_regular, in_short

MOST_TEXT = 1 << 28  # bytes, unpacked
MOST_SIDE, MOST_FRAMES = 4096, 1 << 16
MOST_VIDEO = 1 << 32  # bytes of all frames, shrunk
CLASSES = {1: "car", 2: "pedestrian", 10: "ignore"}


def read_mots(path: Path, *, rows: int) -> np.ndarray:
    """The ids of a video's pixels, in pictures of `rows` rows.

    Shrunk as the published preprocessing shrinks: width int(width / (height / rows)),
    nearest neighbour, source index floor(index x ratio).

    Args:
        path: a `.txt`, or one packed as `.txt.gz`.
        rows: of the result.

    Returns:
        uint16 `[frames, rows, columns]`; 0 is background.

    Raises:
        FileNotFoundError: when there is none.
        ValueError: naming the file and the line that is not of the format: another
            number of words, an id that does not fit its class, sizes that change, run
            lengths that do not fill the picture, masks that meet.
    """
    lines = _lines(path)
    parsed = [_numbers(path, number, line) for number, line in enumerate(lines, 1)]
    if not parsed:
        raise ValueError(f"{path} must hold a line at least")
    height, width = parsed[0][3:5]
    columns = int(width // (height / rows))
    if columns < 1:
        raise ValueError(f"{path}: {height} x {width} pixels are too narrow")
    down = np.floor(np.arange(rows) * (height / rows)).astype(int)
    across = np.floor(np.arange(columns) * (width / columns)).astype(int)
    frames = 1 + max(line[0] for line in parsed)
    if 2 * frames * rows * columns > MOST_VIDEO:
        raise ValueError(f"{path}: {frames} frames of {rows} x {columns} are too many")
    out = np.zeros((frames, rows, columns), np.uint16)
    for number, (frame, identity, _, high, wide, text) in enumerate(parsed, 1):
        if (high, wide) != (height, width):
            raise ValueError(
                f"line {number} of {path} must be of {height} x {width} pixels, as the "
                f"first, got {high} x {wide}"
            )
        try:
            mask = decode_rle(text, height=high, width=wide)
        except ValueError as error:
            raise ValueError(f"line {number} of {path}: {in_short(error)}") from error
        small = mask[down[:, None], across]
        if (out[frame][small] != 0).any():
            raise ValueError(f"line {number} of {path}: its mask meets another")
        out[frame][small] = identity
    return out


def decode_rle(text: str, *, height: int, width: int) -> np.ndarray:
    """The mask of a compressed run-length text of COCO.

    Args:
        text: characters `0` to `o`.
        height: rows of the mask.
        width: columns of the mask.

    Returns:
        bools `[height, width]`.

    Raises:
        ValueError: on other characters, a text that is cut, a negative run, or runs
            that do not fill the mask.
    """
    codes = np.frombuffer(text.encode("utf-8", "replace"), np.uint8).astype(int) - 48
    if len(codes) and not 0 <= codes.min() <= codes.max() < 64:
        raise ValueError("run lengths must be characters from '0' to 'o'")
    runs: list[int] = []
    value = shift = 0
    for code in codes.tolist():
        value |= (code & 31) << shift
        shift += 5
        if code & 32:
            if shift > 40:
                raise ValueError("a run length has too many characters")
            continue
        if code & 16:
            value -= 1 << shift
        runs.append(value + (runs[-2] if len(runs) > 2 else 0))
        value = shift = 0
    if shift:
        raise ValueError("the last run length is cut")
    if min(runs, default=0) < 0 or sum(runs) != height * width:
        raise ValueError(f"run lengths must fill {height} x {width} pixels")
    flat = np.repeat(np.arange(len(runs)) % 2 == 1, runs)
    return flat.reshape(width, height).T


def _lines(path: Path) -> list[str]:
    check_regular(path, MOST_TEXT)
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            content = file.read(MOST_TEXT + 1)
        if len(content) > MOST_TEXT:
            raise ValueError(f"more than {MOST_TEXT} bytes")
        return content.decode("ascii").splitlines()
    except Exception as error:  # zlib.error is no OSError
        raise ValueError(
            f"{path} must be a text of KITTI MOTS: {in_short(error)}"
        ) from error


def _numbers(path: Path, number: int, line: str) -> tuple[int, int, int, int, int, str]:
    """Frame, id, class, height, width and run lengths of a line."""
    words = line.split(" ")
    numbers = [word for word in words[:5] if word.isdigit() and len(word) < 7]
    if len(words) != 6 or len(numbers) != 5:
        raise ValueError(
            f"line {number} of {path} must be frame, id, class, height, width and run "
            "lengths"
        )
    frame, identity, kind, height, width = map(int, numbers)
    if kind not in CLASSES or identity // 1000 != kind:
        raise ValueError(
            f"line {number} of {path}: class must be {', '.join(map(str, CLASSES))} "
            f"and the id its thousands, got class {kind} and id {identity}"
        )
    if frame >= MOST_FRAMES or not (0 < height <= MOST_SIDE and 0 < width <= MOST_SIDE):
        raise ValueError(
            f"line {number} of {path} must be of fewer than {MOST_FRAMES} frames and "
            f"sides of 1..{MOST_SIDE} pixels, got frame {frame}, {height} x {width}"
        )
    return frame, identity, kind, height, width, words[5]
