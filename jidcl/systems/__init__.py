"""One file per paper: wiring, presets, conformance kinds. This file imports nothing."""
