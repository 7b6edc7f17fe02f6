"""Contrastive ICA: when does InfoNCE invert the data-generating process?

Zimmermann, Sharma, Schneider, Bethge, Brendel 2021.
"""
