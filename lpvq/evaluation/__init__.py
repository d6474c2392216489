"""How good: the codes, the prior, the samples, and for smileys the truth.

What is measured here has no opinion on where things come from: tensors and models in, figures out.
``lpvq.experiments.report`` puts the parts together.
"""
