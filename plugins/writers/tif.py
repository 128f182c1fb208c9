"""TIFF through tifffile: 8, 16 or 32 bits per channel."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from ...core.interfaces.result import Result, Snapshot
from ...core.interfaces.specs import WriterSpec
from ...core.interfaces.writer import Writer
from ..hookspecs import hookimpl
from .pixels import channels, whole_numbers

#: Of pixels in a plain TIFF, whose offsets have 32 bits; the rest is for its tags.
_MOST_BYTES = 2**32 - 2**25


class TIFOptions(BaseModel):
    """Options of the writer `tif`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    bits: Literal[8, 16, 32] = Field(
        default=16, description="of each channel; 32: floating point, as the run left it"
    )


class TIFWriter(Writer):
    """Lossless, packed by deflate; the record is its ImageDescription, as JSON."""

    def __init__(self, options: TIFOptions) -> None:
        self._bits = options.bits

    def write(
        self, result: Result, snapshots: Iterable[Snapshot], path: Path, record: dict[str, Any]
    ) -> None:
        """See Writer."""
        import tifffile

        pixels = self._pixels(result)
        tifffile.imwrite(
            path,
            pixels,
            photometric="rgb",
            planarconfig="contig",
            extrasamples=["unassalpha"] if pixels.shape[2] == 4 else None,
            compression="zlib",
            # Differences pack better; those of floating point need the package imagecodecs.
            predictor=True if self._bits < 32 else None,
            description=json.dumps(record),
            metadata=None,  # tifffile would add a description of its own
            # Packed, it may be smaller than the 4 GiB of the plain format; nobody knows before.
            bigtiff=pixels.nbytes > _MOST_BYTES,
            software=f"stylectl {result.versions['stylectl']}",
            iccprofile=_srgb_profile(),
        )

    def _pixels(self, result: Result) -> np.ndarray:
        pixels = channels(result)
        return pixels if self._bits == 32 else whole_numbers(pixels, self._bits)


def _srgb_profile() -> bytes:
    """Without it, many programs take floating point for linear light."""
    from PIL import ImageCms

    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    date = slice(24, 36)  # ICC.1:2010, 7.2: equal pictures shall be equal files
    return profile[: date.start] + bytes(12) + profile[date.stop :]


@hookimpl
def stylectl_writers() -> Iterable[WriterSpec]:
    """The writer `tif`."""
    yield WriterSpec(
        name="tif",
        summary="TIFF",
        suffixes=(".tif", ".tiff"),
        create=TIFWriter,
        options=TIFOptions,
        keeps_alpha=True,
    )
