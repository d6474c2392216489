"""Codes packed into files whose size is the prior's likelihood.

``rans`` turns frequencies into bits and back; ``packing`` asks a whole-number prior for the frequencies.
"""
