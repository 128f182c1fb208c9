"""How much memory a picture takes, before and after it was too much."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager

import psutil
import torch

from .backbone import Backbone
from .blame import is_out_of_memory
from .errors import MemoryLimitError
from .plan import Plan

#: Memory at the peak, in units of the activations that the layers hold: what the forward pass
#: keeps, gradients, temporary copies, and what lies unused between them. Measured on whole runs of
#: the torch backend with VGG-19 at 1024 and 1600 px.
_OVERHEAD = 2.5
#: Floats per pixel for the optimizer's vectors.
_OPTIMIZER_FLOATS = 80


def estimated_bytes(backbone: Backbone, layers: Collection[str], pixels: int) -> int:
    """Peak memory of a step at so many pixels, beside what the program holds anyway."""
    deepest = backbone.deepest(layers)
    depth = backbone.layers.index(deepest) + 1
    floats = sum(info.channels / info.stride**2 for info in backbone.layers[:depth])
    return round(4 * pixels * (_OVERHEAD * floats + _OPTIMIZER_FLOATS))


def check_memory(plan: Plan, size: tuple[int, int], device: torch.device) -> None:
    """Raises MemoryLimitError when a picture (height, width) cannot fit the device's free memory.

    Linux promises more memory than there is, and kills a process that takes it at its word.
    """
    available = _free_memory(device)
    if estimated_bytes(plan.backbone, plan.layers, size[0] * size[1]) > available:
        raise _too_large(plan, size, available)


@contextmanager
def explaining_out_of_memory(
    plan: Plan, size: tuple[int, int], device: torch.device
) -> Iterator[None]:
    """Turns torch's own out-of-memory errors into MemoryLimitError."""
    try:
        yield
    except Exception as error:
        if not is_out_of_memory(error):
            raise
        raise _too_large(plan, size, _free_memory(device)) from None


def _free_memory(device: torch.device) -> int:
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    return psutil.virtual_memory().available


def _too_large(plan: Plan, size: tuple[int, int], available: int) -> MemoryLimitError:
    """`available` is what may be used for the picture. An allocation may fail although more seems
    to be free (a limit, fragments): then half the size is the advice."""
    needed = estimated_bytes(plan.backbone, plan.layers, size[0] * size[1])
    share = available / needed if needed > available else 0.25
    height, width = (max(16, int(side * share**0.5 * 0.95) // 16 * 16) for side in size)
    texture = plan.job.content is None
    advice = f"--size {width}x{height}" if texture else f"--size {max(height, width)}"
    return MemoryLimitError(
        f"out of memory: {size[1]}x{size[0]} px take about {needed / 1e9:.1f} GB and "
        f"{available / 1e9:.1f} GB are free; {advice} would fit"
    )
