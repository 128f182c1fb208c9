from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest
import torch
from PIL import Image
from torch.nn import functional

WIDTH, HEIGHT = 64, 48


def view(number: int, shift: int = 2, seed: int = 1) -> np.ndarray:
    """A smooth texture that moves to the left by `shift` pixels a frame."""
    noise = torch.rand(1, 3, 12, 40, generator=torch.Generator().manual_seed(seed))
    smooth = functional.interpolate(noise, (HEIGHT, 160), mode="bicubic").clamp(0, 1)
    pixels = (smooth[0].permute(1, 2, 0).numpy() * 255).astype(np.uint8)
    return np.ascontiguousarray(pixels[:, shift * number : shift * number + WIDTH])


def write_clip(path: Path, frames: list[np.ndarray], rate: int = 10) -> Path:
    with av.open(path, "w") as container:
        stream = container.add_stream("libx264", rate=rate, options={"crf": "10"})
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode())
    return path


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    """Four frames of a pan."""
    return write_clip(tmp_path / "clip.mp4", [view(number) for number in range(4)])


@pytest.fixture
def painting(tmp_path: Path) -> Path:
    path = tmp_path / "painting.png"
    Image.fromarray(view(0, seed=9)).save(path)
    return path
