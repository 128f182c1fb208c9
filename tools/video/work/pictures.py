"""Pictures of the work folder: frames in 8 bits, results in 16, as PNG."""

from __future__ import annotations

import os
from pathlib import Path

import cv2
import numpy as np

from ....core.errors import OutputError

#: Frames are written once and read a few times: fast compression.
_PARAMETERS = [cv2.IMWRITE_PNG_COMPRESSION, 1]


def write_frame(path: Path, image: np.ndarray, alpha: np.ndarray | None = None) -> None:
    """Write a frame (H, W, 3), RGB, with its alpha (H, W), both of 8 or both of 16 bits.

    The file is whole under its name, also if the process is killed. Raises OutputError.
    """
    channels = image[..., ::-1]
    if alpha is not None:
        channels = np.dstack([channels, alpha])
    done, data = cv2.imencode(".png", channels, _PARAMETERS)
    if not done:
        raise OutputError(f"{path}: OpenCV could not encode a PNG")
    replace_file(path, data.tobytes())


def replace_file(path: Path, data: bytes) -> None:
    """Write a file of the work folder under another name first. Raises OutputError."""
    temporary = path.with_name(f"{path.name}.part")
    try:
        with temporary.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise OutputError(f"{path}: cannot be written ({error.strerror or error})") from None


def read_frame(path: Path) -> np.ndarray:
    """Return a frame (H, W, 3), RGB, of 8 or 16 bits, without its alpha.

    Raises OutputError for a damaged file of the work folder.
    """
    image: np.ndarray = _read(path)[..., 2::-1]
    return image


def read_alpha(path: Path) -> np.ndarray | None:
    """Return the alpha (H, W) of a frame, of 8 or 16 bits, or None."""
    channels = _read(path)
    alpha: np.ndarray | None = channels[..., 3] if channels.shape[2] == 4 else None
    return alpha


def to_16_bits(image: np.ndarray) -> np.ndarray:
    """Return an image of floating point in [0, 1] in 16 bits."""
    levels: np.ndarray = np.rint(image.clip(0, 1) * 65535).astype(np.uint16)
    return levels


def to_8_bits(image: np.ndarray) -> np.ndarray:
    """Return an image of floating point in [0, 1] in 8 bits."""
    levels: np.ndarray = np.rint(image.clip(0, 1) * 255).astype(np.uint8)
    return levels


def to_float(image: np.ndarray) -> np.ndarray:
    """Return an image of 8 or 16 bits as float32 in [0, 1]."""
    values: np.ndarray = image.astype(np.float32) / np.float32(np.iinfo(image.dtype).max)
    return values


def _read(path: Path) -> np.ndarray:
    try:
        data = np.frombuffer(path.read_bytes(), np.uint8)
    except OSError as error:
        raise OutputError(f"{path}: cannot be read ({error.strerror})") from None
    channels = cv2.imdecode(data, cv2.IMREAD_UNCHANGED) if data.size else None
    if channels is None or channels.ndim != 3:
        raise OutputError(f"{path}: damaged; delete it, and the frame is made again")
    return channels
