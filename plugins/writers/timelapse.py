"""Options and frames that the writers of time-lapses share."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sized

from PIL import Image
from pydantic import BaseModel, ConfigDict, Field

from ...core.interfaces.result import Result, Snapshot
from ...core.sizes.fitting import fit
from .pixels import eight_bits


class TimelapseOptions(BaseModel):
    """Options of the writers `gif` and `mp4`, each of which sets its own defaults."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    seconds: float = Field(gt=0, le=60, description="seconds from the first frame to the result")
    hold: float = Field(
        default=2, ge=0, le=60, description="seconds for which the finished result is shown"
    )
    fps: int = Field(ge=1, description="frames per second")
    side: int = Field(ge=16, description="largest long side in pixels; no frame is enlarged")

    @property
    def frames(self) -> int:
        """Number of frames of the optimization, without those of the finished result."""
        return max(1, round(self.seconds * self.fps))


def frame_size(result: Result, side: int) -> tuple[int, int]:
    """Size (width, height) of the film's frames."""
    height, width = fit(result.image.shape[:2], side)
    return width, height


def way(
    snapshots: Iterable[Snapshot], size: tuple[int, int], frames: int
) -> Iterator[tuple[Image.Image, int]]:
    """Yield images of the optimization, of `size` (width, height), and their numbers of frames.

    The numbers add up to `frames`. With many snapshots some are left out; with few, each is shown
    for longer.
    """
    count = len(snapshots) if isinstance(snapshots, Sized) else sum(1 for _ in snapshots)
    for number, snapshot in enumerate(snapshots):
        repeats = frames * (number + 1) // count - frames * number // count
        if repeats:
            yield _resized(Image.fromarray(snapshot.image), size), repeats


def finished(result: Result, size: tuple[int, int]) -> Image.Image:
    """Return the finished result as the last frame."""
    return _resized(eight_bits(result, alpha=False), size)


def _resized(image: Image.Image, size: tuple[int, int]) -> Image.Image:
    return image if image.size == size else image.resize(size, Image.Resampling.LANCZOS)
