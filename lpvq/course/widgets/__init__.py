"""Interactive explorers for JupyterLab, for ideas that are best grasped by moving something.

Each is a picture that follows its controls, with the mouse or from the keyboard. Its module also has a function that
draws the same picture for any setting, without a widget.
"""

from lpvq.environment import needs_extra

with needs_extra("notebooks"):
    from lpvq.course.widgets.codebook import CodebookExplorer
    from lpvq.course.widgets.completion import CompletionExplorer
    from lpvq.course.widgets.drawing import DrawingBoard
    from lpvq.course.widgets.plane import PlaneExplorer
    from lpvq.course.widgets.receptive_field import ReceptiveFieldExplorer
    from lpvq.course.widgets.sampling import SamplingPlayer

__all__ = [
    "CodebookExplorer",
    "CompletionExplorer",
    "DrawingBoard",
    "PlaneExplorer",
    "ReceptiveFieldExplorer",
    "SamplingPlayer",
]
