"""Interface of what writes the frames of a clip into one format."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np


class FrameWriter(ABC):
    """Writer of frames to a temporary file or folder, which its caller moves or deletes."""

    @property
    def notices(self) -> tuple[str, ...]:
        """Notices for the user."""
        return ()

    @abstractmethod
    def add(
        self, pixels: np.ndarray, alpha: np.ndarray | None, time: float, duration: float
    ) -> None:
        """Append a frame; see ClipWriter.add. Raises OSError, or an error of FFmpeg."""

    @abstractmethod
    def finish(self) -> None:
        """Write the rest and close the file."""

    @abstractmethod
    def close(self) -> None:
        """Close the file, finished or not; may be called twice."""
