"""Pairs of frames: of one sequence, with the lags that were asked for."""

import os
from pathlib import Path

import jax
import numpy as np
import pytest

from jidcl.data import (
    MaskSequences,
    draw_frame_pairs,
    frame_starts,
    read_kitti_masks,
    split_by_video,
)

LENGTHS = np.array([2, 7, 3, 40])
draw = jax.jit(draw_frame_pairs, static_argnames=("batch", "max_lag"))


def test_pairs_are_of_one_sequence_and_cover_every_start():
    starts = frame_starts(LENGTHS, max_lag=5)
    first, second = draw(jax.random.key(0), starts, batch=4000, max_lag=5)
    sequence = np.repeat(np.arange(4), LENGTHS)
    assert (sequence[first] == sequence[second]).all()
    lag = np.asarray(second - first)
    assert (lag.min(), lag.max()) == (1, 5)
    ends = np.cumsum(LENGTHS) - 1
    assert set(np.asarray(first).tolist()) == set(range(52)) - set(ends.tolist())
    # Lags are uniform where the sequence goes on; else its last frame is taken.
    left = ends[sequence[np.asarray(first)]] - np.asarray(first)
    free = lag[left >= 5]
    counts = np.bincount(free, minlength=6)[1:]
    spread = np.sqrt(len(free) * 0.2 * 0.8)
    assert (np.abs(counts - len(free) / 5) < 4.5 * spread).all()  # 1 in 30,000
    assert (lag[left < 5] <= left[left < 5]).all()
    assert (lag[left == 1] == 1).all()


def test_a_lag_of_one_is_the_next_frame():
    first, second = draw(jax.random.key(1), frame_starts(LENGTHS), batch=50, max_lag=1)
    np.testing.assert_array_equal(second, first + 1)


@pytest.mark.parametrize(
    ("lengths", "max_lag", "message"),
    [
        ([3, 1], 1, "lengths must be >= 2, got 1"),
        ([3, 4], 4, "max_lag must be < the frames of the longest sequence, 4, got 4"),
        ([3, 4], 0, "max_lag must be"),
        ([], 1, r"lengths must be whole numbers \[sequences\]"),
        ([2.5], 1, r"lengths must be whole numbers \[sequences\], got float64"),
    ],
)
def test_videos_shorter_than_the_lag_are_refused(lengths, max_lag, message):
    with pytest.raises(ValueError, match=message):
        frame_starts(np.array(lengths), max_lag=max_lag)


def sequences(videos, lengths):
    frames = sum(lengths)
    masks = np.arange(frames, dtype=np.uint8)[:, None, None] * np.ones((1, 2, 2))
    latents = np.arange(3.0 * frames).reshape(frames, 3)
    return MaskSequences(masks, latents, np.array(lengths), np.array(videos))


def test_no_video_is_in_both_halves_of_a_split():
    held = sequences([4, 7, 4, 9, 11], [3, 2, 4, 5, 2])
    for seed in range(5):
        train, test = split_by_video(held, share=0.3, seed=seed)
        assert not set(train.video) & set(test.video)
        assert set(train.video) | set(test.video) == {4, 7, 9, 11}
        assert len(train.masks) + len(test.masks) == 16
        assert len(test.masks) >= 0.3 * 16
        for part in (train, test):
            assert len(part.masks) == len(part.latents) == part.lengths.sum() > 0
            np.testing.assert_array_equal(part.masks[:, 0, 0], part.latents[:, 0] / 3)
    for wrong in ([4, 4, 4, 4, 4], [-1, 7, 4, 9, 11]):
        with pytest.raises(ValueError, match="of two known videos at least"):
            split_by_video(held._replace(video=np.array(wrong)))
    with pytest.raises(ValueError, match=r"share must be in \(0, 1\), got 1"):
        split_by_video(held, share=1)


def test_the_sequences_at_hand_have_the_known_mean_lag():
    path = Path(os.environ.get("JIDCL_DATA", "")) / "kitti_masks/kitti_masks_peds.npz"
    if not os.environ.get("JIDCL_DATA") or not path.exists():
        pytest.skip("JIDCL_DATA names no folder that holds kitti_masks")
    held = read_kitti_masks(path)
    starts = frame_starts(held.lengths, max_lag=5)
    assert len(starts.start) == 10_950
    left = np.asarray(starts.last - starts.start)
    mean = np.minimum(np.arange(1, 6)[:, None], left).mean()
    assert round(float(mean), 2) == 2.83
    change = held.latents[np.asarray(starts.start) + 1] - held.latents[starts.start]
    np.testing.assert_allclose(change.std(0), [0.93, 2.02, 24.3], rtol=6e-3)
    train, test = split_by_video(held)
    assert 0.2 * 11_433 <= len(test.masks) < 11_433 - 1000
    assert len(train.masks) + len(test.masks) == 11_433
