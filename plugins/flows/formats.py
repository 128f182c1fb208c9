"""Formats of flow files: Middlebury's .flo, NumPy's .npy and .npz, and KITTI's .png of 16 bits."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from ...core.errors import ImageError

if TYPE_CHECKING:
    import numpy as np

#: First number of a .flo file, by which its byte order is checked.
_FLO_NUMBER = 202021.25

#: Most pixels of a flow, as of an image; see core/job/model.py.
_MOST_PIXELS = 16384 * 16384

#: Displacements above this are Middlebury's mark for unknown ones.
_UNKNOWN = 1e9


def read_flow(path: Path) -> np.ndarray:
    """Return the flow (H, W, 2), float32, in pixels of the file.

    Raises ImageError for a file that is damaged, too large, or has an unknown displacement.
    """
    import numpy as np

    try:
        flow = _READERS[path.suffix.lower()](path)
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise ImageError(f"{path}: not a flow file that can be read ({error})") from None
    if flow.ndim == 3 and flow.shape[0] == 2 and flow.shape[2] != 2:
        flow = np.moveaxis(flow, 0, 2)
    if flow.ndim != 3 or flow.shape[2] != 2 or flow.size == 0 or flow.dtype.kind != "f":
        raise ImageError(
            f"{path}: a flow has the shape (height, width, 2) in floating point, not "
            f"{flow.shape} in {flow.dtype}"
        )
    flow = np.ascontiguousarray(flow, np.float32)
    if not (np.abs(flow) < _UNKNOWN).all():
        raise ImageError(f"{path}: the flow has unknown displacements")
    return flow


def _flo(path: Path) -> np.ndarray:
    """Read Middlebury's format (Baker et al. 2011): a number, width, height, then all vectors."""
    import numpy as np

    with path.open("rb") as file:
        header = file.read(12)
        if len(header) < 12 or np.frombuffer(header[:4], "<f4")[0] != np.float32(_FLO_NUMBER):
            raise ValueError("its first number is not that of a .flo file")
        width, height = (int(side) for side in np.frombuffer(header[4:], "<i4"))
        _check_size(width, height)
        data = file.read(8 * width * height)
    if len(data) < 8 * width * height:
        raise ValueError("it is truncated")
    return np.frombuffer(data, "<f4").reshape(height, width, 2)


def _numpy(path: Path) -> np.ndarray:
    """Read an array, without unpickling anything; of several in a .npz, the one named ``flow``."""
    import numpy as np

    if path.stat().st_size > 16 * _MOST_PIXELS:
        raise ValueError("it is too large")
    loaded = np.load(path, allow_pickle=False)
    if isinstance(loaded, np.ndarray):
        return loaded
    with loaded, zipfile.ZipFile(path) as archive:
        names = loaded.files
        name = "flow" if "flow" in names else names[0]
        if archive.getinfo(f"{name}.npy").file_size > 16 * _MOST_PIXELS:
            raise ValueError("it is too large")
        array: np.ndarray = loaded[name]
        return array


def _kitti(path: Path) -> np.ndarray:
    """Read KITTI's format (Menze and Geiger 2015): (value - 2^15) / 64, and a mark of validity."""
    import numpy as np

    from ...core.video.flow_png import decoded

    flow, valid = decoded(path.read_bytes())
    if not valid.all():
        raise ValueError("it has pixels without a flow")
    return flow.astype(np.float32)


def _check_size(width: int, height: int) -> None:
    if width < 1 or height < 1 or width * height > _MOST_PIXELS:
        raise ValueError(f"it states {width}x{height} px")


_READERS: dict[str, Callable[[Path], np.ndarray]] = {
    ".flo": _flo,
    ".npz": _numpy,
    ".npy": _numpy,
    ".png": _kitti,
}

#: Suffixes of flow files.
SUFFIXES = tuple(_READERS)
