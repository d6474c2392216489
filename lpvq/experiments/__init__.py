"""Whole experiments: artefacts that are found or made, what is measured on them, studies and benchmarks."""
