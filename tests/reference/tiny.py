"""A contrastive problem small enough for every training test."""

from dataclasses import replace

from jidcl.systems.contrastive_ica.presets import presets

TINY = replace(
    presets()["quick/sphere-vmf"],
    widths=(4, 8),
    batch=16,
    steps=12,
    chunk=4,
    warmup=2,
    eval_batch=128,
    eval_batches=2,
    mixing_draws=20,
)
