"""Steps recorded once on a GPU, and replayed."""

from collections.abc import Callable

import torch


class CUDAGraphRunner:
    """Runs a function of one number on a GPU: recorded at the first call for each number, and then replayed.

    Launching the many small kernels of a step one by one takes longer than running them; a recorded step is launched
    as one.

    Args:
        device: the GPU whose memory the function works on; torch's current device may be another.
    """

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.graphs: dict[int, torch.cuda.CUDAGraph] = {}

    def __call__(self, function: Callable[[int], None], number: int) -> None:
        """Do the work of ``number``.

        Args:
            function: the same at each call. It must work on the same memory each time, give the same result when called
                twice in a row, and neither allocate what it returns nor wait for the device.
            number: what it is called with.
        """
        if number not in self.graphs:
            # Streams and graphs are made on the current device, which need not be the one of the memory.
            with torch.cuda.device(self.device):
                self.graphs[number] = self._record(function, number)
        else:
            self.graphs[number].replay()

    def _record(self, function: Callable[[int], None], number: int) -> torch.cuda.CUDAGraph:
        """Do the work once, and return a graph of it."""
        aside = torch.cuda.Stream()
        aside.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(aside):  # libraries set themselves up at the first call, which cannot be recorded
            function(number)
        torch.cuda.current_stream().wait_stream(aside)
        graph = torch.cuda.CUDAGraph()
        # A stream of this device: without one, torch takes that of the first graph of the process, on any device.
        with torch.cuda.graph(graph, stream=aside):
            function(number)
        return graph
