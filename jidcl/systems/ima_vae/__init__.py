"""Why does the ELBO's gap help? Near-deterministic VAEs and independent mechanisms.

Reizinger et al. 2022.
"""
