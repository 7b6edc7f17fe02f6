"""Reference vectors of 3DIdent: which public function each kind replays."""

from typing import Any

from jidcl.mixing.scenes import ident3d

Outputs = dict[str, Any]


def _threedident_scene(params: Any, inputs: Any) -> Outputs:
    z = inputs["raw_latents"]
    setups = [ident3d.layout(row, hue="published")._asdict() for row in z]
    return {"latents": ident3d.physical(z), "scenes": setups}


CONFORMANCE = {"threedident_scene": _threedident_scene}
ERRATA = []
