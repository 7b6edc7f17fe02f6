"""Every file format: recognised, read whole, refused where damaged or hostile."""

import os
import re
import resource

import numpy as np
import pytest

from jidcl.data import factor_files
from jidcl.data.dataset import check_data, licence_beside, open_data
from jidcl.data.formats import FORMATS
from reference import data_files
from reference.data_files import MAKERS, ROWS, npz_member

# Of each part of each set: columns, their shapes.
SHAPES = {
    "cifar10-python": {"images": (15, 32, 32, 3), "labels": (15,)},
    "cifar10-binary": {"images": (15, 32, 32, 3), "labels": (15,)},
    "cifar100-python": {"images": (3, 32, 32, 3), "coarse": (3,), "labels": (3,)},
    "cifar100-binary": {"images": (3, 32, 32, 3), "coarse": (3,), "labels": (3,)},
    "mnist": {"images": (3, 28, 28), "labels": (3,)},
    "smallnorb": {"images": (3, 2, 96, 96), "labels": (3,), "factors": (3, 4)},
    "cars3d": {"images": (192, 128, 128, 3), "factors": (192, 3)},
    "dsprites": {"images": (8, 64, 64), "factors": (8, 6), "values": (8, 6)},
    "shapes3d": {"images": (4, 64, 64, 3), "factors": (4, 6), "values": (4, 6)},
    "mpi3d": {"images": (4, 64, 64, 3), "factors": (4, 7)},
    "kitti-masks": {"masks": (5, 64, 64), "latents": (5, 3), "sequence": (5,)},
    "imagenet-x": {"file_name": (3,), "class_index": (3,), "top_factor": (3, 16)},
    "3dident": {"images": (3, 8, 8, 3), "latents": (3, 4)},
    "causal3dident": {"images": (21, 8, 8, 3), "latents": (21, 11), "labels": (21,)},
    "class-folders": {"images": (4, 64, 64, 3), "labels": (4,), "file_name": (4,)},
    "npz": {"images": (3, 5, 4), "labels": (3,)},
    "h5": {"images": (3, 5, 4), "labels": (3,)},
}
NEEDS = {"shapes3d": "h5py", "h5": "h5py"}


@pytest.fixture
def make(tmp_path, rng, monkeypatch):
    """A function that writes a set of a format and returns its path."""
    monkeypatch.setattr(factor_files, "SPRITES", data_files.SPRITES)
    monkeypatch.setattr(factor_files, "SHAPES", data_files.SHAPES)
    monkeypatch.setattr(factor_files, "MPI3D", {"simple": data_files.MPI3D})

    def made(name):
        needed = NEEDS.get(name)
        if needed:
            pytest.importorskip(needed, reason=f"{needed} (extra data) is missing")
        root = tmp_path / "set"
        root.mkdir(exist_ok=True)
        return MAKERS[name](root, rng)

    return made


def whole(path):
    """All rows of a set, read in chunks of two."""
    return {
        part: {name: np.concatenate(list(c.chunks(2))) for name, c in columns.items()}
        for part, columns in open_data(path).parts.items()
    }


def test_every_format_has_a_set_here():
    assert {name.partition(" ")[0] for name in MAKERS} == {f.name for f in FORMATS}
    assert all(len(held.licence) > 20 for held in FORMATS)


@pytest.mark.parametrize("name", MAKERS)
def test_sets_are_recognised_and_read_whole(make, name):
    path = make(name)
    data = open_data(path)
    assert data.format.name == name.partition(" ")[0]
    first = next(iter(data.parts.values()))
    if name != "kitti-masks (text)":
        got = {key: column.shape for key, column in first.items()}
        assert got.items() >= SHAPES[data.format.name].items()
    for part, columns in whole(path).items():
        for key, rows in columns.items():
            column = data.parts[part][key]
            assert rows.shape == column.shape
            assert rows.dtype == column.dtype
            np.testing.assert_array_equal(rows, column.read())
    findings = list(check_data(data))
    assert findings
    wrong = [finding.text for finding in findings if not finding.fine]
    assert all("published" in text for text in wrong)


def test_rows_are_those_of_the_files(make, tmp_path, rng):
    """What is read, against what each maker stored."""
    from PIL import Image

    root = make("mnist")
    held = whole(root)["test"]
    raw = (root / "t10k-images-idx3-ubyte").read_bytes()[16:]
    assert held["images"].tobytes() == raw
    for name in ("cifar10-binary", "cifar10-python"):
        held = whole(make(name))["train"]
        if name == "cifar10-binary":
            rows = np.frombuffer((root / "data_batch_1.bin").read_bytes(), np.uint8)
            rows = rows.reshape(ROWS, 3073)
            np.testing.assert_array_equal(held["labels"][:ROWS], rows[:, 0])
            red_at_2_1 = rows[:, 1 + 2 * 32 + 1]
            np.testing.assert_array_equal(held["images"][:ROWS, 2, 1, 0], red_at_2_1)
        for file in root.iterdir():
            file.unlink()
    cars = whole(make("cars3d"))["all"]
    from scipy.io import loadmat

    second = loadmat(root / "car_002_mesh.mat")["im"]
    place = 96 + 4 * 5 + 3  # car 1, azimuth 5, elevation 3
    assert cars["factors"][place].tolist() == [3, 5, 1]
    np.testing.assert_array_equal(cars["images"][place], second[..., 5, 3])
    for file in root.iterdir():
        file.unlink()
    folders = open_data(make("class-folders"), size=66).parts["val"]
    assert folders["labels"].read().tolist() == [0, 0, 1, 1]
    with Image.open(root / "val" / "n01" / "n01_2.png") as image:
        want = np.asarray(image)[7:73]
    np.testing.assert_array_equal(folders["images"].read(1, 2)[0], want)


def files_of(path):
    files = [path] if path.is_file() else sorted(path.rglob("*"))
    return [file for file in files if file.is_file()]


def read_all(path):
    """Open, and read every row, of a set that may be damaged."""
    for _ in check_data(open_data(path)):
        pass


@pytest.mark.parametrize("name", MAKERS)
def test_a_cut_file_is_one_clear_error_that_names_it(make, name):
    path = make(name)
    for file in files_of(path)[:: 1 if name != "causal3dident" else 11]:
        content = file.read_bytes()
        for cut in (content[: len(content) // 2 - 3], b""):
            file.write_bytes(cut)
            with pytest.raises(ValueError, match=re.escape(file.name)):
                read_all(path)
        file.write_bytes(content)
    read_all(path)


@pytest.mark.parametrize("name", MAKERS)
def test_missing_files_pipes_and_loops_are_refused(make, name):
    path = make(name)
    file = files_of(path)[-1]
    file.unlink()
    os.mkfifo(file)
    with pytest.raises(ValueError, match=r"file|known format|there must be one|must"):
        read_all(path)
    file.unlink()
    file.symlink_to(file)
    with pytest.raises((ValueError, FileNotFoundError)):
        read_all(path)
    file.unlink()
    # Fewer pictures, cars or kinds are a set; so are pictures without latents.
    if name not in ("class-folders", "cars3d", "imagenet-x", "3dident"):
        with pytest.raises((ValueError, FileNotFoundError)):
            read_all(path)


def swap(path, first, second):
    one, other = path / first, path / second
    held = one.read_bytes()
    one.write_bytes(other.read_bytes())
    other.write_bytes(held)


def edit(function, file):
    """A spoiler that changes the arrays of an `.npz`."""

    def spoil(path):
        path = path if path.is_file() else path / file
        with np.load(path) as held:
            arrays = {k: held[k] for k in held.files if k != "metadata"}
        function(arrays)
        np.savez(path, **arrays)

    return spoil


def text(old, new, file=None):
    def spoil(path):
        path = path / file if file else path
        content = path.read_text()
        assert old in content
        path.write_text(content.replace(old, new, 1))

    return spoil


def shift(name):
    """Rows moved by one: of other pictures."""

    def roll(arrays):
        arrays[name] = np.roll(arrays[name], 1, axis=0)

    return roll


@pytest.mark.parametrize("name", MAKERS)
def test_random_damage_is_read_or_refused_and_nothing_else(make, name, rng):
    """A few bytes of a file changed, taken out, or put in, many times over."""
    path = make(name)
    files, said = files_of(path), []
    for _ in range(12):
        file = files[rng.integers(len(files))]
        whole_file = file.read_bytes()
        content = bytearray(whole_file)
        # Headers are hit as often as the rest.
        place = int(rng.integers(len(content) if rng.random() < 0.5 else 64))
        place = min(place, len(content) - 1)
        hurt = rng.integers(0, 256, int(rng.integers(1, 9))).astype(np.uint8).tobytes()
        end = place + int(rng.choice([0, len(hurt), 2 * len(hurt)]))
        content[place:end] = hurt
        file.write_bytes(bytes(content))
        try:
            read_all(path)
        except (ValueError, FileNotFoundError) as error:
            said.append(str(error))
        file.write_bytes(whole_file)
    read_all(path)
    assert all(len(text) < 1000 and text.isprintable() for text in said)


NORB = "smallnorb-5x46789x9x18x6x2x96x96-training"
OTHER = "smallnorb-5x01235x9x18x6x2x96x96-testing"
X = "imagenet_x_train_multi_factor.jsonl"
HARMS = [
    ("cifar10-python", lambda p: swap(p, "data_batch_1", "data_batch_2"), "says that"),
    ("cifar10-python", lambda p: swap(p, "data_batch_1", "test_batch"), "says that"),
    (
        "cifar100-python",
        lambda p: swap(p, "train", "test"),
        "says that it is the 'test",
    ),
    (
        "mnist",
        lambda p: swap(p, "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"),
        "t10k-images-idx3-ubyte cannot be read",
    ),
    (
        "mnist",
        lambda p: (p / "t10k-labels-idx1-ubyte").write_bytes(
            data_files.idx(np.zeros(2, np.uint8))
        ),
        "must hold 3 labels, one a picture",
    ),
    (
        "mnist",
        lambda p: (p / "t10k-labels-idx1-ubyte").write_bytes(
            data_files.idx(np.full(3, 10, np.uint8))
        ),
        r"must be in 0\.\.9, got 10\.\.10",
    ),
    (
        "mnist",
        lambda p: (p / "t10k-labels-idx1-ubyte").write_bytes(
            data_files.idx(np.zeros(3, np.uint8)) + b"x"
        ),
        "must hold 3 bytes after its header, got more",
    ),
    (
        "smallnorb",
        lambda p: swap(p, f"{NORB}-info.mat", f"{OTHER}-info.mat"),
        "instance of .* must be one of",
    ),
    (
        "smallnorb",
        lambda p: swap(p, f"{NORB}-cat.mat", f"{NORB}-info.mat"),
        "NORB array of 1 axes",
    ),
    ("dsprites", edit(shift("latents_classes"), None), "grid's, in its order"),
    (
        "kitti-masks (npz)",  # what is unpacked, right after the name of a member
        lambda p: p.write_bytes(
            p.read_bytes()[:64] + b"\xff" * 8 + p.read_bytes()[72:]
        ),
        "must be an .npz file of arrays",
    ),
    ("kitti-masks (npz)", edit(shift("latents"), None), "not centre and area"),
    (
        "kitti-masks (npz)",
        edit(lambda a: a["masks_packed"].__setitem__(1, 0), None),
        "the mask of frame 1 is empty",
    ),
    (
        "kitti-masks (npz)",
        edit(lambda a: a.update(sequence_lengths=np.array([1, 4], np.int32)), None),
        "sequences of 2 frames at least",
    ),
    (
        "kitti-masks (npz)",
        edit(lambda a: a.update(sequence_lengths=np.array([2, 4], np.int32)), None),
        "sum to the frames",
    ),
    ("kitti-masks (text)", text("0 2001 2", "0 2001 1"), "line 1 .* its thousands"),
    ("kitti-masks (text)", text("0 2002 2", "0 2001 2"), None),
    ("kitti-masks (text)", text(" 128 400 ", " 128 401 "), "line 1 .* fill 128 x 401"),
    ("kitti-masks (text)", text("1 2001 2 128", "1 2001 2 99"), "pixels, as the first"),
    ("kitti-masks (text)", text("0 2001 2 ", "0 2001 "), "line 1 .* frame, id, class"),
    ("kitti-masks (text)", text("0 2001", "70000 2001"), "fewer than 65536 frames"),
    ("imagenet-x", text('"class": 300', '"class": 1000', X), r"line 2 .* in 0\.\.999"),
    (
        "imagenet-x",
        text('"pose": ', '"pose": 2', X),
        "line 1 .* factors must be 0 or 1",
    ),
    ("imagenet-x", text('"style"', '"styles"', X), "line 1 .* sixteen factors"),
    ("imagenet-x", text("n0144_0", "n0144_9", X), "of the other file"),
    ("imagenet-x", text("n0144_0", "n0144_1", X), "each of its pictures once"),
    ("imagenet-x", text("{", "[" * 100_000, X), "line 1 .* must be an object"),
    ("class-folders", lambda p: (p / "val" / "n01").rename(p / "val" / "n03"), "'n01'"),
    ("class-folders", lambda p: (p / "val" / "n05").mkdir(), "'n05' must be a class"),
    (
        "3dident",
        lambda p: np.save(p / "raw_latents.npy", np.zeros((2, 4), np.float32)),
        "one picture for each latent",
    ),
]


@pytest.mark.parametrize(("name", "spoil", "message"), HARMS)
def test_shuffled_and_mislabelled_sets_are_refused(make, name, spoil, message):
    path = make(name)
    read_all(path)
    spoil(path)
    if message is None:  # the first of two lines of one object: no longer two objects
        return read_all(path)
    with pytest.raises(ValueError, match=message) as caught:
        read_all(path)
    assert len(str(caught.value)) < 700
    return None


HEADER = "{{'descr': '|u1', 'fortran_order': False, 'shape': ({shape},), }}"


@pytest.mark.parametrize(
    ("shape", "size"),
    [(10, 10_000_000), (2**40, 10), (10, 9), (-1, 3), (f"{2**62}, 0", 0)],
)
def test_archives_that_unpack_to_another_size_are_not_unpacked(tmp_path, shape, size):
    path = tmp_path / "bomb.npz"
    header = HEADER.format(shape=shape)
    path.write_bytes(npz_member("a", header, bytes(size)))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(ValueError, match=r"bomb\.npz must be an \.npz"):
        open_data(path)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss < before + 5_000


@pytest.mark.parametrize("packed", [True, False])
def test_a_changed_number_of_an_archive_is_noticed(tmp_path, packed):
    path, rows = tmp_path / "mine.npz", np.arange(300, dtype=np.int16)
    (np.savez_compressed if packed else np.savez)(path, a=rows)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(bytes(content))
    with pytest.raises(ValueError, match=r"mine\.npz"):
        read_all(path)


def test_an_honest_archive_of_a_terabyte_is_described_and_not_held(tmp_path):
    """What it says is what it holds, so chunks are read; all at once is refused."""
    path = tmp_path / "mine.npz"
    path.write_bytes(npz_member("a", HEADER.format(shape=10**7), bytes(10**7)))
    column = open_data(path).parts["all"]["a"]
    assert column.shape == (10**7,)
    assert not next(column.chunks(100)).any()
    large = type(column)(column.dtype, (2**41,), column.opened)
    with pytest.raises(ValueError, match="read them in chunks"):
        large.read()


@pytest.mark.parametrize("name", ["../up", "a/b", "\x1b[31m", ".hidden", "a" * 101])
def test_names_that_could_be_paths_or_commands_are_refused(tmp_path, name):
    path = tmp_path / "mine.npz"
    path.write_bytes(npz_member(name, HEADER.format(shape=2), b"ab"))
    with pytest.raises(ValueError, match="must be named with letters") as caught:
        open_data(path)
    assert "\x1b" not in str(caught.value)


def test_what_is_no_set_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError):
        open_data(tmp_path / "missing")
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ValueError, match="must be a file or a folder"):
        open_data(tmp_path / "pipe")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    with pytest.raises(ValueError, match="cannot be opened"):
        open_data(tmp_path / "loop")
    with pytest.raises(ValueError, match="is of no known format: cifar10-python"):
        open_data(tmp_path)
    (tmp_path / "mine.npz").write_bytes(npz_member("a", HEADER.format(shape=2), b"ab"))
    with pytest.raises(ValueError, match="must be of format mnist: folder of"):
        open_data(tmp_path / "mine.npz", format="mnist")
    with pytest.raises(ValueError, match="did you mean 'mnist'"):
        open_data(tmp_path / "mine.npz", format="mnst")
    with pytest.raises(ValueError, match="size must be left out"):
        open_data(tmp_path / "mine.npz", size=3)


def test_the_licence_beside_a_set_is_quoted_without_control_characters(make):
    path = make("npz")
    assert licence_beside(path) is None
    note = path.with_name("PROVENANCE.md")
    note.write_text("# A\n\nx\n\n**Licence.** Mine\x1b[31m\nalone.\n\n**File.** b\n")
    assert licence_beside(path) == "PROVENANCE.md: Licence. Mine [31m alone."


@pytest.mark.skipif(
    not os.environ.get("JIDCL_DATA"), reason="JIDCL_DATA names no folder of data"
)
@pytest.mark.parametrize(
    ("name", "part", "column", "shape"),
    [
        ("mnist/mnist.npz", "test", "images", (8000, 28, 28)),
        ("fashion_mnist/fashion_mnist.npz", "train", "labels", (20000,)),
        ("cifar10/cifar10_lossless.npz", "test", "images", (500, 32, 32, 3)),
        ("imagenet_x/imagenet_x_train.npz", "all", "multi_factor", (9233, 16)),
        ("kitti_masks/kitti_masks_peds.npz", "all", "masks", (11433, 64, 64)),
        ("threedident_mini", "all", "latents", (1600, 10)),
    ],
)
def test_the_files_at_hand_are_read(name, part, column, shape):
    from pathlib import Path

    path = Path(os.environ["JIDCL_DATA"]) / name
    if not path.exists():
        pytest.skip(f"{path.name} is not there")
    data = open_data(path)
    assert data.parts[part][column].shape == shape
    assert data.parts[part][column].read(0, 5).shape == (5, *shape[1:])
    assert "icence" in (licence_beside(path) or "") or "LICENSE" in str(
        licence_beside(path)
    )


@pytest.mark.parametrize("ending", ["npz", "h5"])
def test_a_file_without_arrays_is_refused(tmp_path, ending):
    path = tmp_path / f"a.{ending}"
    if ending == "npz":
        np.savez(path)
    else:
        h5py = pytest.importorskip("h5py", reason="h5py (extra data) is missing")
        h5py.File(path, "w").close()
    with pytest.raises(ValueError, match=rf"a\.{ending} must hold arrays .* got none"):
        open_data(path)
