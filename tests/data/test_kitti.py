"""KITTI Masks: run lengths, the published preprocessing, the files at hand."""

import os
from pathlib import Path

import numpy as np
import pytest

from jidcl.data.kitti import mask_sequences, moments, read_kitti_masks
from jidcl.data.mots import decode_rle
from reference.data_files import kitti_text, rle


def test_run_lengths_are_read_as_they_were_written(rng):
    for shape in ((5, 7), (64, 130), (1, 1)):
        for share in (0.0, 0.05, 0.5, 1.0):
            mask = rng.random(shape) < share
            got = decode_rle(rle(mask), height=shape[0], width=shape[1])
            np.testing.assert_array_equal(got, mask)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "must fill 2 x 3 pixels"),
        ("5", "must fill"),
        ("7", "must fill"),
        ("T", "is cut"),
        ("6\x7f", "characters from '0' to 'o'"),
        ("é", "characters from"),
        ("o" * 12, "too many characters"),
        ("O6", "must fill"),  # a negative run
    ],
)
def test_other_run_lengths_are_refused(text, message):
    assert decode_rle("6", height=2, width=3).sum() == 0
    with pytest.raises(ValueError, match=message):
        decode_rle(text, height=2, width=3)


def video(frames, columns=64):
    """A video in which `ignore` fills a corner."""
    ids = np.zeros((frames, 64, columns), np.uint16)
    ids[:, :2, :] = 10_000
    return ids


def put(ids, frame, number, pixels, column=10):
    ids[frame, 10 : 10 + pixels // 5, column : column + 5] = number


def test_sequences_end_at_small_masks_and_have_the_published_lengths():
    ids = video(14)
    for frame, pixels in enumerate((30, 40, 25, 30, 30, 30, 0, 35, 30, 5, 0, 50, 50)):
        put(ids, frame, 2001, pixels)
    held = mask_sequences(ids)
    # In one window: (30, 40) is too short with more to come; (30, 30, 30) is kept; (35,
    # 30) is too short; (50, 50), which ends with its object, is kept. The six windows
    # of 64 columns are the same one.
    assert held.lengths.tolist() == [3, 2] * 6
    assert held.latents[:5, 2].tolist() == [30, 30, 30, 50, 50]
    np.testing.assert_array_equal(held.latents, moments(held.masks))
    assert held.latents[0, :2].tolist() == [12.5, 12.0]


def test_cars_background_and_the_highest_value_are_dropped():
    ids = video(3)
    for frame in range(3):
        put(ids, frame, 1005, 40)
        put(ids, frame, 2001, 40, column=20)
        put(ids, frame, 2009, 40, column=30)
    assert len(mask_sequences(ids).lengths) == 12
    ids[ids == 10_000] = 0  # without "ignore" the highest object goes
    assert len(mask_sequences(ids).lengths) == 6


def test_windows_have_equal_stride():
    ids = video(2, columns=64 + 5 * 7 + 4)
    for frame in range(2):
        put(ids, frame, 2001, 40, column=64)
    held = mask_sequences(ids, video=3)
    assert held.latents[::2, 1].tolist() == [66 - 7 * k for k in range(1, 6)]
    assert held.video.tolist() == [3] * 5
    with pytest.raises(ValueError, match="columns of video_ids must be >= 64, got 63"):
        mask_sequences(ids[:, :, :63])
    with pytest.raises(ValueError, match=r"shape \[frames, 64, columns\]"):
        mask_sequences(ids[:, :63])
    none = mask_sequences(np.zeros_like(ids))
    assert none.masks.shape == (0, 64, 64)
    assert none.latents.shape == (0, 3)


def test_a_folder_of_texts_is_one_set(tmp_path, rng):
    path = kitti_text(tmp_path, rng)
    one = read_kitti_masks(path)
    assert one.video.tolist() == [4] * len(one.lengths)
    (tmp_path / "0011.txt").write_bytes(path.read_bytes())
    both = read_kitti_masks(tmp_path)
    assert len(both.lengths) == 2 * len(one.lengths)
    assert sorted(set(both.video.tolist())) == [4, 11]
    for text in (path, tmp_path / "0011.txt"):  # no pedestrians
        lines = path.read_text().splitlines(keepends=True)
        text.write_text("".join(line for line in lines if " 2 " not in line[:9]))
    with pytest.raises(ValueError, match="must hold sequences of 2 frames"):
        read_kitti_masks(tmp_path)
    with pytest.raises(ValueError, match="must hold texts of KITTI MOTS"):
        read_kitti_masks(tmp_path.parent)


def test_the_videos_at_hand_give_the_sequences_at_hand():
    root = Path(os.environ.get("JIDCL_DATA", "")) / "kitti_masks"
    if not os.environ.get("JIDCL_DATA") or not (root / "kitti_masks_peds.npz").exists():
        pytest.skip("JIDCL_DATA names no folder that holds kitti_masks")
    every = read_kitti_masks(root / "kitti_masks_peds.npz")
    got = read_kitti_masks(root)  # the texts of videos 4 and 17
    chosen = np.isin(every.video, [4, 17])
    rows = np.repeat(chosen, every.lengths)
    np.testing.assert_array_equal(got.lengths, every.lengths[chosen])
    np.testing.assert_array_equal(got.video, every.video[chosen])
    np.testing.assert_array_equal(got.masks, every.masks[rows])
    np.testing.assert_array_equal(got.latents, every.latents[rows])
