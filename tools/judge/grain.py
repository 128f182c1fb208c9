"""Grain: fine texture, of periods of 2 to 4 px, where the content image is flat."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from ...core.images.luma import luma
from .pictures import Picture

#: Side of the squares that are examined, and the distance from one to the next, in pixels.
_SIDE, _STEP = 16, 8
#: A square is flat if luma varies by no more than this standard deviation, in levels of 255.
_FLAT = 4.0
#: Fewer flat squares than this part of all: the flattest ones count, up to this standard deviation.
_LEAST_PART, _NEARLY_FLAT = 0.02, 16.0
#: Longest period in pixels; the shortest is 2, the finest that pixels can have.
_LONGEST_PERIOD = 4.0


def grain(picture: Picture, ground: Picture) -> float | None:
    """Return the root mean square of the fine texture where `ground` is flat, in levels of 255.

    Both pictures have one size. None if the ground has no flat area.
    """
    spectra = _spectra(picture)[_flat_squares(ground)]
    if not len(spectra):
        return None
    return spectra[:, _fine_band()].sum(1).mean().sqrt().item()


def _flat_squares(ground: Picture) -> Tensor:
    """Return which squares of a picture are flat, bool (N)."""
    deviations = _squares(ground).std(1)
    flat: Tensor = deviations <= _FLAT
    count = max(1, round(_LEAST_PART * len(deviations)))
    if flat.sum() < count:
        flat = deviations <= min(deviations.kthvalue(count).values.item(), _NEARLY_FLAT)
    return flat


def _squares(picture: Picture) -> Tensor:
    """Return luma in levels of 255, square by square: (N, side * side)."""
    light = 255 * luma(picture.image)
    squares: Tensor = functional.unfold(light, _SIDE, stride=_STEP)[0].T
    return squares


def _spectra(picture: Picture) -> Tensor:
    """Return the power of each frequency in each square, (N, side, side).

    The powers of a square add up to the variance of its pixels under a Hann window.
    """
    squares = _squares(picture).view(-1, _SIDE, _SIDE)
    along = torch.hann_window(_SIDE, periodic=True)
    window = along[:, None] * along
    mean = (squares * window).sum((1, 2), keepdim=True) / window.sum()
    windowed = (squares - mean) * window
    powers: Tensor = torch.fft.fft2(windowed).abs().square()
    return powers / (_SIDE**2 * window.square().sum())


def _fine_band() -> Tensor:
    """Return which frequencies are fine, bool (side, side)."""
    frequencies = torch.fft.fftfreq(_SIDE)
    radius = (frequencies[:, None].square() + frequencies.square()).sqrt()
    fine: Tensor = radius >= 1 / _LONGEST_PERIOD
    return fine
