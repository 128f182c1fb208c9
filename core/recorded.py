"""A computation whose kernels are recorded once, as a CUDA graph, and then launched at once.

A GPU is through with a layer of a picture of half a megapixel sooner than Python can ask for it.
"""

from __future__ import annotations

import gc
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

#: From a picture to some tensors.
_Function = Callable[[Tensor], tuple[Tensor, ...]]


class Recorded:
    """A function of a picture on CUDA that has no state; it gives new tensors at every call.

    The first call makes what libraries make when they are first used. The second is watched: what
    waits for the device, or copies from the host, cannot be recorded, and such a function goes on
    being called. From the third on its record is played, to pictures of the same size.
    """

    def __init__(self, function: _Function) -> None:
        self._function = function
        self._played = function
        self._calls = 0

    def __call__(self, image: Tensor) -> tuple[Tensor, ...]:
        """What the function gives."""
        self._calls += 1
        if self._calls == 2 and not _waits(self._function, image):
            self._played = _recorded(self._function, image)
        return self._played(image)


def _waits(function: _Function, image: Tensor) -> bool:
    """Whether the function waits for the device. What else it raises it will raise again."""
    try:
        with _waiting_is_an_error():
            function(image)
    except Exception:  # torch's own, or what the function makes of it
        return True
    return False


def _recorded(function: _Function, image: Tensor) -> _Function:
    """What plays the function's record; the function, where there is no memory for a record."""
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
