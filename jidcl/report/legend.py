"""What the scores of a record mean, a line each. Imports no JAX."""

from collections.abc import Mapping
from types import MappingProxyType

_SCORES = {
    "recovery": {
        "r2": "share of the latents (rivals: content) an affine map of y explains",
        "mcc": "mean |correlation| of latents with the outputs assigned to them",
        "procrustes": "share of the latents left by the best rotation and scale",
        "isometry_error": "mean |s(z, z+) - s(y, y+) / tau| of pairs, nats",
        "content": "share of the content found in the outputs",
        "style": "share of the style found in the outputs",
        "style_oracle": "what the true content itself says of style",
        "style_excess": "style found beyond what the true content says of it",
        "fixed_style": "share found of style that never changes: content, in theory",
        "class": "share of new pictures classed rightly from the outputs",
        "accuracy": "share of new draws classed rightly by the trained head",
    },
    "losses": {
        "loss": "the objective on new draws",
        "reference": "the objective of the true latents, on the same draws",
        "limit": "the least it can be, in closed form",
        "gap": "loss minus reference; small: closed",
        "gap_se": "its standard error over batches",
        "chance": "the objective of an encoder that ignores the pairs",
        "oracle_scale": "the scale of the true latents at which it is least",
        "linear_loss": "the objective of the best affine map of the observations",
        "own_loss": "the objective before outputs are brought to a deviation of 1",
        "train_reference": "the reference at the training batch, beside curves",
        "diverged": "1 where a run ended in numbers that are not finite",
    },
}
# What a null is, and thereby its score.
_NULLS = {
    "shuffled": "with rows in another order",
    "chance": "that independent outputs reach in 1 of 100 runs, by the exact law",
    "identity": "from the observations instead",
    "rotation_low": "of latents turned at random, 0.5 % quantile",
    "rotation_high": "of latents turned at random, 99.5 % quantile",
    "untrained": "of the encoder before its first step",
}
# What a name may end in, taken off from the right.
_ENDINGS = {
    "_per_dim": "of each dimension",
    "_cross_fitted": "each row by a fit and a matching of others",
    "_truth": "of the true latents",
    "_sampled": "from samples",
    "_intercept": "by a read-out with intercept",
    "_linear": "by a linear read-out",
    "_krr": "by kernel ridge regression",
    "_spearman": "of ranks",
}
_NONE: Mapping[str, str] = MappingProxyType({})


def meaning(name: str, own: Mapping[str, str] = _NONE, *, null: str = "") -> str:
    """One line on a score; a name without one is a factor, read from the outputs.

    Args:
        name: of a score or a loss.
        own: meanings of scores that are the system's own; they come first.
        null: the null whose score is meant, if any.

    Returns:
        The line, without a full stop.

    Example:
        >>> meaning("mcc", null="shuffled").removeprefix(meaning("mcc"))
        '; with rows in another order (null)'
        >>> meaning("delta", {"delta": "misalignment"})
        'misalignment'
    """
    if null:
        return f"{meaning(name, own)}; {_NULLS.get(null, null)} (null)"
    for group in (own, *_SCORES.values()):
        if name in group:
            return group[name]
    for ending, text in _ENDINGS.items():
        base = name.removesuffix(ending)
        if base != name:
            return f"{meaning(base, own)}; {text}"
    return f"the factor {name}, read from the outputs"


def legend(systems: Mapping[str, Mapping[str, str]] = MappingProxyType({})) -> str:
    """All names and meanings, for the terminal.

    Args:
        systems: by a system's name, the meanings of the scores that are its own.

    Returns:
        Several lines: a heading for each group, then its names.
    """
    groups = _SCORES | {"nulls": _NULLS, "endings": _ENDINGS}
    groups |= {f"of {name}": own for name, own in systems.items() if own}
    lines = []
    for title, group in groups.items():
        lines += [title, *(f"  {name:<22} {text}" for name, text in group.items()), ""]
    return "\n".join(lines) + "Other names are factors, read from the outputs."
