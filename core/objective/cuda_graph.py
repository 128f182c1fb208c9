"""CUDA graphs: a computation whose kernels are recorded once and then launched together.

A GPU computes a layer of an image of half a megapixel sooner than Python can launch the next one.
"""

from __future__ import annotations

import gc
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

#: From an image to some tensors.
_Function = Callable[[Tensor], tuple[Tensor, ...]]


class GraphedFunction:
    """A stateless function of an image on CUDA, replayed as a graph; it gives new tensors at every
    call.

    The first call lets libraries initialise themselves. The second is watched: what waits for the
    device, or copies from the host, cannot be recorded, and such a function is called as before.
    From the third on its graph is replayed, for images of the same size.
    """

    def __init__(self, function: _Function) -> None:
        self._function = function
        self._current = function
        self._calls = 0

    def __call__(self, image: Tensor) -> tuple[Tensor, ...]:
        """What the function gives."""
        self._calls += 1
        if self._calls == 2 and not _waits(self._function, image):
            self._current = _recorded(self._function, image)
        return self._current(image)


def _waits(function: _Function, image: Tensor) -> bool:
    """Whether the function waits for the device. What else it raises it will raise again."""
    try:
        with _waiting_is_an_error():
            function(image)
    except Exception:  # torch's own, or what the function makes of it
        return True
    return False


def _recorded(function: _Function, image: Tensor) -> _Function:
    """A replay of its graph; the function itself, where there is no memory for a graph."""
    graph, own = torch.cuda.CUDAGraph(), image.clone()
    gc.collect()  # the end of another graph would spoil this one
    try:
        with (
            torch.cuda.device(image.device),
            # comes back to the stream that was current, which a record that fails would leave
            torch.cuda.stream(torch.cuda.current_stream()),
            torch.cuda.graph(graph, stream=torch.cuda.Stream()),  # type: ignore[no-untyped-call]
        ):
            outputs = function(own)
    except Exception:
        return function

    def play(other: Tensor) -> tuple[Tensor, ...]:
        if other.shape != own.shape:
            return function(other)
        own.copy_(other)
        graph.replay()
        return tuple(output.clone() for output in outputs)

    return play


@contextmanager
def _waiting_is_an_error() -> Iterator[None]:
    before = torch.cuda.get_sync_debug_mode()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that it is not complete, which a record would show
        torch.cuda.set_sync_debug_mode("error")
    try:
        yield
    finally:
        torch.cuda.set_sync_debug_mode(before)
