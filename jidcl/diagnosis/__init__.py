"""What pairs of your own support: `diagnose`, its evidence and its sentences."""

import dataclasses
from typing import Any

import numpy as np

from jidcl.checks import check_numbers, check_type
from jidcl.diagnosis.evidence import Evidence, Outputs, gather
from jidcl.diagnosis.result import Diagnosis
from jidcl.diagnosis.sentences import BARS, SENTENCES, Bars, say
from jidcl.estimate import ContrastiveEncoder
from jidcl.estimate import pairs as rows
from jidcl.estimate.learning import INFONCE
from jidcl.estimate.training import learn, programs_of

__all__ = ["BARS", "SENTENCES", "Bars", "Diagnosis", "Evidence", "diagnose"]

RIVAL_SEEDS = 2  # runs of each other exponent


def diagnose(
    encoder: ContrastiveEncoder,
    x: Any = None,
    x_pos: Any = None,
    *,
    exponents: tuple[float, ...] = (1.0, 2.0, 3.0),
) -> Diagnosis:
    """What the held-out pairs of a fit support, and what they do not.

    Args:
        encoder: a fitted encoder.
        x: the anchors of its fit, where it was loaded from a folder; without them
            exponents are not compared.
        x_pos: their positives.
        exponents: p of `"infonce"` that are compared: the encoder's settings are fitted
            with each, two seeds, on the same rows.

    Returns:
        A `Diagnosis`: `summary()`, `plot(path)`, `to_html(path)`, `to_json(path)`,
        `to_csv(path)`.

    Raises:
        ValueError: on an encoder that is not fitted, or pairs that are not its own.
        TypeError: on another object than a `ContrastiveEncoder`.
    """
    check_type("encoder", encoder, ContrastiveEncoder)
    check_numbers("exponents", exponents)
    judged, stop = encoder.held_outputs()
    asks = encoder.objective == INFONCE
    p = float(encoder.p) if asks else 2.0
    runs = {p: Outputs(judged[:, 0], judged[:, 1], stop)}
    pairs = encoder.pairs_ if x is None else rows.open_pairs(x, x_pos)
    if pairs is not None:
        blocks = rows.split_rows(pairs.rows, encoder.held_out, encoder.seeds_[0])
        if x is not None:
            _check_own(encoder, pairs, blocks)
        if asks:
            for q in exponents:
                if q != p:
                    runs[float(q)] = _rival(encoder, pairs, blocks, float(q))
    last = encoder.history_[-1]
    gap = np.subtract(last["held_out"], last["loss"]).mean() if asks else 0.0
    found = gather(
        encoder.held_out_[0],
        runs,
        p=p,
        best=encoder.best_,
        overfit=float(gap),
        train_rows=encoder.train_rows_,
    )
    best = judged[encoder.best_]
    return Diagnosis(found, tuple(say(found)), best[:, : rows.BLOCK_ROWS], encoder)


def _check_own(encoder: ContrastiveEncoder, pairs: rows.Pairs, blocks: Any) -> None:
    """Raise `ValueError` unless the held-out rows are those of the fit."""
    rows.check_width("x", pairs.width, encoder.n_features_in_)
    test = rows.read_blocks(pairs, blocks.test, encoder.mean_, encoder.scale_)
    held = encoder.held_out_
    if test.shape != held.shape or not np.allclose(test, held, atol=1e-3):
        raise ValueError(
            "x and x_pos must be the pairs that the encoder was fitted on, got others"
        )


def _rival(
    encoder: ContrastiveEncoder, pairs: rows.Pairs, blocks: Any, q: float
) -> Outputs:
    """Outputs of the encoder's settings with another exponent."""
    how = dataclasses.replace(encoder.learning(), p=q)
    seeds = encoder.seeds_[:RIVAL_SEEDS]
    moments = encoder.mean_, encoder.scale_
    found = learn(
        how,
        rows.buffers(pairs, blocks.train, *moments, seeds[0]),
        encoder.stop_,
        seeds=seeds,
        patience=encoder.patience,
        told=encoder.progress,
    )
    f = programs_of(how, pairs.width).outputs
    y, y_pos = (np.asarray(f(found.params["f"], x)) for x in encoder.held_out_)
    stop = [np.asarray(f(found.params["f"], x)) for x in encoder.stop_]
    return Outputs(y, y_pos, np.stack(stop, axis=1))
