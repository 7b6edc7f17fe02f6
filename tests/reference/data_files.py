"""Small files in the layouts of published data sets, made of random numbers.

`MAKERS` gives, by the name of a format, a function that writes such a set under a
folder and returns the path that is opened. Sets have 3 rows a file where the layout
lets them.
"""

import gzip
import io
import json
import pickle
import struct
import zipfile

import numpy as np

ROWS = 3
FACTORS = (
    *("pose", "background", "pattern", "color", "smaller", "shape", "partial_view"),
    *("subcategory", "texture", "larger", "darker", "object_blocking"),
    *("person_blocking", "style", "brighter", "multiple_objects"),
)
SPRITES, SHAPES, MPI3D = (1, 2, 1, 2, 1, 2), (2, 1, 1, 2, 1, 1), (2, 1, 2, 1, 1, 1, 1)


def pixels(rng, *shape):
    return rng.integers(0, 256, shape).astype(np.uint8)


def cifar_batch(rng, name, label):
    data = pixels(rng, ROWS, 3072)
    batch = {b"batch_label": label.encode(), b"data": data}
    if name == "cifar10":
        batch[b"labels"] = rng.integers(0, 10, ROWS).tolist()
    else:
        batch[b"fine_labels"] = rng.integers(0, 100, ROWS).tolist()
        batch[b"coarse_labels"] = rng.integers(0, 20, ROWS).tolist()
    return batch


def cifar_python(name):
    def make(root, rng):
        if name == "cifar10":
            labels = {
                f"data_batch_{k}": f"training batch {k} of 5" for k in range(1, 6)
            }
            labels["test_batch"] = "testing batch 1 of 1"
        else:
            labels = {"train": "training batch 1 of 1", "test": "testing batch 1 of 1"}
        for file, label in labels.items():
            content = pickle.dumps(cifar_batch(rng, name, label), 2)
            (root / file).write_bytes(content)
        return root

    return make


def cifar_binary(name):
    def make(root, rng):
        ten = [f"data_batch_{k}" for k in range(1, 6)] + ["test_batch"]
        for file in ten if name == "cifar10" else ("train", "test"):
            classes = (10,) if name == "cifar10" else (20, 100)
            label = [rng.integers(0, count, (ROWS, 1)) for count in classes]
            rows = np.concatenate([*label, pixels(rng, ROWS, 3072)], axis=1)
            (root / f"{file}.bin").write_bytes(rows.astype(np.uint8).tobytes())
        return root

    return make


def idx(array):
    header = struct.pack(">BBBB", 0, 0, 8, array.ndim)
    return header + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()


def mnist(root, rng):
    for stem, end in (("train", ".gz"), ("t10k", "")):
        arrays = {
            "images-idx3": pixels(rng, ROWS, 28, 28),
            "labels-idx1": rng.integers(0, 10, ROWS).astype(np.uint8),
        }
        for kind, array in arrays.items():
            content = gzip.compress(idx(array)) if end else idx(array)
            (root / f"{stem}-{kind}-ubyte{end}").write_bytes(content)
    return root


def norb(array):
    magic = {"u1": 0x1E3D4C55, "i4": 0x1E3D4C54}[array.dtype.str[1:]]
    shape = (*array.shape, 1, 1)[: max(3, array.ndim)]
    header = struct.pack(f"<ii{len(shape)}i", magic, array.ndim, *shape)
    return header + array.tobytes()


def smallnorb(root, rng):
    stems = {
        "smallnorb-5x46789x9x18x6x2x96x96-training": (4, 6, 9),
        "smallnorb-5x01235x9x18x6x2x96x96-testing": (0, 1, 5),
    }
    for stem, instances in stems.items():
        info = [[k, 8, 34, 5] for k in instances]
        arrays = {
            "dat": pixels(rng, ROWS, 2, 96, 96),
            "cat": rng.integers(0, 5, ROWS).astype(np.int32),
            "info": np.array(info, np.int32),
        }
        for kind, array in arrays.items():
            (root / f"{stem}-{kind}.mat").write_bytes(norb(array))
    return root


def cars3d(root, rng):
    from scipy.io import savemat

    for k in (1, 2):
        im = np.zeros((128, 128, 3, 24, 4), np.uint8)
        im[0, 0, 0] = pixels(rng, 24, 4)
        path = root / f"car_{k:03d}_mesh.mat"
        savemat(path, {"other": np.int32(k), "im": im}, do_compression=True)
    return root


def grid(counts):
    return np.indices(counts).reshape(len(counts), -1).T


def dsprites(root, rng):
    path = root / "dsprites_ndarray_co1sh3sc6or40x32y32_64x64.npz"
    classes = grid(SPRITES)
    np.savez_compressed(
        path,
        metadata=np.array({"title": "x"}, object),
        imgs=rng.integers(0, 2, (len(classes), 64, 64)).astype(np.uint8),
        latents_classes=classes,
        latents_values=classes / 2,
    )
    return path


def shapes3d(root, rng):
    import h5py

    path, points = root / "3dshapes.h5", grid(SHAPES)
    with h5py.File(path, "w") as file:
        file["images"] = pixels(rng, len(points), 64, 64, 3)
        file["labels"] = points / 3
    return path


def mpi3d(root, rng):
    path = root / "mpi3d_toy.npz"
    np.savez(path, images=pixels(rng, int(np.prod(MPI3D)), 64, 64, 3))
    return path


def moments(mask):
    y, x = np.nonzero(mask)
    return [y.mean(), x.mean(), len(y)]


def sequences(rng):
    for frames in (2, ROWS):
        masks = np.zeros((frames, 64, 64), bool)
        for mask in masks:
            top, left = rng.integers(0, 50, 2)
            mask[top : top + 8, left : left + 5] = True
        yield masks, np.array([moments(mask) for mask in masks], np.float32)


def kitti_pickle(root, rng):
    masks, latents = map(list, zip(*sequences(rng), strict=True))
    held = {"pedestrians": masks, "pedestrians_latents": latents}
    (root / "kitti_peds_v2.pickle").write_bytes(pickle.dumps(held))
    return root / "kitti_peds_v2.pickle"


def kitti_npz(root, rng):
    masks, latents = map(list, zip(*sequences(rng), strict=True))
    np.savez_compressed(
        root / "masks.npz",
        masks_packed=np.packbits(np.concatenate(masks), axis=-1),
        latents=np.concatenate(latents),
        sequence_lengths=np.array([2, ROWS], np.int32),
        sequence_video=np.array([4, 7], np.int16),
    )
    return root / "masks.npz"


def rle(mask):
    """COCO's compressed run lengths of a mask, down the columns."""
    flat = np.concatenate([[0], mask.T.reshape(-1).astype(int), [2]])
    changes = np.flatnonzero(np.diff(flat))
    runs = np.diff(np.concatenate([[0], changes]))
    text = ""
    for place, run in enumerate(runs):
        value = int(run - runs[place - 2]) if place > 2 else int(run)
        while True:
            code, value = value & 31, value >> 5
            last = value == (-1 if code & 16 else 0)
            text += chr(48 + (code if last else code | 32))
            if last:
                break
    return text


def kitti_text(root, rng):
    """Two pedestrians for four frames, a car, and a corner that is ignored."""
    lines = []
    for frame in range(4):
        for number, (top, left) in {2001: (20, 10 + frame), 2002: (70, 90)}.items():
            mask = np.zeros((128, 400), bool)
            mask[top : top + 30, left : left + 20] = True
            lines.append(f"{frame} {number} 2 128 400 {rle(mask)}")
        for number, kind, rows in ((1001, 1, (0, 8)), (10000, 10, (120, 128))):
            mask = np.zeros((128, 400), bool)
            mask[slice(*rows)] = True
            lines.append(f"{frame} {number} {kind} 128 400 {rle(mask)}")
    (root / "0004.txt").write_text("\n".join(lines) + "\n")
    return root / "0004.txt"


def imagenet_x(root, rng):
    for kind in ("multi", "top"):
        lines = []
        for k in range(ROWS):
            row = {"file_name": f"n0144_{k}.JPEG", "class": 300 * k}
            marks = rng.integers(0, 2, len(FACTORS)).tolist()
            row |= dict(zip(FACTORS, marks, strict=True)) | {"justification": "a"}
            lines.append(json.dumps(row))
        path = root / f"imagenet_x_train_{kind}_factor.jsonl"
        path.write_text("\n".join(lines) + "\n")
    return root


def image(rng, path, *size, **how):
    from PIL import Image

    Image.fromarray(pixels(rng, *size, 3)).save(path, **how)


def class_folders(root, rng):
    for part in ("train", "val"):
        for kind in ("n01", "n02"):
            folder = root / part / kind
            folder.mkdir(parents=True)
            image(rng, folder / f"{kind}_1.JPEG", 70, 90, format="JPEG", quality=95)
            image(rng, folder / f"{kind}_2.png", 80, 66)
    return root


def threedident(root, rng):
    (root / "images").mkdir()
    np.save(root / "raw_latents.npy", rng.uniform(-1, 1, (ROWS, 4)).astype(np.float32))
    for k in range(ROWS):
        image(rng, root / "images" / f"{k}.png", 8, 8)
    return root


def causal3dident(root, rng):
    for kind in range(7):
        np.save(root / f"raw_latents_{kind}.npy", rng.uniform(-1, 1, (ROWS, 10)))
        (root / f"images_{kind}").mkdir()
        for k in range(ROWS):
            image(rng, root / f"images_{kind}" / f"{k}.png", 8, 8)
    return root


def npz(root, rng):
    np.savez(
        root / "mine.npz",
        train_images=pixels(rng, ROWS, 5, 4),
        train_labels=np.arange(ROWS),
        test_images=pixels(rng, 2, 5, 4),
        test_labels=np.arange(2),
    )
    return root / "mine.npz"


def h5(root, rng):
    import h5py

    with h5py.File(root / "mine.h5", "w") as file:
        file["train_images"] = pixels(rng, ROWS, 5, 4)
        file["train_labels"] = np.arange(ROWS)
    return root / "mine.h5"


MAKERS = {
    "cifar10-python": cifar_python("cifar10"),
    "cifar10-binary": cifar_binary("cifar10"),
    "cifar100-python": cifar_python("cifar100"),
    "cifar100-binary": cifar_binary("cifar100"),
    "mnist": mnist,
    "smallnorb": smallnorb,
    "cars3d": cars3d,
    "dsprites": dsprites,
    "shapes3d": shapes3d,
    "mpi3d": mpi3d,
    "kitti-masks": kitti_pickle,
    "kitti-masks (npz)": kitti_npz,
    "kitti-masks (text)": kitti_text,
    "imagenet-x": imagenet_x,
    "3dident": threedident,
    "causal3dident": causal3dident,
    "class-folders": class_folders,
    "npz": npz,
    "h5": h5,
}


def npz_member(name, header, content):
    """An archive of one member with a header of one's own."""
    text = (header + " " * (118 - len(header) - 1) + "\n").encode()
    start = b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text))
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(f"{name}.npy", start + text + content)
    return file.getvalue()
