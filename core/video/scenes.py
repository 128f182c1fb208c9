"""Cuts between the scenes of a clip."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

#: Numbers of levels of each color in a histogram.
_LEVELS = 8

#: Distance of two histograms, in [0, 1], from which on the frames are of different scenes whatever
#: the flow is; and that from which on they are if the flow is unreliable as well.
_CLEAR_DISTANCE = 0.6
_LEAST_DISTANCE = 0.2

#: Part of a frame that has a reliable counterpart in the frame before, below which the flow is
#: unreliable.
_LEAST_RELIABLE = 0.35

#: The same where the histograms agree, as after a cut to a view of like colors.
_LEAST_RELIABLE_OF_ALL = 0.05


def is_cut(before: np.ndarray, frame: np.ndarray, reliable_part: float) -> bool:
    """Return whether a scene ends between two neighboring frames, (H, W, 3) in 8 bits.

    `reliable_part` in [0, 1] is the part of `frame` whose flow to `before` is reliable. Either sign
    alone may be wrong: a flash changes the histogram, and a fast pan makes the flow unreliable.
    """
    distance = histogram_distance(before, frame)
    if distance >= _CLEAR_DISTANCE and reliable_part < 2 * _LEAST_RELIABLE:
        return True
    if distance >= _LEAST_DISTANCE:
        return reliable_part < _LEAST_RELIABLE
    return reliable_part < _LEAST_RELIABLE_OF_ALL


def histogram_distance(first: np.ndarray, second: np.ndarray) -> float:
    """Return the Hellinger distance of the color histograms of two images, in [0, 1].

    It is sqrt(1 - sum sqrt(p q)), where p and q are the parts of the pixels in each of 8 x 8 x 8
    ranges of colors (Bhattacharyya 1943). The images are (H, W, 3) in 8 bits.
    """
    import numpy as np

    parts = []
    for image in (first, second):
        levels = (image.reshape(-1, 3) >> 5).astype(np.int64)
        bins = (levels[:, 0] * _LEVELS + levels[:, 1]) * _LEVELS + levels[:, 2]
        parts.append(np.bincount(bins, minlength=_LEVELS**3) / len(bins))
    overlap = float(np.sqrt(parts[0] * parts[1]).sum())
    return float(np.sqrt(max(0.0, 1.0 - overlap)))
