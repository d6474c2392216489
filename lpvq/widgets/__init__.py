"""Interactive explorers for JupyterLab, for ideas that are best grasped by moving something.

Each is a picture that follows its controls, with the mouse or from the keyboard. Its module also has the function that
draws the same picture of any setting without a widget.
"""

from lpvq.widgets.codebook import CodebookExplorer
from lpvq.widgets.completion import CompletionExplorer
from lpvq.widgets.plane import PlaneExplorer
from lpvq.widgets.receptive_field import ReceptiveFieldExplorer
from lpvq.widgets.sampling import SamplingPlayer

__all__ = ["CodebookExplorer", "CompletionExplorer", "PlaneExplorer", "ReceptiveFieldExplorer", "SamplingPlayer"]
