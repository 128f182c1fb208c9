"""The available memory, and the errors for a result that needs more."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch

from .. import host_memory
from ..attribution import is_out_of_memory
from ..errors import MemoryLimitError
from ..host_memory import in_words
from ..job.text import bytes_of
from ..sizes.fitting import Size
from .estimate import MemoryEstimate


@dataclass(frozen=True)
class Budget:
    """Bytes that a result may use; `limit` is the job's `max_memory`, if it has one."""

    available: int
    limit: str | None = None

    def __str__(self) -> str:
        if self.limit is None:
            return f"{in_words(self.available)} are free"
        return f"{in_words(self.available)} are left of `max_memory={self.limit}`"


def memory_budget(limit: str | None, device: torch.device) -> Budget:
    """Return the memory that is free, or what is left of the job's limit.

    Raises MemoryLimitError if the program itself holds as much as the limit.
    """
    free = free_memory(device)
    if limit is None:
        return Budget(free)
    held = _held_memory(device)
    if held >= bytes_of(limit):
        raise MemoryLimitError(
            f"out of memory: the program itself holds {in_words(held)} and the limit is "
            f"`max_memory={limit}`; raise the limit"
        )
    return Budget(min(free, bytes_of(limit) - held), limit)


@contextmanager
def explaining_out_of_memory(
    needed: MemoryEstimate, size: Size, is_texture: bool, limit: str | None, device: torch.device
) -> Iterator[None]:
    """Turn a failed allocation into MemoryLimitError, for a result of `size` (height, width)."""
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
    """Return the error for a result that is not cut into tiles.

    `reason` says why it cannot be cut. An allocation may fail although more memory seems to be free
    (a limit, fragmentation): the message then suggests half the size.
    """
    needed_bytes = needed.uncut(size[0] * size[1])
    share = budget.available / needed_bytes if needed_bytes > budget.available else 0.25
    reason = f", and {reason}" if reason else ""
    return MemoryLimitError(
        f"out of memory: {size[1]}x{size[0]} px take about {in_words(needed_bytes)} and "
        f"{budget}{reason}; {_smaller_size(size, is_texture, share)} would fit"
    )


def too_large_in_tiles(
    needed: MemoryEstimate,
    with_adam: MemoryEstimate,
    size: Size,
    is_texture: bool,
    crop_pixels: int,
    budget: Budget,
) -> MemoryLimitError:
    """Return the error for a result that does not fit even in its smallest tiles.

    The tiles' crops have `crop_pixels`; `with_adam` is the estimate for Adam, the optimizer that
    holds the fewest images.
    """
    pixels = size[0] * size[1]
    needed_bytes = needed.cut(pixels, crop_pixels)
    result_bytes = needed_bytes - needed.cut(0, crop_pixels)
    shares = (
        (budget.available - needed.cut(0, crop_pixels)) / result_bytes,
        budget.available / needed.uncut(pixels),
    )
    advice = [_smaller_size(size, is_texture, max(shares))]
    if with_adam.cut(pixels, crop_pixels) <= budget.available and with_adam != needed:
        advice.append("`optimizer=adam`")
    if budget.limit is not None:
        advice.append("more `max_memory`")
    return MemoryLimitError(
        f"out of memory: {size[1]}x{size[0]} px take about {in_words(needed_bytes)} even in the "
        f"smallest tiles and {budget}; {' or '.join(advice)} would fit"
    )


def free_memory(device: torch.device) -> int:
    """Return the bytes that are free on a CUDA device, or else on the host."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    return host_memory.free_bytes()


def _held_memory(device: torch.device) -> int:
    """Return the bytes that the program holds: code, the network's weights, images."""
    if device.type == "cuda":
        return torch.cuda.memory_reserved(device)
    return host_memory.held_bytes()


def _smaller_size(size: Size, is_texture: bool, share: float) -> str:
    """Return the option `size` for a result with about the `share` of the pixels."""
    height, width = (max(16, int(side * max(share, 0) ** 0.5 * 0.95) // 16 * 16) for side in size)
    return f"`size={width}x{height}`" if is_texture else f"`size={max(height, width)}`"
