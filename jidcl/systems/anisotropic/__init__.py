"""Anisotropic InfoNCE: what if all factors change, but unequally?

Rusak et al. 2024.
"""
