"""A writer of the result's main colors, for GIMP, Inkscape and Krita."""

from __future__ import annotations

from collections.abc import Iterable

from pydantic import BaseModel, ConfigDict, Field
from stylectl import Writer, WriterArguments, WriteRequest, WriterSpec, hooks


class SwatchesOptions(BaseModel):
    """Options of the writer, given as ``--writer demo-swatches:colors=24``."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    colors: int = Field(default=16, ge=1, le=256, description="how many, at most")


class SwatchesWriter(Writer):
    """Writer of GIMP palettes, text files with one color in each line."""

    def __init__(self, arguments: WriterArguments[SwatchesOptions]) -> None:
        self._options = arguments.options

    def write(self, request: WriteRequest) -> None:
        """See Writer.write."""
        from .colors import main_colors

        lines = ["GIMP Palette", f"Name: {request.path.stem}", "#"]
        colors = main_colors(request.result.image, self._options.colors)
        for red, green, blue in (colors * 255).round():
            lines.append(f"{red:3.0f} {green:3.0f} {blue:3.0f}")
        request.path.write_text("\n".join(lines) + "\n", encoding="utf-8")


@hooks.writers
def writers() -> Iterable[WriterSpec[SwatchesOptions]]:
    """Return the writer `demo-swatches`."""
    yield WriterSpec(
        name="demo-swatches",
        summary="the result's main colors as a GIMP palette",
        suffixes=(".gpl",),
        create=SwatchesWriter,
        options=SwatchesOptions,
    )
