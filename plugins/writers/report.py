"""Report on a run: one HTML file without external resources."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from pydantic import BaseModel, ConfigDict, Field

from ...core.interfaces.result import Result
from ...core.interfaces.source_image import SourceImage
from ...core.interfaces.specs import WriterArguments, WriterSpec
from ...core.interfaces.writer import Writer, WriteRequest
from ...core.sizes.fitting import fit
from .. import hooks
from .charts import loss_chart
from .pixels import eight_bits

_TEMPLATE = Path(__file__).with_name("report.html.j2")

#: Long side, in pixels, of the style images, which are shown small.
_STYLE_SIDE = 640


class ReportOptions(BaseModel):
    """Options of the writer `html`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    side: int = Field(
        default=1600, ge=64, le=8192, description="largest long side of the images, in pixels"
    )
    quality: int = Field(
        default=88, ge=1, le=100, description="quality of the images; 100 is the best"
    )


class ReportWriter(Writer):
    """HTML file with the images, losses and timings of a run; images are embedded JPEG or WebP."""

    def __init__(self, arguments: WriterArguments[ReportOptions]) -> None:
        self._options = arguments.options

    def write(self, request: WriteRequest) -> None:
        """See Writer.write."""
        result, path, record = request.result, request.path, request.record
        import tomli_w
        from jinja2 import Environment, StrictUndefined

        environment = Environment(
            autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
        )
        environment.filters["duration"] = _duration
        template = environment.from_string(_TEMPLATE.read_text(encoding="utf-8"))
        height, width = result.image.shape[:2]
        shown = fit((height, width), self._options.side)
        labels = {
            index: f"{scale.width} × {scale.height}" for index, scale in enumerate(result.scales)
        }
        page = template.render(
            title=_title(result),
            result=result,
            size=(width, height),
            image=self._uri(eight_bits(result, alpha=True), shown),
            before=self._uri(_with_alpha(result.content), shown) if result.content else None,
            styles=[
                (
                    _name(style),
                    share,
                    style.size,
                    self._uri(_with_alpha(style), fit(style.size, _STYLE_SIDE)),
                )
                for style, share in result.styles
            ],
            chart=loss_chart(result.steps, labels),
            scales=_scale_rows(result, labels),
            stopped_by=result.stop_reason,
            planned=sum(scale.steps for scale in result.scales),
            job=tomli_w.dumps(record["job"]),
            inputs=record["inputs"],
        )
        # File names may hold bytes that are not text.
        path.write_text(page, encoding="utf-8", errors="replace")

    def _uri(self, image: Image.Image, size: tuple[int, int]) -> str:
        height, width = size
        if image.size != (width, height):
            image = image.resize((width, height), Image.Resampling.LANCZOS)
        data = io.BytesIO()
        encoding = "WEBP" if image.mode == "RGBA" else "JPEG"
        image.save(data, encoding, quality=self._options.quality)
        return f"data:image/{encoding.lower()};base64,{base64.b64encode(data.getvalue()).decode()}"


def _with_alpha(source: SourceImage) -> Image.Image:
    """Return an input image with its transparency, if it has any."""
    if source.alpha is None:
        return source.rgb
    image = source.rgb.copy()
    image.putalpha(source.alpha)
    return image


def _name(source: SourceImage) -> str:
    return Path(source.path.removeprefix("sample:")).name


def _title(result: Result) -> str:
    styles = " and ".join(Path(_name(style)).stem for style, _ in result.styles)
    if result.content is None:
        return f"a texture of {styles}"
    return f"{Path(_name(result.content)).stem} in the style of {styles}"


def _scale_rows(result: Result, labels: dict[int, str]) -> list[dict[str, Any]]:
    """Table rows of the scales that were begun: size, steps made and planned, time."""
    rows = []
    start = 0.0
    for scale in dict.fromkeys(record.scale for record in result.steps):
        records = [record for record in result.steps if record.scale == scale]
        seconds = [record.seconds for record in records]
        rows.append(
            {
                "label": labels[scale],
                "steps": sum(record.step > 0 for record in records),
                "planned": result.scales[scale].steps,
                "seconds": seconds[-1] - start,
                "step_seconds": float(np.median(np.diff(seconds))) if len(seconds) > 1 else None,
            }
        )
        start = seconds[-1]
    return rows


def _duration(seconds: float | None) -> str:
    """Format a duration in ms, s, min or h, whichever suits its length."""
    if seconds is None:
        return "–"
    if seconds < 1:
        return f"{1000 * seconds:.0f} ms"
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"


@hooks.writers
def writers() -> Iterable[WriterSpec[Any]]:
    """Yield the writer `html`."""
    yield WriterSpec(
        name="html",
        summary="report: images, loss curves, job and timings in one file",
        suffixes=(".html",),
        create=ReportWriter,
        options=ReportOptions,
        keeps_alpha=True,
    )
