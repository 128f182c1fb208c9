"""Spectral scaling: an initial inverse Hessian for L-BFGS by spatial frequency.

Pixels are badly scaled for these objectives: a change of low frequency affects the deep layers, one
of high frequency only the shallow ones, and the curvatures differ by a factor of a hundred. L-BFGS
starts each direction from a multiple of the identity. It needs fewer steps when it starts from a
filter instead, whose gain at a frequency is the inverse of the curvature along the last steps at
that frequency.
"""

from __future__ import annotations

import torch
from torch import Tensor

#: Bands of frequencies, evenly spaced on a logarithmic scale from one period across the image up
#: to the highest frequency; between their centers gains are interpolated. 8 to 40 do equally well.
_BANDS = 16
#: Decay of the average of the steps' curvatures at each step; 0.8 to 1 do equally well.
_DECAY = 0.9
#: Length of the rows of frequencies whose products are added up on the device.
_ROW = 1024
#: Largest number of elements of one transform: images of up to 2400x2400 px are transformed whole.
_AT_ONCE = 2**24
#: Largest factor between a gain and that of a multiple of the identity, in either direction.
_MOST = 100.0


class SpectralScaling:
    """Curvature by frequency, averaged over the last steps; the same for all channels.

    The sums over a band are computed on the device of the images, in a fixed order (atomic
    additions would give other sums each time): the frequencies are sorted by band and laid out in
    rows, each of which belongs to one band.
    """

    def __init__(self, image: Tensor) -> None:
        """Assign the frequencies of images of the size of `image` (N, C, H, W) to bands."""
        self._size = height, width = image.shape[2], image.shape[3]
        across = torch.fft.rfftfreq(width)
        frequency = (torch.fft.fftfreq(height).unsqueeze(1).square() + across.square()).sqrt()
        lowest = 1 / max(height, width, 2)
        octaves = (frequency.clamp_min(lowest) / lowest).log()
        position = octaves / octaves.max().clamp_min(1e-6) * (_BANDS - 1)
        below = position.floor().int().clamp_max(_BANDS - 2)
        # The transform of a real image omits the mirrored half: each frequency counts twice, except
        # in the columns that are their own mirror image.
        count = torch.full_like(position, 2.0)
        count[:, 0] = 1
        if width % 2 == 0:
            count[:, -1] = 1
        rows, self._band = _rows_by_band(below.flatten())
        count = torch.where(rows < 0, 0.0, count.flatten()[rows])
        above = count * (position - below).flatten()[rows]
        self._rows = rows.clamp_min(0).to(image.device, torch.int32)
        self._weights = torch.stack([count - above, above]).to(image)
        self._below, self._fraction = below.to(image.device), (position - below).to(image)
        self._products = torch.zeros(3, _BANDS, dtype=torch.float64)

    @property
    def products(self) -> Tensor:
        """Averages of s.y, y.y and s.s by band, (3, bands): all that was learned."""
        return self._products

    def restore(self, products: Tensor) -> None:
        """Restore the averages that were learned before."""
        self._products = products.clone()

    def learn(self, step: Tensor, gradient_change: Tensor) -> None:
        """Update the curvatures from a step and the change of the gradient along it."""
        sums = self._weights.new_zeros(3, 2, len(self._band))
        for step_part, change_part in zip(_parts(step), _parts(gradient_change), strict=True):
            s, y = _transform(step_part), _transform(change_part)
            sums += torch.stack([self._by_row(*pair) for pair in ((s, y), (y, y), (s, s))])
        low, high = sums.cpu().double().unbind(1)
        products = torch.zeros_like(self._products)
        products.index_add_(1, self._band, low).index_add_(1, self._band + 1, high)
        self._products = _DECAY * self._products + products / products[1].sum()

    def scaled(self, vector: Tensor, inverse_curvature: float) -> Tensor:
        """Return the vector, filtered by the inverse of the curvature.

        The filter is a symmetric and positive definite map. `inverse_curvature` is that of the
        whole image; a band's is at most a hundred times more or less.
        """
        s_y, y_y, s_s = self._products.clamp_min(torch.finfo(torch.float64).tiny).unbind()
        # Where the curvature is negative, only its size is used.
        gains = torch.where(self._products[0] > 0, s_y / y_y, (s_s / y_y).sqrt())
        gains = gains.clamp(inverse_curvature / _MOST, inverse_curvature * _MOST).log().to(vector)
        low, high = gains[self._below], gains[self._below + 1]
        gain = torch.lerp(low, high, self._fraction).exp()
        filtered = torch.empty_like(vector)
        for result, part in zip(_parts(filtered), _parts(vector), strict=True):
            result.copy_(torch.fft.irfft2(_transform(part) * gain, s=self._size, norm="ortho"))
        return filtered

    def _by_row(self, a: Tensor, b: Tensor) -> Tensor:
        """Return the inner product of two transforms in parts (2, rows) that add up to it.

        The first part of a row belongs to the row's band, the second to the next band.
        """
        products = (a.real * b.real).addcmul_(a.imag, b.imag).sum(0).flatten()
        sums: Tensor = torch.linalg.vecdot(products[self._rows], self._weights)
        return sums


def _rows_by_band(band: Tensor) -> tuple[Tensor, Tensor]:
    """Return the indices of a vector (P,) of band numbers in rows of one band each.

    The rows are (R, _ROW), filled up with -1; the second result is the rows' bands (R,).
    """
    order, counts = band.argsort(stable=True), band.bincount()
    bands = [indices for indices in torch.split(order, counts.tolist()) if len(indices)]
    parts = [row for indices in bands for row in torch.split(indices, _ROW)]
    rows = torch.nn.utils.rnn.pad_sequence(parts, batch_first=True, padding_value=-1)
    return rows, band[rows[:, 0]].long()


def _parts(images: Tensor) -> tuple[Tensor, ...]:
    """Return the channels of images as views (C, H, W), to be transformed one after the other.

    All channels are in one view, unless their transforms would take too much memory.
    """
    channels = images.view(-1, *images.shape[2:])
    return torch.split(channels, len(channels) if channels.numel() <= _AT_ONCE else 1)


def _transform(channels: Tensor) -> Tensor:
    """Return the orthonormal Fourier transform, (C, H, W // 2 + 1), complex."""
    spectrum: Tensor = torch.fft.rfft2(channels, norm="ortho")
    return spectrum
