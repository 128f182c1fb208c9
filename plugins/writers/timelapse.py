"""What the films of the optimization share: their options, and their frames at one size."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sized

from PIL import Image
from pydantic import BaseModel, ConfigDict, Field

from ...core.interfaces.result import Result, Snapshot
from ...core.sizes.fitting import fit
from .pixels import eight_bits


class TimelapseOptions(BaseModel):
    """Options of the writers `gif` and `mp4`, which set defaults of their own."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    seconds: float = Field(gt=0, le=60, description="length of the way to the picture")
    hold: float = Field(
        default=2, ge=0, le=60, description="seconds that the finished picture stays"
    )
    fps: int = Field(ge=1, description="frames in a second")
    side: int = Field(ge=16, description="largest long side in pixels; none is made larger")

    @property
    def frames(self) -> int:
        """Of the way, without the finished picture."""
        return max(1, round(self.seconds * self.fps))


def frame_size(result: Result, side: int) -> tuple[int, int]:
    """(width, height) of the film."""
    height, width = fit(result.image.shape[:2], side)
    return width, height


def way(
    snapshots: Iterable[Snapshot], size: tuple[int, int], frames: int
) -> Iterator[tuple[Image.Image, int]]:
    """The way to the picture: each frame, of `size` (width, height), and for how many of `frames`
    it stays. With many snapshots some are left out; with few, each stays the longer."""
    many = len(snapshots) if isinstance(snapshots, Sized) else sum(1 for _ in snapshots)
    for number, snapshot in enumerate(snapshots):
        stays = frames * (number + 1) // many - frames * number // many
        if stays:
            yield _resized(Image.fromarray(snapshot.image), size), stays


def finished(result: Result, size: tuple[int, int]) -> Image.Image:
    """The finished picture as the last frame."""
    return _resized(eight_bits(result, alpha=False), size)


def _resized(image: Image.Image, size: tuple[int, int]) -> Image.Image:
    return image if image.size == size else image.resize(size, Image.Resampling.LANCZOS)
