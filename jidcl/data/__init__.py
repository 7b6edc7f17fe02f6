"""Data from files: readers, and what is done to images before they are seen."""

from jidcl.data.augment import brightness, contrast, grey, hue_shift, saturation
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
    "Mnist",
    "PictureGrid",
    "PictureSet",
    "ViewSettings",
    "blur",
    "brightness",
    "contrast",
    "crop_box",
    "crop_resize",
    "grey",
    "hue_shift",
    "load_mnist",
    "load_picture_grid",
    "load_picture_sets",
    "mnist_digest",
    "nearest_rows",
    "pair_rows",
    "picture_grid_digest",
    "picture_sets_digest",
    "random_view",
    "saturation",
]
