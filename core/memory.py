"""How much memory a picture takes, before and after it was too much."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import psutil
import torch

from .blame import is_out_of_memory
from .byte_sizes import bytes_of
from .errors import MemoryLimitError
from .optimizers import Adam, Optimizer
from .plan import Plan
from .terms import IMAGE_LAYER

#: Memory at the peak, in units of the activations that the layers hold: what the forward pass
#: keeps, gradients, temporary copies, and what lies unused between them. Measured on whole runs of
#: the torch backend with VGG-19: 1.7 at 1024 px, 1.3 at 1600 px.
_OVERHEAD = 1.9
#: The same for tiles, of which there are copies without the halo; measured at 1600 px.
_OVERHEAD_OF_TILES = 3.2
#: Pictures beside the optimizer's: the content, and what terms that read the pixels hold at a time.
_OTHER_PICTURES = 7
_PICTURE_BYTES = 4 * 3


@dataclass(frozen=True)
class Demand:
    """What a step takes, beside what the program holds anyway: bytes for each pixel that the
    network sees at a time, and for each pixel of the picture; those of the latter that are needed
    only if the picture is cut into tiles; and those of all style images."""

    network: float
    picture: float
    content: float
    styles: int

    def uncut(self, pixels: int) -> int:
        """Bytes, for the picture as a whole."""
        return round(pixels * (self.network + self.picture)) + self.styles

    def cut(self, pixels: int, crop_pixels: int) -> int:
        """Bytes, for the picture in tiles."""
        of_picture = pixels * (self.picture + self.content)
        return round(of_picture + crop_pixels * self._network_of_tiles) + self.styles

    def most_crop_pixels(self, pixels: int, available: int) -> int:
        """How large a tile's crop may be; negative where the picture alone is too much."""
        return int((available - self.cut(pixels, 0)) // self._network_of_tiles)

    @property
    def _network_of_tiles(self) -> float:
        return self.network * _OVERHEAD_OF_TILES / _OVERHEAD


def demand(plan: Plan, steps: int, style_pixels: int, optimizer: Optimizer | None = None) -> Demand:
    """Of a scale with so many steps, by the plan's optimizer or another."""
    deepest = plan.backbone.deepest(plan.layers)
    depth = plan.backbone.layers.index(deepest) + 1
    floats = {info.name: info.channels / info.stride**2 for info in plan.backbone.layers[:depth]}
    content = sum(
        floats[layer]
        for each in plan.terms
        if "content" in each.term.reads
        for layer in each.term.layers
        if layer != IMAGE_LAYER
    )
    pictures = (optimizer or plan.optimizer).pictures(steps) + _OTHER_PICTURES
    return Demand(
        network=4 * _OVERHEAD * sum(floats.values()),
        picture=_PICTURE_BYTES * pictures,
        content=4 * content,
        styles=_PICTURE_BYTES * style_pixels,
    )


def available_memory(plan: Plan, device: torch.device) -> int:
    """Bytes that a picture may take: what is free, or what is left of the job's limit. Raises
    MemoryLimitError where nothing is."""
    free, limit = _free_memory(device), plan.job.max_memory
    if limit is None:
        return free
    held = _held_memory(device)
    if held >= bytes_of(limit):
        raise MemoryLimitError(
            f"out of memory: the program itself holds {_in_words(held)} and has --max-memory "
            f"{limit}; give it more"
        )
    return min(free, bytes_of(limit) - held)


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
        available = _free_memory(device)
        raise too_large(plan, size, demand(plan, plan.job.iterations, 0), available) from None


def too_large(
    plan: Plan, size: tuple[int, int], needed: Demand, available: int, reason: str = ""
) -> MemoryLimitError:
    """For a picture (height, width) that is not cut into tiles; `reason` says why it cannot be.
    An allocation may fail although more seems to be free (a limit, fragments): then half the size
    is the advice."""
    taken = needed.uncut(size[0] * size[1])
    share = available / taken if taken > available else 0.25
    reason = f", and {reason}" if reason else ""
    return MemoryLimitError(
        f"out of memory: {size[1]}x{size[0]} px take about {_in_words(taken)} and "
        f"{_free(plan, available)}{reason}; {_smaller(plan, size, share)} would fit"
    )


def too_large_in_tiles(
    plan: Plan,
    size: tuple[int, int],
    needed: Demand,
    thriftier: Demand,
    crop_pixels: int,
    available: int,
) -> MemoryLimitError:
    """For a picture that is too much even in its smallest tiles, whose crops have `crop_pixels`.
    `thriftier` is what Adam would take."""
    pixels = size[0] * size[1]
    taken = needed.cut(pixels, crop_pixels)
    for_pixels = taken - needed.cut(0, crop_pixels)
    shares = (
        (available - needed.cut(0, crop_pixels)) / for_pixels,
        available / needed.uncut(pixels),
    )
    advice = [_smaller(plan, size, max(shares))]
    if thriftier.cut(pixels, crop_pixels) <= available and not isinstance(plan.optimizer, Adam):
        advice.append("--optimizer adam")
    if plan.job.max_memory is not None:
        advice.append("more --max-memory")
    return MemoryLimitError(
        f"out of memory: {size[1]}x{size[0]} px take about {_in_words(taken)} even in the smallest "
        f"tiles and {_free(plan, available)}; {' or '.join(advice)} would fit"
    )


def _free(plan: Plan, available: int) -> str:
    if plan.job.max_memory is None:
        return f"{_in_words(available)} are free"
    return f"{_in_words(available)} are left of --max-memory {plan.job.max_memory}"


def _in_words(size: float) -> str:
    return f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{size / 1e6:.0f} MB"


def _smaller(plan: Plan, size: tuple[int, int], share: float) -> str:
    """A size with about so large a share of the pixels, as the flag."""
    height, width = (max(16, int(side * max(share, 0) ** 0.5 * 0.95) // 16 * 16) for side in size)
    texture = plan.job.content is None
    return f"--size {width}x{height}" if texture else f"--size {max(height, width)}"


def _free_memory(device: torch.device) -> int:
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    return psutil.virtual_memory().available


def _held_memory(device: torch.device) -> int:
    """What the program holds: its code, the network's weights, the images."""
    if device.type == "cuda":
        return torch.cuda.memory_reserved(device)
    return int(psutil.Process().memory_info().rss)
