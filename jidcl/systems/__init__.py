"""One folder a paper: presets, problem, checks, conformance. Imports nothing."""
