"""Optical flow from files, as other programs write them."""

from __future__ import annotations

import glob
from collections.abc import Iterable
from pathlib import Path
from string import Formatter
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, field_validator

from ...core.errors import ImageError, UsageError
from ...core.interfaces.specs import FlowArguments, FlowSpec
from ...core.interfaces.video.flow import FlowEstimator, FlowFrame
from ...core.job.paths import JobPath
from .. import hooks
from .formats import SUFFIXES, read_flow

if TYPE_CHECKING:
    import numpy as np

_FIELDS = {"first", "second"}


class FlowFilesOptions(BaseModel):
    """Options of the optical flow `files`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    pattern: Annotated[str, JobPath] = Field(
        description="path of the file of two frames, such as flows/{first:05d}_{second:05d}.flo, "
        "with the displacements from the first one to the second"
    )
    start: int = Field(default=0, ge=0, description="number of the clip's first frame in the names")

    @field_validator("pattern")
    @classmethod
    def _has_both_frames(cls, value: str) -> str:
        try:
            fields = [name for _, name, _, _ in Formatter().parse(value) if name is not None]
            path = value.format(first=1, second=2)
        except (ValueError, KeyError, IndexError, AttributeError):
            fields, path = [], ""
        if set(fields) != _FIELDS or Path(path).suffix.lower() not in SUFFIXES:
            raise ValueError(
                "should have {first} and {second} for the numbers of the frames, and end with "
                f"{', '.join(SUFFIXES)}"
            )
        return value


class FlowFiles(FlowEstimator):
    """Flow files of all pairs of neighbors in both directions, and of other pairs where they exist.

    A flow of another size than the result is resampled, and its displacements scaled alike.
    """

    def __init__(self, arguments: FlowArguments[FlowFilesOptions]) -> None:
        self._pattern, self._start = arguments.options.pattern, arguments.options.start

    def fingerprint(self) -> str:
        """Return a hash of the names and the contents of all files that fit the pattern."""
        from ...core.fingerprint import fingerprint
        from ...core.images.files import file_sha256

        wildcards = "".join(
            glob.escape(text) + ("*" if name is not None else "")
            for text, name, _, _ in Formatter().parse(self._pattern)
        )
        files = sorted(glob.glob(wildcards))  # noqa: PTH207 - it may be absolute
        hashes = {Path(file).name: file_sha256(file) for file in files if Path(file).is_file()}
        return fingerprint(hashes)

    def flow(self, first: FlowFrame, second: FlowFrame) -> np.ndarray | None:
        """Return the flow of a file. See FlowEstimator.flow.

        Raises UsageError if the file of two neighbors is missing, and ImageError for a damaged one.
        """
        numbers = {"first": first.number + self._start, "second": second.number + self._start}
        path = Path(self._pattern.format(**numbers))
        if not path.is_file():
            if abs(first.number - second.number) > 1:
                return None
            raise UsageError(
                f"{path}: no such file; the optical flow files needs those of all neighboring "
                "frames, in both directions"
            )
        return _resampled(read_flow(path), first.image.shape[0], first.image.shape[1], path)


def _resampled(flow: np.ndarray, height: int, width: int, path: Path) -> np.ndarray:
    """Return a flow (H, W, 2) at another size, by bilinear interpolation."""
    import torch
    from torch.nn import functional

    old_height, old_width = flow.shape[:2]
    if (old_height, old_width) == (height, width):
        return flow
    if abs(old_height * width - old_width * height) > max(width, height, old_width, old_height):
        raise ImageError(
            f"{path}: {old_width}x{old_height} px, which is another shape than {width}x{height} px"
        )
    maps = torch.from_numpy(flow.copy()).permute(2, 0, 1)[None]
    resampled = functional.interpolate(maps, (height, width), mode="bilinear", antialias=True)
    scale = torch.tensor([width / old_width, height / old_height]).view(1, 2, 1, 1)
    result: np.ndarray = (resampled * scale)[0].permute(1, 2, 0).contiguous().numpy()
    return result


@hooks.flows
def flows() -> Iterable[FlowSpec[Any]]:
    """Yield the optical flow `files`."""
    yield FlowSpec(
        name="files",
        summary=f"files of other programs: {', '.join(SUFFIXES)}",
        create=FlowFiles,
        options=FlowFilesOptions,
    )
