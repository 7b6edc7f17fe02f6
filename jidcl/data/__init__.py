"""Data from files: readers, and what is done to images before they are seen."""

from jidcl.data.augment import brightness, contrast, grey, hue_shift, saturation
from jidcl.data.columns import Column
from jidcl.data.dataset import DataSet, Finding, check_data, open_data
from jidcl.data.frame_pairs import FrameStarts, draw_frame_pairs, frame_starts
from jidcl.data.kitti import (
    MaskSequences,
    kitti_digest,
    mask_sequences,
    read_kitti_masks,
    split_by_video,
)
from jidcl.data.mnist import Mnist, load_mnist, mnist_digest
from jidcl.data.nearest import nearest_rows, pair_rows
from jidcl.data.picture_grid import (
    PictureGrid,
    load_picture_grid,
    picture_grid_digest,
)
from jidcl.data.picture_set import PictureSet, load_picture_sets, picture_sets_digest
from jidcl.data.views import ViewSettings, blur, crop_box, crop_resize, random_view

__all__ = [
    "Column",
    "DataSet",
    "Finding",
    "FrameStarts",
    "MaskSequences",
    "Mnist",
    "PictureGrid",
    "PictureSet",
    "ViewSettings",
    "blur",
    "brightness",
    "check_data",
    "contrast",
    "crop_box",
    "crop_resize",
    "draw_frame_pairs",
    "frame_starts",
    "grey",
    "kitti_digest",
    "hue_shift",
    "load_mnist",
    "load_picture_grid",
    "load_picture_sets",
    "mask_sequences",
    "mnist_digest",
    "nearest_rows",
    "open_data",
    "pair_rows",
    "picture_grid_digest",
    "picture_sets_digest",
    "random_view",
    "read_kitti_masks",
    "saturation",
    "split_by_video",
]
