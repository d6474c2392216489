"""Steps recorded once on a GPU, and replayed."""

from collections.abc import Callable

import torch


class CUDAGraphRunner:
    """Runs a function of one number on a GPU: recorded at the first call for each number, and then replayed.

    Launching the many small kernels of a step one by one takes longer than running them; a recorded step is launched
    as one.
    """

    def __init__(self) -> None:
        self.graphs: dict[int, torch.cuda.CUDAGraph] = {}

    def __call__(self, function: Callable[[int], None], number: int) -> None:
        """Do the work of ``number``.

        Args:
            function: the same at each call. It must work on the same memory each time, give the same result when called
                twice in a row, and neither allocate what it returns nor wait for the device.
            number: what it is called with.
        """
        if number in self.graphs:
            self.graphs[number].replay()
            return
        # Libraries set themselves up at the first call, which cannot be recorded.
        aside = torch.cuda.Stream()
        aside.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(aside):
            function(number)
        torch.cuda.current_stream().wait_stream(aside)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            function(number)
        self.graphs[number] = graph
