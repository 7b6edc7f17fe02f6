"""Do instance or class labels suffice?

Reizinger et al. 2024.
"""
