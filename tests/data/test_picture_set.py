"""Sets of pictures on disk: split, shrunk, known by their contents, refused."""

import os

import numpy as np
import pytest
from PIL import Image

from jidcl.data.image_folder import LATENTS, image_path
from jidcl.data.picture_set import load_picture_sets, picture_sets_digest
from jidcl.latents.causal import CLASSES


def write_plain(root, z, side=8):
    """Pictures whose left half is black and whose right half is their number."""
    (root / "images").mkdir(parents=True, exist_ok=True)
    np.save(root / LATENTS, z.astype(np.float32))
    for row in range(len(z)):
        x = np.zeros((side, side, 3), np.uint8)
        x[:, side // 2 :] = row
        Image.fromarray(x).save(image_path(root, row, len(z)))


def write_causal(root, rng, count):
    for kind in range(CLASSES):
        (root / f"images_{kind}").mkdir(parents=True, exist_ok=True)
        np.save(root / f"raw_latents_{kind}.npy", rng.uniform(-1, 1, (count, 10)))
        for row in range(count):
            image = Image.new("RGB", (8, 8), (10 * kind, row, 7))
            path = image_path(root, row, count, images=f"images_{kind}")
            image.save(path)


def load(folder, size=4, layout="3dident"):
    return load_picture_sets(folder, layout=layout, size=size)


def test_two_folders_are_the_two_parts(tmp_path, rng):
    z = rng.uniform(-1, 1, (30, 3))
    write_plain(tmp_path / "train", z[:20])
    write_plain(tmp_path / "test", z[20:])
    sets = load(tmp_path)
    np.testing.assert_array_equal(sets["train"].z, z[:20].astype(np.float32))
    np.testing.assert_array_equal(sets["test"].z, z[20:].astype(np.float32))
    assert sets["train"].x.shape == (20, 4, 4, 3)
    assert sets["train"].x.dtype == np.uint8
    # Shrunk by means: columns 2 and 3 of four hold the number, 0 and 1 are black.
    want = np.zeros((20, 4, 4, 3), np.uint8)
    want[:, :, 2:] = np.arange(20)[:, None, None, None]
    np.testing.assert_array_equal(sets["train"].x, want)
    np.testing.assert_array_equal(sets["test"].label, np.zeros(10))


def test_of_one_folder_the_last_tenth_is_kept(tmp_path, rng):
    z = rng.uniform(-1, 1, (40, 2))
    write_plain(tmp_path, z)
    sets = load(tmp_path, size=8)
    assert [len(sets[name].z) for name in ("train", "test")] == [36, 4]
    np.testing.assert_array_equal(sets["test"].x[:, 0, 7, 0], [36, 37, 38, 39])


def test_items_of_seven_objects_keep_their_class(tmp_path, rng):
    write_causal(tmp_path / "trainset", rng, 3)
    write_causal(tmp_path / "testset", rng, 2)
    sets = load(tmp_path, size=8, layout="causal3dident")
    np.testing.assert_array_equal(sets["train"].label, np.repeat(np.arange(7), 3))
    assert sets["test"].z.shape == (14, 11)
    np.testing.assert_array_equal(
        sets["train"].x[:, 0, 0, 0], 10 * np.repeat(np.arange(7), 3)
    )
    np.testing.assert_array_equal(sets["train"].x[:, 0, 0, 1], np.tile(np.arange(3), 7))


def test_a_set_is_known_by_its_latents_and_the_sizes_of_its_files(tmp_path, rng):
    z = rng.uniform(-1, 1, (10, 2))
    write_plain(tmp_path, z)

    def known():
        return picture_sets_digest(tmp_path, layout="3dident")

    sets, first = load(tmp_path), known()
    assert load(tmp_path) is sets  # read once
    assert known() == first
    path = image_path(tmp_path, 3, 10)
    whole = path.read_bytes()
    path.write_bytes(whole + b" ")
    assert known() != first
    path.write_bytes(whole)
    assert known() == first
    z[0, 0] *= 0.5
    write_plain(tmp_path, z)
    os.utime(tmp_path / LATENTS, ns=(0, 0))
    assert known() != first
    assert float(load(tmp_path)["train"].z[0, 0]) == np.float32(z[0, 0])


def test_a_change_of_any_class_is_seen(tmp_path, rng):
    for name, count in (("trainset", 3), ("testset", 2)):
        write_causal(tmp_path / name, rng, count)
    first = load(tmp_path, layout="causal3dident")
    path = tmp_path / "trainset" / "raw_latents_3.npy"
    np.save(path, 0.5 * np.load(path))
    os.utime(path, ns=(0, 0))
    again = load(tmp_path, layout="causal3dident")
    assert not np.array_equal(first["train"].z, again["train"].z)


@pytest.mark.parametrize(
    ("harm", "message"),
    [
        (lambda root: (root / LATENTS).unlink(), "folder must hold train/ and test/"),
        (lambda root: (root / "train").mkdir(), None),  # no test/: one set, as before
        (
            lambda root: [(root / part).mkdir() for part in ("train", "test")],
            r"train/raw_latents\.npy must be an array in \.npy, got no file",
        ),
        (lambda root: image_path(root, 3, 10).unlink(), "3.png must be a PNG"),
        (
            lambda root: Image.new("RGB", (8, 9)).save(image_path(root, 5, 10)),
            r"5.png must be a PNG .*8 x 9 pixels do not shrink to 4",
        ),
        (
            lambda root: Image.new("RGB", (3, 3)).save(image_path(root, 0, 10)),
            r"0.png must be a PNG .*3 x 3 pixels do not shrink to 4",
        ),
        (
            lambda root: write_plain(root, np.zeros((3, 2))),
            "two pictures of a class at least",
        ),
        (
            lambda root: write_plain(root, np.full((10, 2), 1.5)),
            r"must hold latents in \[-1, 1\], got 1.5",
        ),
        (
            lambda root: Image.new("I;16", (8, 8)).save(image_path(root, 2, 10)),
            r"2.png must be a PNG .*mode I;16 is none of",
        ),
    ],
)
def test_broken_folders_are_refused_with_the_name_of_the_file(
    tmp_path, rng, harm, message
):
    write_plain(tmp_path, rng.uniform(-1, 1, (10, 2)))
    harm(tmp_path)
    if message is None:
        assert len(load(tmp_path)["train"].z) == 8
        return
    with pytest.raises(ValueError, match=message):
        load(tmp_path)


def test_a_class_of_one_picture_has_no_partner(tmp_path, rng):
    write_causal(tmp_path / "trainset", rng, 2)
    write_causal(tmp_path / "testset", rng, 1)
    with pytest.raises(ValueError, match="testset must hold two pictures of a class"):
        load(tmp_path, size=8, layout="causal3dident")


def test_seven_objects_need_both_folders(tmp_path, rng):
    write_causal(tmp_path / "trainset", rng, 2)
    with pytest.raises(ValueError, match=r"trainset/ and testset/, got"):
        load(tmp_path, layout="causal3dident")
