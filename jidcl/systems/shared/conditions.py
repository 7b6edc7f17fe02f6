"""Conditions N1 to N5 of content/style pairs. Imports no JAX.

Source: von Kuegelgen et al. 2021, section 5.1.
"""

from typing import Any

CONDITIONS: dict[str, dict[str, Any]] = {
    "n1": dict(change=1.0),
    "n2": dict(change=0.75),
    "n3": dict(change=0.75, stat=True),
    "n4": dict(change=0.75, causal=True),
    "n5": dict(change=0.75, stat=True, causal=True),
}
