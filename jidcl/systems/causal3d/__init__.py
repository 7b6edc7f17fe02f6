"""Which factors do two views of a picture share?

von Kuegelgen et al. 2021, section 5.2.
"""
