"""Data from files: readers, and what is done to images before they are seen."""

from jidcl.data.augment import brightness, contrast, grey, hue_shift, saturation
from jidcl.data.mnist import Mnist, load_mnist, mnist_digest
from jidcl.data.nearest import nearest_rows, pair_rows
from jidcl.data.picture_set import PictureSet, load_picture_sets
from jidcl.data.views import ViewSettings, blur, crop_box, crop_resize, random_view

__all__ = [
    "Mnist",
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
    "load_picture_sets",
    "mnist_digest",
    "nearest_rows",
    "pair_rows",
    "random_view",
    "saturation",
]
