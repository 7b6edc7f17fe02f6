"""A contrastive problem small enough for every training test."""

from dataclasses import fields, replace

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

# What is small in it.
SMALL = ("widths", "batch", "steps", "chunk", "eval_batch", "eval_batches")
SMALL += ("mixing_draws", "warmup")


def shrunk(config):
    """Settings as small as `TINY`, where they act."""
    acting = {field.name for field in fields(config)} - config.inert().keys()
    values = {name: getattr(TINY, name) for name in SMALL if name in acting}
    return replace(config, **values)
