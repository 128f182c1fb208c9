"""CUDA graphs: a computation whose kernels are recorded once and then launched together.

For an image of half a megapixel, a GPU computes a layer in less time than Python takes to launch
the next one.
"""

from __future__ import annotations

import gc
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

#: image -> tensors.
_Function = Callable[[Tensor], tuple[Tensor, ...]]


class GraphedFunction:
    """A stateless function of an image on CUDA, replayed as a graph.

    The first call runs the function as it is, so that libraries initialise themselves. The second
    checks whether the function waits for the device or copies from the host: such a function cannot
    be recorded, and is called directly from then on. Any other is recorded, and the graph is
    replayed for images of the same size. Every call returns new tensors.
    """

    def __init__(self, function: _Function) -> None:
        self._function = function
        self._current = function
        self._calls = 0

    @property
    def is_recorded(self) -> bool:
        """True if calls replay a graph."""
        return self._current is not self._function

    def __call__(self, image: Tensor) -> tuple[Tensor, ...]:
        """Return the function's tensors for an image."""
        self._calls += 1
        if self._calls == 2 and not _synchronizes(self._function, image):
            self._current = _recorded(self._function, image)
        return self._current(image)


def _synchronizes(function: _Function, image: Tensor) -> bool:
    """Return whether the function waits for the device, or fails.

    Any other error that it raises is raised again by the next call.
    """
    try:
        with _synchronization_raises():
            function(image)
    except Exception:  # torch's error, or one that the function raises from it
        return True
    return False


def _recorded(function: _Function, image: Tensor) -> _Function:
    """Return a replay of the function's graph, or the function if the recording fails.

    It fails, for example, where the memory does not hold a graph.
    """
    graph, graph_input = torch.cuda.CUDAGraph(), image.clone()
    gc.collect()  # another graph, freed during the recording, would invalidate it
    try:
        with (
            torch.cuda.device(image.device),
            # restores the current stream, which a failed recording would not
            torch.cuda.stream(torch.cuda.current_stream()),
            torch.cuda.graph(graph, stream=torch.cuda.Stream()),  # type: ignore[no-untyped-call]
        ):
            outputs = function(graph_input)
    except Exception:
        return function

    def replay(new_image: Tensor) -> tuple[Tensor, ...]:
        if new_image.shape != graph_input.shape:
            return function(new_image)
        graph_input.copy_(new_image)
        graph.replay()
        return tuple(output.clone() for output in outputs)

    return replay


@contextmanager
def _synchronization_raises() -> Iterator[None]:
    before = torch.cuda.get_sync_debug_mode()
    with warnings.catch_warnings():
        # torch warns that it does not detect every wait; the recording fails for the others.
        warnings.simplefilter("ignore")
        torch.cuda.set_sync_debug_mode("error")
    try:
        yield
    finally:
        torch.cuda.set_sync_debug_mode(before)
