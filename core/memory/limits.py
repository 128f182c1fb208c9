"""The memory that is there, and the errors for a result that needs more."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import psutil
import torch

from ..attribution import is_out_of_memory
from ..errors import MemoryLimitError
from ..job.byte_sizes import bytes_of
from ..sizes.fitting import Size
from .estimate import MemoryEstimate


@dataclass(frozen=True)
class Budget:
    """Bytes that a result may take; `limit` is the job's `max_memory`, if it has one."""

    available: int
    limit: str | None = None

    def __str__(self) -> str:
        if self.limit is None:
            return f"{_in_words(self.available)} are free"
        return f"{_in_words(self.available)} are left of `max_memory={self.limit}`"


def memory_budget(limit: str | None, device: torch.device) -> Budget:
    """What is free, or what is left of the job's limit. Raises MemoryLimitError where
    nothing is."""
    free = free_memory(device)
    if limit is None:
        return Budget(free)
    held = _held_memory(device)
    if held >= bytes_of(limit):
        raise MemoryLimitError(
            f"out of memory: the program itself holds {_in_words(held)} and has "
            f"`max_memory={limit}`; give it more"
        )
    return Budget(min(free, bytes_of(limit) - held), limit)


@contextmanager
def explaining_out_of_memory(
    needed: MemoryEstimate, size: Size, is_texture: bool, limit: str | None, device: torch.device
) -> Iterator[None]:
    """Turn failed allocations into MemoryLimitError, for a result of `size`."""
    try:
        yield
    except Exception as error:
        if not is_out_of_memory(error):
            raise
        budget = Budget(free_memory(device), limit)
        raise too_large(needed, size, is_texture, budget) from None


def too_large(
    needed: MemoryEstimate, size: Size, is_texture: bool, budget: Budget, reason: str = ""
) -> MemoryLimitError:
    """For a result that is not cut into tiles; `reason` says why it cannot be.

    An allocation may fail although more seems to be free (a limit, fragments): then half the size
    is the advice.
    """
    taken = needed.uncut(size[0] * size[1])
    share = budget.available / taken if taken > budget.available else 0.25
    reason = f", and {reason}" if reason else ""
    return MemoryLimitError(
        f"out of memory: {size[1]}x{size[0]} px take about {_in_words(taken)} and "
        f"{budget}{reason}; {_smaller(size, is_texture, share)} would fit"
    )


def too_large_in_tiles(
    needed: MemoryEstimate,
    with_adam: MemoryEstimate,
    size: Size,
    is_texture: bool,
    crop_pixels: int,
    budget: Budget,
) -> MemoryLimitError:
    """For a result that is too much even in its smallest tiles, whose crops have `crop_pixels`.
    `with_adam` is what the optimizer that holds least would take."""
    pixels = size[0] * size[1]
    taken = needed.cut(pixels, crop_pixels)
    for_pixels = taken - needed.cut(0, crop_pixels)
    shares = (
        (budget.available - needed.cut(0, crop_pixels)) / for_pixels,
        budget.available / needed.uncut(pixels),
    )
    advice = [_smaller(size, is_texture, max(shares))]
    if with_adam.cut(pixels, crop_pixels) <= budget.available and with_adam != needed:
        advice.append("`optimizer=adam`")
    if budget.limit is not None:
        advice.append("more `max_memory`")
    return MemoryLimitError(
        f"out of memory: {size[1]}x{size[0]} px take about {_in_words(taken)} even in the smallest "
        f"tiles and {budget}; {' or '.join(advice)} would fit"
    )


def free_memory(device: torch.device) -> int:
    """Bytes that are free on the device, or on the host."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    return psutil.virtual_memory().available


def _held_memory(device: torch.device) -> int:
    """Bytes of the program: its code, the network's weights, the images."""
    if device.type == "cuda":
        return torch.cuda.memory_reserved(device)
    return int(psutil.Process().memory_info().rss)


def _in_words(size: float) -> str:
    return f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{size / 1e6:.0f} MB"


def _smaller(size: Size, is_texture: bool, share: float) -> str:
    """A size with about so large a share of the pixels, as an option."""
    height, width = (max(16, int(side * max(share, 0) ** 0.5 * 0.95) // 16 * 16) for side in size)
    return f"`size={width}x{height}`" if is_texture else f"`size={max(height, width)}`"
