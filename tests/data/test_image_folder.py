"""Folders of pictures: written whole, gone on with, read back, refused when wrong."""

import os
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from jidcl.data.image_folder import image_path, read_image_folder, write_image_folder


def draw(z):
    """A picture whose three channels are its first three latents."""
    pixels = np.broadcast_to((z[:, None, None, :3] + 1) / 2, (len(z), 8, 8, 3))
    return pixels


def write(*args, about=None, **settings):
    return write_image_folder(*args, about=about or {"scene": "test"}, **settings)


@pytest.fixture
def z(rng):
    return rng.uniform(-1, 1, size=(11, 4)).astype(np.float32)


def test_what_is_written_is_read_back(tmp_path, z):
    physical = 3 * z
    steps = list(write(tmp_path, z, draw, chunk=4, extra={"p": physical}))
    assert steps == [0, 4, 8, 11]
    held, x = read_image_folder(tmp_path)
    np.testing.assert_array_equal(held, z)
    np.testing.assert_array_equal(x, np.round(255 * draw(z)).astype(np.uint8))
    np.testing.assert_array_equal(np.load(tmp_path / "p.npy"), physical)
    names = sorted(path.name for path in (tmp_path / "images").iterdir())
    assert names == [f"{k:02d}.png" for k in range(11)]
    assert len(read_image_folder(tmp_path, 3)[1]) == 3


@pytest.mark.parametrize(
    ("count", "name"), [(1, "0"), (10, "9"), (11, "09"), (1000, "009")]
)
def test_names_have_the_published_number_of_digits(tmp_path, count, name):
    index = 0 if count == 1 else 9
    assert image_path(tmp_path, index, count).name == f"{name}.png"


def test_a_folder_left_half_way_is_gone_on_with(tmp_path, z):
    work = write(tmp_path, z, draw, chunk=4)
    next(work), next(work)
    work.close()
    image_path(tmp_path, 1, len(z)).unlink()
    drawn = []

    def watched(rows):
        drawn.append(rows)
        return draw(rows)

    assert list(write(tmp_path, z, watched, chunk=4)) == [3, 7, 11]
    np.testing.assert_array_equal(drawn[0], z[[1, 4, 5, 6]])
    np.testing.assert_array_equal(
        read_image_folder(tmp_path)[1], np.round(255 * draw(z)).astype(np.uint8)
    )
    assert not list(tmp_path.rglob("*.part"))


def test_one_channel_is_written_grey(tmp_path, z):
    list(write(tmp_path, z[:2], lambda rows: draw(rows)[..., :1]))
    with Image.open(image_path(tmp_path, 0, 2)) as image:
        assert image.mode == "L"


def test_other_latents_are_not_mixed_in(tmp_path, z):
    list(write(tmp_path, z, draw))
    with pytest.raises(ValueError, match="pictures of other latents"):
        next(write(tmp_path, -z, draw))
    with pytest.raises(ValueError, match="of other latents or settings"):
        next(write(tmp_path, z, draw, about={"scene": "test", "size": 9}))
    (tmp_path / "about.json").unlink()  # as in a folder of somebody else
    with pytest.raises(ValueError, match="of other latents or settings"):
        next(write(tmp_path, z, draw))
    with pytest.raises(ValueError, match="z must be float32"):
        next(write(tmp_path, z.astype(float), draw))


@pytest.mark.parametrize("harm", ["missing", "text", "other size", "pickle", "shape"])
def test_hostile_folders_are_refused_with_the_name_of_the_file(tmp_path, z, harm):
    list(write(tmp_path, z, draw))
    third, latents = image_path(tmp_path, 3, len(z)), tmp_path / "raw_latents.npy"
    if harm == "missing":
        third.unlink()
    elif harm == "text":
        third.write_text("not a picture")
    elif harm == "other size":
        Image.new("RGB", (9, 8)).save(third)
    elif harm == "pickle":
        np.save(latents, np.array([{"a": 1}], dtype=object), allow_pickle=True)
    else:
        np.save(latents, z[0])
    culprit = latents if harm in ("pickle", "shape") else third
    with pytest.raises(ValueError, match=culprit.name.replace(".", r"\.")):
        read_image_folder(tmp_path)


def deep_png(path, side):
    """An RGB picture of 16 bits a channel, which Pillow reads as 8."""

    def part(name, data):
        body = name + data
        return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))

    head = part(b"IHDR", struct.pack(">IIBBBBB", side, side, 16, 2, 0, 0, 0))
    rows = zlib.compress((b"\0" + bytes(6 * side)) * side)
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n" + head + part(b"IDAT", rows) + part(b"IEND", b"")
    )


HARMS = {
    "FIFO": (os.mkfifo, "must be a regular file"),
    "device": (lambda path: path.symlink_to("/dev/zero"), "must be a regular file"),
    "loop": (lambda path: path.symlink_to(path), "is a loop of links"),
    "deep": (lambda path: deep_png(path, 8), "16 bits a channel are more than 8"),
    "grey": (
        lambda path: Image.fromarray(np.zeros((8, 8), np.uint16)).save(path),
        "mode I;16 is none of",
    ),
    "larger": (
        lambda path: Image.new("RGB", (16, 16)).save(path),
        "16 x 16 pixels, unlike the first",
    ),
    "not square": (
        lambda path: Image.new("RGB", (8, 9)).save(path),
        "8 x 9 pixels do not shrink to 4",
    ),
}


@pytest.mark.parametrize("harm", HARMS)
def test_what_is_no_picture_of_the_first_size_is_refused_at_once(tmp_path, z, harm):
    list(write(tmp_path, z, draw))
    third = image_path(tmp_path, 3, len(z))
    third.unlink()
    make, message = HARMS[harm]
    make(third)
    with pytest.raises(ValueError, match=rf"03.png .*{message}"):
        read_image_folder(tmp_path, size=4)


@pytest.mark.parametrize("harm", ["FIFO", "device", "loop"])
def test_latents_that_are_no_file_are_refused_at_once(tmp_path, z, harm):
    list(write(tmp_path, z, draw))
    latents = tmp_path / "raw_latents.npy"
    latents.unlink()
    HARMS[harm][0](latents)
    with pytest.raises(ValueError, match="raw_latents.npy must be an array in .npy"):
        read_image_folder(tmp_path)
