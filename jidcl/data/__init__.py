"""Data from files: readers, and what is done to images before they are seen."""

from jidcl.data.augment import brightness, contrast, grey, hue_shift, saturation

__all__ = ["brightness", "contrast", "grey", "hue_shift", "saturation"]
