"""A writer of the result's main colors, for GIMP, Inkscape and Krita."""

from pydantic import BaseModel, ConfigDict, Field
from stylectl import Writer, WriterArguments, WriteRequest

from .colors import main_colors


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
        result, path = request.result, request.path
        lines = ["GIMP Palette", f"Name: {path.stem}", "#"]
        for red, green, blue in (main_colors(result.image, self._options.colors) * 255).round():
            lines.append(f"{red:3.0f} {green:3.0f} {blue:3.0f}")
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
