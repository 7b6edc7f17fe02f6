"""Work above systems: one run, sweeps, costs, verification, conformance."""
