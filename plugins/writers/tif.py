"""TIFF files with 8, 16 or 32 bits per channel, through tifffile."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any, Literal

import numpy as np
from PIL.ExifTags import Base
from pydantic import BaseModel, ConfigDict, Field

from ...core.interfaces.result import Result
from ...core.interfaces.specs import WriterArguments, WriterSpec
from ...core.interfaces.writer import Writer, WriteRequest
from .. import hooks
from .pixels import carried, channels, in_its_profile, whole_numbers

#: Most bytes of pixels in a plain TIFF, whose offsets have 32 bits; the rest is for its tags.
_MOST_BYTES = 2**32 - 2**25


class TIFOptions(BaseModel):
    """Options of the writer `tif`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    bits: Literal[8, 16, 32] = Field(
        default=16, description="bits of each channel; 32: floating point, not rounded"
    )


class TIFWriter(Writer):
    """Lossless file, compressed by deflate, whose ImageDescription is the record, as JSON."""

    keeps_profile = True

    def __init__(self, arguments: WriterArguments[TIFOptions]) -> None:
        self._bits = arguments.options.bits

    def write(self, request: WriteRequest) -> None:
        """See Writer.write."""
        result, path, record = request.result, request.path, request.record
        import tifffile

        beside = carried(result, record)
        pixels = self._pixels(in_its_profile(result))
        tifffile.imwrite(
            path,
            pixels,
            photometric="rgb",
            planarconfig="contig",
            extrasamples=["unassalpha"] if pixels.shape[2] == 4 else None,
            compression="zlib",
            # Differences compress better; for floating point they need the package imagecodecs.
            predictor=True if self._bits < 32 else None,
            description=json.dumps(beside.record) if beside.record is not None else None,
            metadata=None,  # tifffile would add a description of its own
            # The compressed size, which may fit the 4 GiB of the plain format, is not known yet.
            bigtiff=pixels.nbytes > _MOST_BYTES,
            software=beside.software,  # empty: none, where None would name tifffile
            iccprofile=beside.profile or srgb_profile(),
            resolution=beside.dpi,
            resolutionunit="INCH" if beside.dpi else None,
            extratags=[
                (int(tag), "s", 0, text, True)
                for tag, text in ((Base.Artist, beside.artist), (Base.Copyright, beside.copyright))
                if text
            ],
        )

    def _pixels(self, result: Result) -> np.ndarray:
        pixels = channels(result)
        return pixels if self._bits == 32 else whole_numbers(pixels, self._bits)


def srgb_profile() -> bytes:
    """ICC profile of sRGB, without which many programs take floating point for linear light."""
    from PIL import ImageCms

    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    date = slice(24, 36)  # ICC.1:2010, 7.2; without a date, equal results give equal files
    return profile[: date.start] + bytes(12) + profile[date.stop :]


@hooks.writers
def writers() -> Iterable[WriterSpec[Any]]:
    """Yield the writer `tif`."""
    yield WriterSpec(
        name="tif",
        summary="TIFF",
        suffixes=(".tif", ".tiff"),
        create=TIFWriter,
        options=TIFOptions,
        keeps_alpha=True,
    )
