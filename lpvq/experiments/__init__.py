"""Whole experiments: artefacts that are found or made, what is measured of them, studies and benchmarks."""
