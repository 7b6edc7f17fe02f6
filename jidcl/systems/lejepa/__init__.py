"""When does a Gaussian embedding (LeJEPA) recover the factors?

Klindt et al. 2026.
"""
