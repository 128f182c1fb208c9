"""JPEG and WebP files, through Pillow."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from ...core.interfaces.specs import WriterArguments, WriterSpec
from ...core.interfaces.writer import Writer, WriteRequest
from .. import hooks
from .carried import carried, in_its_profile
from .pixels import eight_bits


class JPEGOptions(BaseModel):
    """Options of the writer `jpeg`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    quality: int = Field(default=95, ge=1, le=100, description="100 is the best")


class WebPOptions(JPEGOptions):
    """Options of the writer `webp`."""

    lossless: bool = Field(default=False, description="keep every pixel; excludes quality")

    @model_validator(mode="after")
    def _not_both(self) -> Self:
        if self.lossless and "quality" in self.model_fields_set:
            raise ValueError("lossless and quality exclude each other")
        return self


class JPEGWriter(Writer):
    """JPEG file without chroma subsampling and without transparency."""

    keeps_profile = True

    def __init__(self, arguments: WriterArguments[JPEGOptions]) -> None:
        self._quality = arguments.options.quality

    def write(self, request: WriteRequest) -> None:
        """See Writer.write."""
        result, path, record = request.result, request.path, request.record
        beside = carried(result, record)
        image = eight_bits(in_its_profile(result), alpha=False)
        image.save(
            path,
            "JPEG",
            quality=self._quality,
            subsampling=0,
            optimize=True,
            icc_profile=beside.profile,
            exif=beside.exif,
            **({"dpi": beside.dpi} if beside.dpi else {}),
        )


class WebPWriter(Writer):
    """WebP file, lossy or lossless, with the result's transparency."""

    keeps_profile = True

    def __init__(self, arguments: WriterArguments[WebPOptions]) -> None:
        self._options = arguments.options

    def write(self, request: WriteRequest) -> None:
        """See Writer.write."""
        result, path, record = request.result, request.path, request.record
        beside = carried(result, record)
        image = eight_bits(in_its_profile(result), alpha=True)
        more = {"icc_profile": beside.profile, "exif": beside.exif}
        if self._options.lossless:
            # exact: keeps the colors of fully transparent pixels.
            image.save(path, "WEBP", lossless=True, exact=True, method=4, **more)
        else:
            image.save(path, "WEBP", quality=self._options.quality, method=4, **more)


@hooks.writers
def writers() -> Iterable[WriterSpec[Any]]:
    """Yield the writers `jpeg` and `webp`; `longest_side` is the limit of each format."""
    yield WriterSpec(
        name="jpeg",
        summary="JPEG",
        suffixes=(".jpg", ".jpeg"),
        create=JPEGWriter,
        options=JPEGOptions,
        longest_side=65500,
    )
    yield WriterSpec(
        name="webp",
        summary="WebP, lossy or lossless",
        suffixes=(".webp",),
        create=WebPWriter,
        options=WebPOptions,
        keeps_alpha=True,
        longest_side=16383,
    )
