"""Contrastive ICA from pictures, rendered in the training step.

Zimmermann et al. 2021, Table 4.
"""
