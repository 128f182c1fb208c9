"""The memory that a result may use, and the errors for a result that needs more."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

import torch

from ..attribution import is_out_of_memory
from ..errors import MemoryLimitError
from ..job.options.text import bytes_of
from ..machine import host_memory
from ..machine.host_memory import FreeMemory, in_words
from ..machine.malloc import collect_and_return_memory
from ..sizes.fitting import Size
from .estimate import MemoryEstimate

#: Memory that is set aside: libraries allocate 80 to 100 MB when they are first used, and malloc
#: leaves gaps between the arrays of small images, which it keeps (core/machine/malloc.py).
_SET_ASIDE = 200_000_000


@dataclass(frozen=True)
class Budget:
    """Bytes that a result may use.

    - `limit`: words for what limits them; empty for the memory of the machine or the device.
    - `is_jobs`: whether that is the job's `max_memory`.
    """

    available: int
    limit: str = ""
    is_jobs: bool = False

    def __str__(self) -> str:
        if not self.limit:
            return f"{in_words(self.available)} are free"
        return f"{in_words(self.available)} are left of {self.limit}"


def memory_budget(max_memory: str | None, device: torch.device) -> Budget:
    """Return the memory that is free, or what is left of the job's limit if that is less.

    Raises MemoryLimitError if the program itself holds as much as the job's limit.
    """
    budget = _budget(max_memory, device)
    if budget.available == 0 and budget.is_jobs:
        held = in_words(_held_memory(device))
        raise MemoryLimitError(
            f"out of memory: the program itself, with the job's images, holds {held} and the limit "
            f"is {budget.limit}; raise the limit"
        )
    return budget


def _budget(max_memory: str | None, device: torch.device) -> Budget:
    free = free_memory(device)
    if max_memory is not None:
        left = max(0, bytes_of(max_memory) - _held_memory(device))
        if left < free.available:
            return Budget(left, f"`max_memory={max_memory}`", is_jobs=True)
    return Budget(free.available, free.limit)


@contextmanager
def explaining_out_of_memory(
    needed: MemoryEstimate,
    size: Size,
    is_texture: bool,
    max_memory: str | None,
    device: torch.device,
) -> Iterator[None]:
    """Turn a failed allocation into MemoryLimitError, for a result of `size` (height, width)."""
    try:
        yield
    except Exception as error:
        if not is_out_of_memory(error):
            raise
        raise too_large(needed, size, is_texture, _budget(max_memory, device)) from None


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
    if budget.is_jobs:
        advice.append("more `max_memory`")
    return MemoryLimitError(
        f"out of memory: {size[1]}x{size[0]} px take about {in_words(needed_bytes)} even in the "
        f"smallest tiles and {budget}; {' or '.join(advice)} would fit"
    )


def style_too_large(
    needed_bytes: int, size: Size, relative_size: float, budget: Budget, reason: str
) -> MemoryLimitError:
    """Return the error for a style image of `size` that cannot be evaluated, even in tiles.

    `reason` says why, in the form "even in the smallest tiles" or "and ... cannot be computed in
    tiles: ...".
    """
    fitting = max(budget.available, 0) / needed_bytes
    return MemoryLimitError(
        f"out of memory: the style image at {size[1]}x{size[0]} px takes about "
        f"{in_words(needed_bytes)} and {budget}, {reason}; "
        f"`style_size={relative_size * fitting**0.5 * 0.95:.2g}` or a smaller `size` would fit"
    )


def free_memory(device: torch.device) -> FreeMemory:
    """Return the memory that is free on a CUDA device, or else on the host.

    What torch's allocator holds on the device and does not use is free: it is used again.
    """
    if device.type == "cuda":
        unused = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return FreeMemory(torch.cuda.mem_get_info(device)[0] + unused)
    collect_and_return_memory()
    free = host_memory.free()
    return replace(free, available=max(0, free.available - _SET_ASIDE))


def _held_memory(device: torch.device) -> int:
    """Return the bytes that the program holds, or soon will: code, weights, images."""
    if device.type == "cuda":
        return torch.cuda.memory_allocated(device)
    return host_memory.held_bytes() + _SET_ASIDE


def _smaller_size(size: Size, is_texture: bool, share: float) -> str:
    """Return the option `size` for a result with about the `share` of the pixels."""
    height, width = (max(16, int(side * max(share, 0) ** 0.5 * 0.95) // 16 * 16) for side in size)
    return f"`size={width}x{height}`" if is_texture else f"`size={max(height, width)}`"
