"""Optical flow in PNG files of 16 bits, as KITTI defines them.

Menze and Geiger 2015, "Object Scene Flow for Autonomous Vehicles": red and green are 64 times the
displacements to the right and down, plus 2^15; blue is 1 where there is a flow, and else 0.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

#: Numbers for each pixel.
_STEPS, _ZERO = 64, 1 << 15


def encoded(flow: np.ndarray, valid: np.ndarray) -> bytes:
    """Return the PNG of a flow (H, W, 2) in pixels, and of where it is `valid` (H, W).

    Displacements are rounded to 1/64 px. Those beyond 511 px do not fit; they are not valid.
    """
    import cv2
    import numpy as np

    numbers = np.rint(flow * _STEPS) + _ZERO
    fits = ((numbers >= 0) & (numbers < 2 * _ZERO)).all(2)
    channels = np.zeros((*flow.shape[:2], 3), np.uint16)
    channels[..., 2], channels[..., 1] = np.moveaxis(numbers.clip(0, 2 * _ZERO - 1), 2, 0)
    channels[..., 0] = valid.astype(bool) & fits
    done, data = cv2.imencode(".png", channels, [cv2.IMWRITE_PNG_COMPRESSION, 1])
    if not done:
        raise OSError("OpenCV could not encode a PNG")
    return data.tobytes()


def decoded(data: bytes) -> tuple[np.ndarray, np.ndarray]:
    """Return the flow (H, W, 2), float32, in pixels, and where it is valid, (H, W) of booleans.

    Raises ValueError for data that is no such PNG.
    """
    import cv2
    import numpy as np

    try:
        channels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    except cv2.error:  # of no bytes, and of images that are too large
        channels = None
    if channels is None or channels.dtype != np.uint16 or channels.ndim != 3:
        raise ValueError("not a PNG of 16 bits with three channels")
    flow = (channels[..., 2:0:-1].astype(np.float32) - _ZERO) / _STEPS
    return flow, channels[..., 0] > 0
