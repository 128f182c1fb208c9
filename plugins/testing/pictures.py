"""Fixed test images, alike at any size, and a fixed result without a run."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ...core.interfaces.result import Result, Snapshot, StepRecord
from ...core.interfaces.source_image import SourceImage
from ...core.job.building import build_job
from ...core.sizes.pyramid import Scale


def photo(height: int, width: int) -> Tensor:
    """Return a landscape with a sun: (1, 3, height, width), float32 in [0, 1]."""
    y, x = _grid(height, width)
    sun = torch.exp(-40 * ((x - 0.7) ** 2 + (y - 0.3) ** 2))
    hills = torch.sigmoid(30 * (y - 0.65 - 0.1 * torch.sin(7 * x)))
    red = 0.5 + 0.3 * y + 0.4 * sun - 0.5 * hills
    green = 0.6 + 0.3 * sun - 0.25 * hills
    blue = 0.9 - 0.4 * y - 0.4 * hills
    return torch.stack([red, green, blue])[None].clamp(0, 1)


def painting(height: int, width: int) -> Tensor:
    """Return swirling strokes: (1, 3, height, width), float32 in [0, 1]."""
    y, x = _grid(height, width)
    swirl = torch.atan2(y - 0.4, x - 0.45) + 9 * ((x - 0.45) ** 2 + (y - 0.4) ** 2).sqrt()
    strokes = [0.5 + 0.45 * torch.sin(3 * swirl + phase) for phase in (0.0, 1.1, 2.9)]
    return torch.stack(strokes)[None]


def result(
    height: int = 24, width: int = 33, *, alpha: bool = False, interrupted: bool = False
) -> Result:
    """Return a result for tests of writers: an image of many values, two scales of three steps."""
    image = photo(height, width)[0].permute(1, 2, 0).contiguous().numpy()
    ramp = np.tile(np.linspace(0, 1, width, dtype=np.float32), (height, 1))
    steps = [
        StepRecord(scale, step, {"content": 1 / (1 + step), "style": 3 / (1 + step)}, 0.25 * step)
        for scale in (0, 1)
        for step in range(4)
    ]
    return Result(
        image=image,
        alpha=ramp if alpha else None,
        content=_source_image("photo.png", photo(2 * height, 2 * width)),
        styles=((_source_image("painting.png", painting(20, 30)), 1.0),),
        job=build_job({"content": "photo.png", "styles": ["painting.png"], "size": width}),
        scales=(Scale(max(1, height // 2), max(1, width // 2), 3), Scale(height, width, 3)),
        steps=tuple(steps[:1] if interrupted else steps),
        inputs={"photo.png": "0" * 64, "painting.png": "1" * 64},
        versions={"stylectl": "0", "torch": "0"},
        backend="torch",
        device="cpu",
        details={},
        seconds=2.0,
        stopped_by=KeyboardInterrupt() if interrupted else None,
    )


def snapshots(finished: Result) -> Sequence[Snapshot]:
    """Return the snapshots of a `result`: its image, growing brighter, at half and full size."""
    pixels = finished.image * 255
    return [
        Snapshot(
            record.scale,
            record.step,
            record.seconds,
            (pixels[:: 2 - record.scale, :: 2 - record.scale] * (record.step + 1) / 4).astype("u1"),
        )
        for record in finished.steps
    ]


def _grid(height: int, width: int) -> tuple[Tensor, Tensor]:
    """Return the coordinates of the pixels' centers, both from 0 to 1."""
    y = (torch.arange(height) + 0.5) / height
    x = (torch.arange(width) + 0.5) / width
    rows, columns = torch.meshgrid(y, x, indexing="ij")
    return rows, columns


def _source_image(path: str, image: Tensor) -> SourceImage:
    pixels = image[0].permute(1, 2, 0).mul(255).round().byte().numpy()
    return SourceImage(path, "0" * 64, Image.fromarray(pixels), None)
