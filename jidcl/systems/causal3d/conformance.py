"""Reference vectors of Causal3DIdent's views: which function each kind replays."""

from typing import Any

from jidcl.data import brightness, contrast, grey, hue_shift, saturation

Outputs = dict[str, Any]


def _colour_ops(params: Any, inputs: Any) -> Outputs:
    image = inputs["image"]
    return {
        "brightness": brightness(image, params["brightness"]),
        "contrast": contrast(image, params["contrast"]),
        "saturation": saturation(image, params["saturation"]),
        "hue": hue_shift(image, params["hue"]),
        "grayscale": grey(image)[..., 0],
    }


CONFORMANCE = {"colour_ops": _colour_ops}
ERRATA = []
