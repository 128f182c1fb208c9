"""Spectral scaling: an initial inverse Hessian for L-BFGS by spatial frequency.

Pixels are badly scaled for these objectives: a change of low frequency moves what the deep layers
see, one of high frequency the shallow ones alone, and the curvatures differ a hundred times. L-BFGS
starts each direction from a multiple of the identity; starting from a filter instead, whose gain
at a frequency is the inverse of the curvature that the last steps met there, takes fewer steps.
"""

from __future__ import annotations

import torch
from torch import Tensor

#: Bands of frequencies, evenly spaced on a logarithmic scale from one period across the image up
#: to the finest; between their centres gains are interpolated. 8 to 40 do equally well.
_BANDS = 16
#: What of a step's curvature is left in the average after the next one; 0.8 to 1 do equally well.
_DECAY = 0.9
#: Frequencies whose products are added up on the device.
_ROW = 1024
#: Numbers that are transformed at a time: images of up to 2400x2400 px as a whole.
_AT_ONCE = 2**24
#: How many times a gain may be more or less than a multiple of the identity would have.
_MOST = 100.0


class SpectralScaling:
    """Curvature by frequency, averaged over the last steps; the same for all channels.

    Sums over a band are made on the device of the images, in one order (adding up at places that
    several threads share would come out differently each time): frequencies are sorted by band and
    laid out in rows, each of which is one band's alone.
    """

    def __init__(self, image: Tensor) -> None:
        """For images of the size of `image` (N, C, H, W)."""
        self._size = height, width = image.shape[2], image.shape[3]
        across = torch.fft.rfftfreq(width)
        frequency = (torch.fft.fftfreq(height).unsqueeze(1).square() + across.square()).sqrt()
        lowest = 1 / max(height, width, 2)
        octaves = (frequency.clamp_min(lowest) / lowest).log()
        place = octaves / octaves.max().clamp_min(1e-6) * (_BANDS - 1)
        below = place.floor().int().clamp_max(_BANDS - 2)
        # A real image's transform leaves out half, but of the columns that mirror themselves.
        count = torch.full_like(place, 2.0)
        count[:, 0] = 1
        if width % 2 == 0:
            count[:, -1] = 1
        rows, self._band = _rows_by_band(below.flatten())
        count = torch.where(rows < 0, 0.0, count.flatten()[rows])
        above = count * (place - below).flatten()[rows]
        self._rows = rows.clamp_min(0).to(image.device, torch.int32)
        self._weights = torch.stack([count - above, above]).to(image)
        self._below, self._share = below.to(image.device), (place - below).to(image)
        self._products = torch.zeros(3, _BANDS, dtype=torch.float64)

    def learn(self, moved: Tensor, change: Tensor) -> None:
        """From a step, and how the gradient changed along it."""
        sums = self._weights.new_zeros(3, 2, len(self._band))
        for step, slope in zip(_parts(moved), _parts(change), strict=True):
            a, b = _transform(step), _transform(slope)
            sums += torch.stack([self._by_row(*pair) for pair in ((a, b), (b, b), (a, a))])
        low, high = sums.cpu().double().unbind(1)
        products = torch.zeros_like(self._products)
        products.index_add_(1, self._band, low).index_add_(1, self._band + 1, high)
        self._products = _DECAY * self._products + products / products[1].sum()

    def scaled(self, vector: Tensor, inverse_curvature: float) -> Tensor:
        """The vector, filtered by the inverse of the curvature: a symmetric and positive definite
        map. `inverse_curvature` is that of the image as a whole; a band's is at most a hundred
        times more or less."""
        along, slopes, steps = self._products.clamp_min(torch.finfo(torch.float64).tiny).unbind()
        # Where the curvature came out negative there is only its size to go by.
        gains = torch.where(self._products[0] > 0, along / slopes, (steps / slopes).sqrt())
        gains = gains.clamp(inverse_curvature / _MOST, inverse_curvature * _MOST).log().to(vector)
        low, high = gains[self._below], gains[self._below + 1]
        gain = torch.lerp(low, high, self._share).exp()
        filtered = torch.empty_like(vector)
        for result, part in zip(_parts(filtered), _parts(vector), strict=True):
            result.copy_(torch.fft.irfft2(_transform(part) * gain, s=self._size, norm="ortho"))
        return filtered

    def _by_row(self, a: Tensor, b: Tensor) -> Tensor:
        """The inner product of two transforms in parts that add up to it, (2, rows): what counts
        for the band of each row, and for the next one."""
        products = (a.real * b.real).addcmul_(a.imag, b.imag).sum(0).flatten()
        sums: Tensor = torch.linalg.vecdot(products[self._rows], self._weights)
        return sums


def _rows_by_band(band: Tensor) -> tuple[Tensor, Tensor]:
    """The positions of a vector (P,) of band numbers in rows (R, _ROW) of one band each, filled up
    by -1; and the rows' bands (R,)."""
    order, counts = band.argsort(stable=True), band.bincount()
    bands = [some for some in torch.split(order, counts.tolist()) if len(some)]
    parts = [row for some in bands for row in torch.split(some, _ROW)]
    rows = torch.nn.utils.rnn.pad_sequence(parts, batch_first=True, padding_value=-1)
    return rows, band[rows[:, 0]].long()


def _parts(images: Tensor) -> tuple[Tensor, ...]:
    """Channels (C, H, W): all at once, unless they are so large that transforms of them would take
    more memory than is worth it."""
    channels = images.view(-1, *images.shape[2:])
    return torch.split(channels, len(channels) if channels.numel() <= _AT_ONCE else 1)


def _transform(channels: Tensor) -> Tensor:
    """Orthonormal, (C, H, W // 2 + 1), complex."""
    spectrum: Tensor = torch.fft.rfft2(channels, norm="ortho")
    return spectrum
