"""A writer of the result's main colors, for GIMP, Inkscape and Krita."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field
from stylectl import Result, Snapshot, Writer, WriterSpec, hookimpl


class SwatchesOptions(BaseModel):
    """Options of the writer, given as ``--writer demo-swatches:colors=24``."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    colors: int = Field(default=16, ge=1, le=256, description="how many, at most")


class SwatchesWriter(Writer):
    """Writer of GIMP palettes, text files with one color in each line."""

    def __init__(self, options: SwatchesOptions) -> None:
        self._options = options

    def write(
        self, result: Result, snapshots: Iterable[Snapshot], path: Path, record: dict[str, Any]
    ) -> None:
        """See Writer.write."""
        from .colors import main_colors

        lines = ["GIMP Palette", f"Name: {path.stem}", "#"]
        for red, green, blue in (main_colors(result.image, self._options.colors) * 255).round():
            lines.append(f"{red:3.0f} {green:3.0f} {blue:3.0f}")
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")


@hookimpl
def stylectl_writers() -> Iterable[WriterSpec]:
    """Return the writer `demo-swatches`."""
    yield WriterSpec(
        name="demo-swatches",
        summary="the result's main colors as a GIMP palette",
        suffixes=(".gpl",),
        create=SwatchesWriter,
        options=SwatchesOptions,
    )
