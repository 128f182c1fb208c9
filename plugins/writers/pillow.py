"""PNG, JPEG and WebP through Pillow."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from ...core.jobfile import PNG_KEY
from ...core.result import Result
from ...core.specs import Writer, WriterSpec
from ..hookspecs import hookimpl


class PNGWriter(Writer):
    """8 bits per channel, lossless; carries its job, so that it can be made again."""

    def write(self, result: Result, path: Path, record: dict[str, Any]) -> None:
        """See Writer."""
        text = PngInfo()
        text.add_itxt(PNG_KEY, json.dumps(record))
        text.add_text("Software", f"stylectl {result.versions['stylectl']}")
        _pixels(result, alpha=True).save(path, "PNG", pnginfo=text)


class JPEGWriter(Writer):
    """Quality 95 without chroma subsampling; no transparency."""

    def write(self, result: Result, path: Path, record: dict[str, Any]) -> None:
        """See Writer."""
        _pixels(result, alpha=False).save(path, "JPEG", quality=95, subsampling=0, optimize=True)


class WebPWriter(Writer):
    """Lossy, quality 95."""

    def write(self, result: Result, path: Path, record: dict[str, Any]) -> None:
        """See Writer."""
        _pixels(result, alpha=True).save(path, "WEBP", quality=95, method=4)


def _pixels(result: Result, alpha: bool) -> Image.Image:
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
        summary="JPEG, quality 95",
        suffixes=(".jpg", ".jpeg"),
        create=JPEGWriter,
        longest_side=65500,
    )
    yield WriterSpec(
        name="webp",
        summary="WebP, quality 95",
        suffixes=(".webp",),
        create=WebPWriter,
        keeps_alpha=True,
        longest_side=16383,
    )
