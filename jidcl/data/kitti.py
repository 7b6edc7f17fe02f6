"""KITTI Masks: silhouettes of pedestrians in video, with place and area.

Three files hold such sequences:

    kitti_peds_v2.pickle     as published: a list of masks and one of latents
    kitti_masks_peds.npz     arrays of all frames one after another, masks packed
    instances_txt/0004.txt   annotations of KITTI MOTS, of which sequences are made

The pickle is read by `jidcl.data.plain_pickle`, which runs nothing. Sequences of
neighbouring windows show the same pedestrian: split by video, never by sequence.

Source: Klindt et al. 2021, KITTI Masks (Zenodo record 3931823) and published
preprocessing; Voigtlaender et al. 2019 (KITTI MOTS); Zimmermann et al. 2021, Table 3.
"""

import hashlib
import itertools
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from jidcl.checks import check_at_least
from jidcl.data.columns import Parts, in_memory, npz_columns
from jidcl.data.mots import read_mots
from jidcl.data.plain_pickle import read_plain_pickle

SIDE = 64
WINDOWS, LEAST_PIXELS = 6, 30  # of the published preprocessing
LATENTS = ("y", "x", "area")
CHECKED = 4096  # frames whose moments are computed at once


class MaskSequences(NamedTuple):
    """Masks of one object each, frame by frame.

    Attributes:
        masks: uint8 `[frames, 64, 64]`, 0 or 1, all sequences one after another.
        latents: float32 `[frames, 3]`: centre y, centre x, area, in pixels.
        lengths: frames of each sequence, int32 `[sequences]`, >= 2.
        video: of each sequence, int32 `[sequences]`; -1 where it is not known.
    """

    masks: np.ndarray
    latents: np.ndarray
    lengths: np.ndarray
    video: np.ndarray


def read_kitti_masks(path: str | Path) -> MaskSequences:
    """Sequences of any of the three files.

    Args:
        path: a `.pickle`, an `.npz`, a `.txt` or `.txt.gz` of KITTI MOTS, or a folder
            of such texts.

    Returns:
        The sequences, in the order of the file.

    Raises:
        FileNotFoundError: when there is none.
        ValueError: naming the file, when it is damaged or something else: a sequence
            of one frame, a mask without pixels, latents of another mask.

    Source: Klindt et al. 2021.
    """
    path = Path(path)
    if path.is_dir():
        texts = mots_texts(path)
        if not texts:
            raise ValueError(f"{path} must hold texts of KITTI MOTS, such as 0004.txt")
        held = _joined([_of_text(text) for text in texts])
    elif path.suffix == ".npz":
        held = _of_npz(path)
    elif path.suffix in (".txt", ".gz"):
        held = _of_text(path)
    else:
        held = _of_pickle(path)
    check_sequences(path, held)
    return held


def mots_texts(folder: Path) -> list[Path]:
    """The texts of KITTI MOTS in a folder, `0004.txt` or `instances_txt_0004.txt.gz`.

    Args:
        folder: where they lie.

    Returns:
        Their paths, in order.
    """
    names = sorted(path for path in folder.iterdir() if not path.is_dir())
    return [path for path in names if _video(path) is not None]


def kitti_digest(path: str | Path) -> str:
    """What a run on sequences is known by: SHA-256 of a file, or of a folder's texts.

    The name of a folder's text says which video it is, so it counts.

    Args:
        path: as for `read_kitti_masks`.

    Returns:
        64 hexadecimal digits.

    Raises:
        FileNotFoundError: when there is none.
    """
    path, digest = Path(path), hashlib.sha256()
    for file in mots_texts(path) if path.is_dir() else [path]:
        with file.open("rb") as opened:
            held = hashlib.file_digest(opened, "sha256").hexdigest()
        digest.update(f"{file.name if path.is_dir() else ''} {held}\n".encode())
    return digest.hexdigest()


def kitti_parts(path: Path) -> Parts:
    """`read_kitti_masks` as columns: masks, latents, sequence and video of each frame.

    Args:
        path: as for `read_kitti_masks`.

    Returns:
        The one part `all`.

    Raises:
        ValueError: as `read_kitti_masks`.
    """
    held = read_kitti_masks(path)
    sequence = np.repeat(np.arange(len(held.lengths), dtype=np.int32), held.lengths)
    columns = {
        "masks": held.masks,
        "latents": held.latents,
        "sequence": sequence,
        "video": held.video[sequence],
    }
    return {"all": {name: in_memory(array) for name, array in columns.items()}}


def moments(masks: np.ndarray) -> np.ndarray:
    """Centre y, centre x and area of masks: the published latents.

    Args:
        masks: `[frames, rows, columns]`, 0 or 1, each with a pixel.

    Returns:
        float32 `[frames, 3]`.
    """
    masks = np.asarray(masks)
    area = masks.sum((1, 2), dtype=np.float64)
    y = masks.sum(2, dtype=np.float64) @ np.arange(masks.shape[1]) / area
    x = masks.sum(1, dtype=np.float64) @ np.arange(masks.shape[2]) / area
    return np.stack([y, x, area], axis=1).astype(np.float32)


def check_sequences(path: Path, held: MaskSequences) -> None:
    """Raise unless sequences are whole: their latents are the moments of their masks.

    Args:
        path: of the file, for the message.
        held: what it holds.

    Raises:
        ValueError: naming the file and the frame.
    """
    if not len(held.lengths) or held.lengths.min() < 2:
        raise ValueError(f"{path} must hold sequences of 2 frames at least")
    for start in range(0, len(held.masks), CHECKED):
        masks = held.masks[start : start + CHECKED]
        empty = np.flatnonzero(~masks.any((1, 2)))
        if len(empty):
            raise ValueError(f"{path}: the mask of frame {start + empty[0]} is empty")
        said = held.latents[start : start + CHECKED]
        far = np.abs(said - moments(masks)).max(1)
        wrong = np.flatnonzero(~(far < 1e-2))
        if len(wrong):
            raise ValueError(
                f"{path}: latents of frame {start + wrong[0]} are not centre and area "
                "of its mask"
            )


def _of_npz(path: Path) -> MaskSequences:
    names = ("masks_packed", "latents", "sequence_lengths", "sequence_video")
    columns = npz_columns(path, names)
    packed, latents, lengths, video = (columns[name].read() for name in names)
    frames = len(latents)
    fits = packed.dtype == np.uint8 and packed.shape == (frames, SIDE, SIDE // 8)
    fits = fits and latents.dtype == np.float32 and latents.shape == (frames, 3)
    fits = fits and lengths.dtype.kind == video.dtype.kind == "i"
    fits = fits and lengths.ndim == 1 and lengths.shape == video.shape
    if not fits or lengths.min(initial=1) < 1 or int(lengths.sum()) != frames:
        raise ValueError(
            f"{path} must hold masks_packed [frames, 64, 8], latents [frames, 3], and "
            "sequence_lengths that sum to the frames"
        )
    masks = np.unpackbits(packed, axis=-1)
    return MaskSequences(
        masks, latents, lengths.astype(np.int32), video.astype(np.int32)
    )


def _of_pickle(path: Path) -> MaskSequences:
    held: Any = read_plain_pickle(path)
    wanted = ("pedestrians", "pedestrians_latents")
    lists: Any = [held.get(name) for name in wanted] if isinstance(held, dict) else []
    if not all(isinstance(part, list) and part for part in lists) or not lists:
        raise ValueError(f"{path} must hold the lists {' and '.join(wanted)}")
    masks, latents = lists
    if len(masks) != len(latents):
        raise ValueError(
            f"{path} must hold as many latents as masks, {len(masks)}, got "
            f"{len(latents)}"
        )
    for place, (mask, latent) in enumerate(zip(masks, latents, strict=True)):
        frames = len(mask) if isinstance(mask, np.ndarray) and mask.ndim else 0
        fits = frames and mask.dtype == np.bool_ and mask.shape[1:] == (SIDE, SIDE)
        fits = fits and isinstance(latent, np.ndarray) and latent.dtype == np.float32
        if not fits or latent.shape != (frames, 3):
            raise ValueError(
                f"sequence {place} of {path} must be bools [frames, 64, 64] with "
                "latents float32 [frames, 3]"
            )
    lengths = np.asarray([len(mask) for mask in masks], np.int32)
    whole = np.concatenate(masks).view(np.uint8)
    return MaskSequences(
        whole, np.concatenate(latents), lengths, np.full(len(masks), -1, np.int32)
    )


def _of_text(path: Path) -> MaskSequences:
    video = _video(path)
    return mask_sequences(
        read_mots(path, rows=SIDE), video=-1 if video is None else video
    )


def _video(path: Path) -> int | None:
    """The number of the video in a file's name."""
    stem = path.name.removesuffix(".gz")
    number = stem.removesuffix(".txt").rpartition("_")[2]
    digits = number.isascii() and number.isdigit() and len(number) <= 6
    return int(number) if stem.endswith(".txt") and digits else None


def mask_sequences(video_ids: np.ndarray, *, video: int = -1) -> MaskSequences:
    """The published preprocessing: sequences of a video's pedestrians.

    Six windows of 64 columns at equal stride. In each, an object's masks of 30 pixels
    at least make a sequence until a smaller one ends it; a sequence that ends before
    its object does has three frames at least, the last one two. The lowest and the
    highest value of a window are dropped, as background and "ignore", cars too. In a
    window without "ignore" this loses an object, as published.

    Args:
        video_ids: the id at each pixel, `[frames, 64, columns]`, whole numbers >= 0;
            0 is background, 1000 to 1999 are cars.
        video: its number.

    Returns:
        The sequences; none where there are none.

    Raises:
        ValueError: on another shape, or fewer than 64 columns.

    Source: Klindt et al. 2021, published code `gen_kitti_masks.py`.
    """
    if video_ids.ndim != 3 or video_ids.shape[1] != SIDE:
        raise ValueError(
            f"video_ids must have shape [frames, {SIDE}, columns], got "
            f"{list(video_ids.shape)}"
        )
    check_at_least("columns of video_ids", video_ids.shape[2], SIDE)
    stride = (video_ids.shape[2] - SIDE) // (WINDOWS - 1)
    found = []
    for window in range(WINDOWS):
        shown = video_ids[:, :, window * stride : window * stride + SIDE]
        for number in np.unique(shown)[1:-1]:
            if number // 1000 != 1:
                found += _runs(shown == number)
    lengths = np.asarray([len(run) for run in found], np.int32)
    masks = np.concatenate([np.zeros((0, SIDE, SIDE), bool), *found]).view(np.uint8)
    latents = moments(masks) if len(masks) else np.zeros((0, 3), np.float32)
    return MaskSequences(masks, latents, lengths, np.full(len(found), video, np.int32))


def _runs(masks: np.ndarray) -> list[np.ndarray]:
    """Sequences of an object's large masks; `masks`: bools `[frames, 64, 64]`."""
    seen = np.flatnonzero(masks.any((1, 2)))
    masks = masks[seen[0] : seen[-1] + 1]
    large = masks.sum((1, 2)) >= LEAST_PIXELS
    found, start = [], 0
    for same, group in itertools.groupby(large):
        stop = start + sum(1 for _ in group)
        least = 2 if stop == len(large) else 3
        if same and stop - start >= least:
            found.append(masks[start:stop])
        start = stop
    return found


def _joined(parts: list[MaskSequences]) -> MaskSequences:
    columns = zip(*parts, strict=True)
    return MaskSequences(*(np.concatenate(column) for column in columns))


def split_by_video(
    held: MaskSequences, *, share: float = 0.2, seed: int = 0
) -> tuple[MaskSequences, MaskSequences]:
    """Sequences for training, and those of other videos for scores.

    Videos in a random order are held out until the share of the frames is reached; one
    stays for training.

    Args:
        held: sequences whose videos are known.
        share: of the frames that is held out at least, in (0, 1).
        seed: of the order.

    Returns:
        `(train, test)`, no video in both.

    Raises:
        ValueError: on another share, fewer than two videos, or videos that are not
            known, as those of the published pickle.
    """
    if not 0 < share < 1:
        raise ValueError(f"share must be in (0, 1), got {share}")
    videos, frames = np.unique(held.video, return_inverse=True)
    if len(videos) < 2 or videos.min() < 0:
        raise ValueError(
            f"held must be of two known videos at least, got {videos.tolist()}"
        )
    counts = np.bincount(frames, weights=held.lengths)
    order = np.random.default_rng(seed).permutation(len(videos))
    before = np.cumsum(counts[order]) - counts[order]
    out = order[:-1][before[:-1] < share * counts.sum()]
    test = np.isin(held.video, videos[out])
    return _chosen(held, ~test), _chosen(held, test)


def _chosen(held: MaskSequences, kept: np.ndarray) -> MaskSequences:
    """Some sequences; `kept`: bools `[sequences]`."""
    rows = np.repeat(kept, held.lengths)
    of_frames, of_sequences = held[:2], held[2:]
    return MaskSequences(
        *(part[rows] for part in of_frames), *(part[kept] for part in of_sequences)
    )
