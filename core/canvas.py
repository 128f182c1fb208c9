"""What is painted on: its size, from the content image or, for a texture, from the job alone."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from .backbone import LayerInfo
from .errors import UsageError
from .images import Picture, fit
from .job import Job


def canvas_size(job: Job, content: Picture | None) -> tuple[int, int]:
    """(height, width) of the picture, before it is rounded for any reason."""
    if isinstance(job.size, tuple):
        width, height = job.size
        return height, width
    assert content is not None  # the job sees to it
    return fit(content.size, job.size, job.upscale)


def canvas(content: Picture | None, height: int, width: int) -> Tensor:
    """(1, 3, height, width): the content image, or a gray one of that size."""
    return (
        torch.full((1, 3, height, width), 0.5) if content is None else content.tensor(height, width)
    )


def check_texture_size(size: tuple[int, int], deepest: LayerInfo) -> None:
    """Raises UsageError for a texture (height, width) that leaves the deepest layer nothing."""
    smallest = deepest.smallest_side
    if min(size) < smallest:
        height, width = size
        raise UsageError(
            f"--size {width}x{height} is too small for the layer {deepest.name}, which needs "
            f"{smallest} px on each side; --size {max(width, smallest)}x{max(height, smallest)} "
            "would do"
        )


def size_notices(job: Job, content: Picture | None, size: tuple[int, int]) -> Iterator[str]:
    """What is to be said of a picture that comes out at `size` (height, width)."""
    wanted = canvas_size(job, content)
    if isinstance(job.size, int) and max(wanted) < job.size:
        yield f"{job.content} has {max(wanted)} px, so the picture has (see --upscale)"
    if size != wanted:
        yield (
            f"{size[1]}x{size[0]} px instead of {wanted[1]}x{wanted[0]}: a seamless picture's "
            "sides are multiples of the deepest layer's stride"
        )
