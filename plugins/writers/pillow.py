"""PNG, JPEG and WebP through Pillow."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from pydantic import BaseModel, ConfigDict, Field

from ...core.jobfile import PNG_KEY
from ...core.result import Result, Snapshot
from ...core.specs import NoOptions, Writer, WriterSpec
from ..hookspecs import hookimpl


class QualityOptions(BaseModel):
    """Options of the writers `jpeg` and `webp`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    quality: int = Field(default=95, ge=1, le=100, description="100 is the best")


class PNGWriter(Writer):
    """8 bits per channel, lossless; carries its job, so that it can be made again."""

    def __init__(self, options: NoOptions) -> None:
        pass

    def write(
        self, result: Result, snapshots: Iterable[Snapshot], path: Path, record: dict[str, Any]
    ) -> None:
        """See Writer."""
        text = PngInfo()
        text.add_itxt(PNG_KEY, json.dumps(record))
        text.add_text("Software", f"stylectl {result.versions['stylectl']}")
        eight_bits(result, alpha=True).save(path, "PNG", pnginfo=text)


class JPEGWriter(Writer):
    """Without chroma subsampling; no transparency."""

    def __init__(self, options: QualityOptions) -> None:
        self._quality = options.quality

    def write(
        self, result: Result, snapshots: Iterable[Snapshot], path: Path, record: dict[str, Any]
    ) -> None:
        """See Writer."""
        picture = eight_bits(result, alpha=False)
        picture.save(path, "JPEG", quality=self._quality, subsampling=0, optimize=True)


class WebPWriter(Writer):
    """Lossy."""

    def __init__(self, options: QualityOptions) -> None:
        self._quality = options.quality

    def write(
        self, result: Result, snapshots: Iterable[Snapshot], path: Path, record: dict[str, Any]
    ) -> None:
        """See Writer."""
        eight_bits(result, alpha=True).save(path, "WEBP", quality=self._quality, method=4)


def eight_bits(result: Result, alpha: bool) -> Image.Image:
    """The picture, with its transparency if there is any and `alpha` asks for it."""
    channels = [result.image]
    if alpha and result.alpha is not None:
        channels.append(result.alpha[..., None])
    return Image.fromarray(np.rint(np.concatenate(channels, axis=2) * 255).astype(np.uint8))


@hookimpl
def stylectl_writers() -> Iterable[WriterSpec]:
    """The writers `png`, `jpeg` and `webp`; the sizes are the formats' own limits."""
    yield WriterSpec(
        name="png", summary="PNG, 8 bits", suffixes=(".png",), create=PNGWriter, keeps_alpha=True
    )
    yield WriterSpec(
        name="jpeg",
        summary="JPEG",
        suffixes=(".jpg", ".jpeg"),
        create=JPEGWriter,
        options=QualityOptions,
        longest_side=65500,
    )
    yield WriterSpec(
        name="webp",
        summary="WebP",
        suffixes=(".webp",),
        create=WebPWriter,
        options=QualityOptions,
        keeps_alpha=True,
        longest_side=16383,
    )
