"""Data from files: readers, and what is done to images before they are seen."""

from jidcl.data.augment import brightness, contrast, grey, hue_shift, saturation
from jidcl.data.mnist import Mnist, load_mnist, mnist_digest

__all__ = [
    "Mnist",
    "brightness",
    "contrast",
    "grey",
    "hue_shift",
    "load_mnist",
    "mnist_digest",
    "saturation",
]
