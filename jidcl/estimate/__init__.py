"""An encoder for pairs of your own, with the conventions of scikit-learn."""

from typing import Any

from jidcl.estimate.conventions import NotFitted
from jidcl.estimate.encoder import ContrastiveEncoder

__all__ = ["ContrastiveEncoder", "NotFitted", "fit_pairs"]


def fit_pairs(x: Any, x_pos: Any = None, **settings: Any) -> ContrastiveEncoder:
    """A `ContrastiveEncoder` fitted on pairs: `ContrastiveEncoder(...).fit(...)`.

    Args:
        x: anchors, `[rows, features]`, or a file or batches of pairs, see
            `ContrastiveEncoder.fit`.
        x_pos: their positives.
        **settings: of `ContrastiveEncoder`.

    Returns:
        The fitted encoder.

    Example:
        >>> import numpy as np
        >>> x = np.random.default_rng(0).normal(size=(60, 3))
        >>> fit_pairs(x, x + 0.1, outputs=2, hidden=(8,), steps=10, seeds=1)
        ContrastiveEncoder(outputs=2, hidden=(8,), steps=10, seeds=1)
    """
    return ContrastiveEncoder(**settings).fit(x, x_pos)
