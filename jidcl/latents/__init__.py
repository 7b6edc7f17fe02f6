"""Latents z: spaces, and the densities that live on them."""

from jidcl.latents.blocks import (
    BlockLaw,
    block_latents,
    changed_pair,
    covariance,
    init_blocks,
    sample_block_pair,
    sample_blocks,
    spectrum,
    whitening,
)
from jidcl.latents.densities import (
    log_prob,
    sample,
    sample_marginal,
    sample_with_acceptance,
)
from jidcl.latents.families import (
    Density,
    GeneralisedNormal,
    Laplace,
    Normal,
    PNormDensity,
    ProductDensity,
    Uniform,
    VonMisesFisher,
    make_density,
)
from jidcl.latents.spaces import Ball, Box, Product, Real, Simplex, Space, Sphere

__all__ = [
    "Ball",
    "BlockLaw",
    "Box",
    "Density",
    "GeneralisedNormal",
    "Laplace",
    "Normal",
    "PNormDensity",
    "Product",
    "ProductDensity",
    "Real",
    "Simplex",
    "Space",
    "Sphere",
    "Uniform",
    "VonMisesFisher",
    "block_latents",
    "changed_pair",
    "covariance",
    "init_blocks",
    "log_prob",
    "make_density",
    "sample",
    "sample_block_pair",
    "sample_blocks",
    "sample_marginal",
    "sample_with_acceptance",
    "spectrum",
    "whitening",
]
