"""JPEG and WebP files, through Pillow."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from ...core.interfaces.result import Result, Snapshot
from ...core.interfaces.specs import WriterSpec
from ...core.interfaces.writer import Writer
from ..hookspecs import hookimpl
from .pixels import carried, eight_bits, in_its_profile


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

    def __init__(self, options: JPEGOptions) -> None:
        self._quality = options.quality

    def write(
        self, result: Result, snapshots: Iterable[Snapshot], path: Path, record: dict[str, Any]
    ) -> None:
        """See Writer.write."""
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

    def __init__(self, options: WebPOptions) -> None:
        self._options = options

    def write(
        self, result: Result, snapshots: Iterable[Snapshot], path: Path, record: dict[str, Any]
    ) -> None:
        """See Writer.write."""
        beside = carried(result, record)
        image = eight_bits(in_its_profile(result), alpha=True)
        more = {"icc_profile": beside.profile, "exif": beside.exif}
        if self._options.lossless:
            # exact: keeps the colors of fully transparent pixels.
            image.save(path, "WEBP", lossless=True, exact=True, method=4, **more)
        else:
            image.save(path, "WEBP", quality=self._options.quality, method=4, **more)


@hookimpl
def stylectl_writers() -> Iterable[WriterSpec]:
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
