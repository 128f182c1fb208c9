"""Synthetic clips with exact optical flow: views of photographs that move in known ways."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import cos, radians, sin

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from ....core.interfaces.video.flow import FlowEstimator, FlowFrame

#: Map (3, 3) from homogeneous pixel coordinates of a frame to those of its photograph.
View = np.ndarray


@dataclass(frozen=True)
class Occluder:
    """A disc with a photograph on it, which moves over the frames.

    `image` is (1, 3, H, W); `center` gives the (x, y) of its center in a frame, by the frame's
    number, and `radius` is in pixels.
    """

    image: Tensor
    center: Callable[[int], tuple[float, float]]
    radius: float

    def covers(self, number: int, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Return where the disc covers the pixels of a frame."""
        center_x, center_y = self.center(number)
        covered: np.ndarray = np.hypot(x - center_x, y - center_y) <= self.radius
        return covered


@dataclass(frozen=True)
class SyntheticClip:
    """A clip of a photograph that is seen through moving views.

    - `name`: what happens in it. `size`: (height, width) of the frames in pixels.
    - `photographs`, `views`: the photograph (1, 3, H, W) and the view of each frame.
    - `occluder`: what moves in front of it, or None.
    """

    name: str
    size: tuple[int, int]
    photographs: Sequence[Tensor]
    views: Sequence[View]
    occluder: Occluder | None = None

    def __len__(self) -> int:
        return len(self.views)

    def frame(self, number: int) -> np.ndarray:
        """Return a frame (H, W, 3) in 8 bits, by bicubic interpolation."""
        image = self._sampled(self.photographs[number], *self._mapped(self.views[number]))
        if self.occluder is not None:
            x, y = self._pixels()
            center_x, center_y = self.occluder.center(number)
            height, width = self.occluder.image.shape[2:]
            disc = self._sampled(
                self.occluder.image, x - center_x + width / 2, y - center_y + height / 2
            )
            covered = torch.from_numpy(self.occluder.covers(number, x, y))
            image = torch.where(covered, disc, image)
        pixels = image[0].permute(1, 2, 0).clamp(0, 1).numpy()
        levels: np.ndarray = np.rint(pixels * 255).astype(np.uint8)
        return levels

    def flow(self, first: int, second: int) -> np.ndarray:
        """Return the exact displacement (H, W, 2) of each pixel of `first` to `second`.

        Frames of different photographs have none: there the displacement leads out of the frame.
        """
        x, y = self._pixels()
        if self.photographs[first] is not self.photographs[second]:
            return np.full((*self.size, 2), 10 * max(self.size), np.float32)
        path = np.linalg.inv(self.views[second]) @ self.views[first]
        moved_x, moved_y = _applied(path, x, y)
        if self.occluder is not None:
            covered = self.occluder.covers(first, x, y)
            before, after = self.occluder.center(first), self.occluder.center(second)
            moved_x = np.where(covered, x + after[0] - before[0], moved_x)
            moved_y = np.where(covered, y + after[1] - before[1], moved_y)
        flow: np.ndarray = np.stack([moved_x - x, moved_y - y], 2).astype(np.float32)
        return flow

    def _pixels(self) -> tuple[np.ndarray, np.ndarray]:
        rows, columns = np.indices(self.size).astype(np.float64)
        return columns, rows

    def _mapped(self, view: View) -> tuple[np.ndarray, np.ndarray]:
        return _applied(view, *self._pixels())

    @staticmethod
    def _sampled(image: Tensor, x: np.ndarray, y: np.ndarray) -> Tensor:
        height, width = image.shape[2:]
        grid = np.stack([(x + 0.5) * 2 / width - 1, (y + 0.5) * 2 / height - 1], 2)
        sampled: Tensor = functional.grid_sample(
            image,
            torch.from_numpy(grid.astype(np.float32))[None],
            mode="bicubic",
            padding_mode="reflection",
            align_corners=False,
        )
        return sampled


class ExactFlow(FlowEstimator):
    """The exact flow of a synthetic clip."""

    def __init__(self, clip: SyntheticClip) -> None:
        self._clip = clip

    def flow(self, first: FlowFrame, second: FlowFrame) -> np.ndarray:
        """Return the displacement of each pixel. See FlowEstimator.flow."""
        return self._clip.flow(first.number, second.number)


def synthetic_clips(
    photographs: tuple[Tensor, Tensor], size: tuple[int, int], frames: int
) -> list[SyntheticClip]:
    """Return a clip of each kind, of `size` (height, width) in pixels.

    They are a pan, a zoom, a rotation, a disc that moves over a pan, a cut, and a pause in a pan.
    The photographs are (1, 3, H, W), of at least 1.5 times the size.
    """
    first, second = photographs
    height, width = size
    center = (first.shape[3] / 2 - width / 2, first.shape[2] / 2 - height / 2)
    middle = ((width - 1) / 2, (height - 1) / 2)

    def pan(number: float) -> View:
        return _shift(center[0] - 0.25 * width + 0.0125 * width * number, center[1])

    def about_middle(change: View) -> View:
        view: View = _shift(*center) @ _shift(*middle) @ change @ _shift(-middle[0], -middle[1])
        return view

    zoom = [about_middle(_scale(1.2 * 0.985**number)) for number in range(frames)]
    turns = [about_middle(_turn(1.5 * number)) for number in range(frames)]
    panned = [pan(number) for number in range(frames)]
    third = frames // 3
    paused = [pan(min(n, third) + max(0, n - 2 * third)) for n in range(frames)]
    disc = Occluder(
        second,
        lambda number: (width * (0.1 + 0.8 * number / max(1, frames - 1)), height / 2),
        0.22 * height,
    )
    everywhere = [first] * frames
    cut = [first if number < frames // 2 else second for number in range(frames)]
    return [
        SyntheticClip("pan", size, everywhere, panned),
        SyntheticClip("zoom", size, everywhere, zoom),
        SyntheticClip("rotation", size, everywhere, turns),
        SyntheticClip("occlusion", size, everywhere, panned, disc),
        SyntheticClip("cut", size, cut, panned),
        SyntheticClip("pause", size, everywhere, paused),
    ]


def _applied(view: View, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return (
        view[0, 0] * x + view[0, 1] * y + view[0, 2],
        view[1, 0] * x + view[1, 1] * y + view[1, 2],
    )


def _shift(x: float, y: float) -> View:
    return np.array([[1, 0, x], [0, 1, y], [0, 0, 1]], np.float64)


def _scale(factor: float) -> View:
    return np.diag([factor, factor, 1.0])


def _turn(degrees: float) -> View:
    angle = radians(degrees)
    return np.array([[cos(angle), -sin(angle), 0], [sin(angle), cos(angle), 0], [0, 0, 1]])
