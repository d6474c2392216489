"""How good they are: the codes, the prior, the samples, and for smileys the truth.

Tensors and models in, figures out: nothing here reads files or trains what it measures. ``lpvq.experiments.report``
puts the parts together.
"""
