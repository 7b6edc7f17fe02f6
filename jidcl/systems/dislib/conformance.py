"""Reference vectors of decoded factors: which public function each kind replays."""

from typing import Any

from jidcl.metrics import legacy_levels, linear_decode_pearson, ordinal_levels
from jidcl.systems.contract import on_host

Outputs = dict[str, Any]


def _linear_decode(params: Any, inputs: Any) -> Outputs:
    names = ("x_train", "y_train", "x_val", "y_val")
    decoded = linear_decode_pearson(*(inputs[name] for name in names))
    return {
        "coef": decoded.weights,
        "train_pearson": decoded.train,
        "val_pearson": decoded.score,
    }


@on_host
def _quantisation(params: Any, inputs: Any) -> Outputs:
    def one(values):
        legacy, ordinal = legacy_levels(values), ordinal_levels(values)
        return {
            "legacy": legacy,
            "ordinal": ordinal,
            "legacy_levels": len(set(legacy.tolist())),
            "true_levels": len(set(ordinal.tolist())),
        }

    return {"factors": [one(values) for values in inputs["values"]]}


CONFORMANCE = {
    "linear_decode_pearson": _linear_decode,
    "factor_quantisation": _quantisation,
}
ERRATA = []
