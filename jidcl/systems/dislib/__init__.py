"""Do labels of pictures make their other factors linear?

Reizinger et al. 2024, Table 4.
"""
