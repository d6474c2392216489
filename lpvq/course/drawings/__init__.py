"""Drawings of ideas for single notebooks, a file for each; pictures of data are in ``lpvq.plotting``."""
