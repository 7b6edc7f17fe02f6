"""Small records, made by hand."""

import dataclasses

import numpy as np

from jidcl.claims import QuickClaim
from jidcl.report.records import SCHEMA_VERSION, Record

QUICK = QuickClaim(
    id="q",
    preset="x",
    metric="r2",
    threshold=99.0,
    expect="identified",
    source="Theorem 2",
    text="text",
)


def record(r2, *, gap=0.0, gap_se=0.001, mcc=0.5, floor=1.0, chance=2.0, **fields):
    """A trained run whose seeds have these R2, its other numbers being simple ones."""
    k = len(r2)
    base = Record(
        schema_version=SCHEMA_VERSION,
        system="contrastive_ica",
        preset="quick/x",
        config={},
        seeds=list(range(k)),
        floor_kind="limit",
        scores={"r2": list(r2), "mcc": list(np.broadcast_to(mcc, k))},
        losses={
            "loss": list(floor + np.broadcast_to(gap, k)),
            "reference": [floor] * k,
            "chance": [chance] * k,
            "gap": list(np.broadcast_to(gap, k)),
            "gap_se": [gap_se] * k,
        },
        nulls={
            "r2": {"shuffled": [0.01] * k, "identity": [0.6] * k},
            "mcc": {
                "shuffled": [0.02] * k,
                "identity": [0.4] * k,
                "rotation_low": [0.6] * k,
                "rotation_high": [0.9] * k,
            },
        },
        untrained={"r2": [0.5] * k},
        curve=[],
        seconds={"train": 1.0},
        device="cpu",
    )
    return dataclasses.replace(base, **fields)


def bare(scores, **fields):
    """A run that trains nothing: scores of each seed and nothing else."""
    count = len(next(iter(scores.values())))
    held = dict(scores=scores, seeds=list(range(count)), floor_kind="none")
    held |= dict(losses={}, nulls={}, untrained={})
    return record([0.0], **held | fields)


def curve(*, off=0.0, rises=False, seeds=1):
    """A run of Theorem 1 whose measured curve is `off` from its prediction."""
    counts = np.array([64.0, 256.0, 1024.0])
    predicted = (1 if rises else -1) * counts / 1e4
    rows = {
        "counts": counts,
        "predicted": predicted,
        "excess": predicted + off,
        "error": np.full(3, 1e-4),
    }
    scores = {name: [row.tolist()] * seeds for name, row in rows.items()}
    scores |= {"limit": [-0.2] * seeds, "moment": [0.0] * seeds}
    return bare(scores)
