"""PNG files, with the record of the run in their metadata."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any, Literal

from PIL.PngImagePlugin import PngInfo
from pydantic import BaseModel, ConfigDict, Field

from ...core.interfaces.specs import WriterArguments, WriterSpec
from ...core.interfaces.writer import RECORD_KEY, Writer, WriteRequest
from .. import hooks
from .carried import carried, in_its_profile
from .pixels import channels, eight_bits
from .png16 import write_png16


class PNGOptions(BaseModel):
    """Options of the writer `png`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    bits: Literal[8, 16] = Field(default=8, description="bits of each channel")


class PNGWriter(Writer):
    """Lossless file with the job that made it, so that the result can be made again."""

    keeps_profile = True

    def __init__(self, arguments: WriterArguments[PNGOptions]) -> None:
        self._bits = arguments.options.bits

    def write(self, request: WriteRequest) -> None:
        """See Writer.write."""
        result, path, record = request.result, request.path, request.record
        beside, result = carried(result, record), in_its_profile(result)
        info = PngInfo()
        if beside.profile is None:
            info.add(b"sRGB", bytes([0]))  # the color space, with the perceptual rendering intent
        if beside.record is not None:
            info.add_itxt(RECORD_KEY, json.dumps(beside.record))
        if beside.software:
            info.add_text("Software", beside.software)
        if self._bits == 16:
            write_png16(path, channels(result), info, beside)
        else:
            more = {"icc_profile": beside.profile, "dpi": beside.dpi, "exif": beside.exif or None}
            eight_bits(result, alpha=True).save(path, "PNG", pnginfo=info, **more)


@hooks.writers
def writers() -> Iterable[WriterSpec[Any]]:
    """Yield the writer `png`."""
    yield WriterSpec(
        name="png",
        summary="PNG, with its job in the metadata",
        suffixes=(".png",),
        create=PNGWriter,
        options=PNGOptions,
        keeps_alpha=True,
    )
