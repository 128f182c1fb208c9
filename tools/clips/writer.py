"""Writing of a clip, frame by frame, under a temporary name."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from types import TracebackType
from typing import TYPE_CHECKING, Self

from ...core.errors import OutputError, StylectlError
from ...core.files import whole_file
from ...core.shown import one_line
from .source import Clip
from .target import ClipTarget
from .writing.frame_writer import FrameWriter

if TYPE_CHECKING:
    import numpy as np


class _DiscardError(Exception):
    """The reason for which an unfinished file is deleted."""


class ClipWriter:
    """Writer of a clip; a context manager, which deletes what is not finished.

    A file is moved to its name when it is finished, and so is a new folder of numbered images.
    """

    def __init__(
        self, target: ClipTarget, source: Clip | None = None, record: str | None = None
    ) -> None:
        """Open a temporary file.

        - `source`: the clip whose sound, subtitles and chapters are copied into a video, as far as
          its frames are taken.
        - `record`: JSON that the file contains; the first of numbered images has it.

        Raises OutputError.
        """
        self._target = target
        self._notices: list[str] = list(target.notices)
        self._stack = ExitStack()
        self._count = 0
        with self._errors():
            self._writer = self._opened(source, record)

    @property
    def notices(self) -> tuple[str, ...]:
        """Notices for the user, such as of a stream that the container does not hold."""
        return (*self._notices, *self._writer.notices)

    def add(
        self, pixels: np.ndarray, alpha: np.ndarray | None, time: float, duration: float
    ) -> None:
        """Append a frame.

        - `pixels`: (H, W, 3) in [0, 1], sRGB-encoded.
        - `alpha`: (H, W) in [0, 1]; None is opaque.
        - `time`: seconds from the first frame, later than that of the frame before.
        - `duration`: seconds until the next frame.

        Raises OutputError.
        """
        if pixels.shape != (*self._target.size, 3):
            raise ValueError(f"a frame of {pixels.shape} in a clip of {self._target.size}")
        with self._errors():
            self._writer.add(pixels, alpha if self._target.alpha else None, time, duration)
        self._count += 1

    def finish(self) -> None:
        """Complete the file and move it to its name. Raises OutputError."""
        if not self._count:
            raise OutputError(f"{self._target.path}: no frame to write")
        with self._errors():
            self._writer.finish()
            self._stack.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._discard()

    def _opened(self, source: Clip | None, record: str | None) -> FrameWriter:
        target, path = self._target, self._target.path.absolute()
        if target.kind == "images":
            from .writing.numbered_writer import NumberedWriter

            return NumberedWriter(target, self._stack, record)
        temporary = self._stack.enter_context(whole_file(path))
        if target.kind == "animation":
            from .writing.animation_writer import AnimationWriter

            return AnimationWriter(target, temporary, record)
        from .writing.video_writer import VideoWriter

        return VideoWriter(target, temporary, source, record)

    def _discard(self) -> None:
        """Delete the temporary file, unless it was finished."""
        writer = getattr(self, "_writer", None)
        if writer:
            writer.close()
        error = _DiscardError()
        self._stack.__exit__(_DiscardError, error, None)

    @contextmanager
    def _errors(self) -> Iterator[None]:
        """Turn errors of the system and of FFmpeg into OutputErrors; any deletes the file."""
        try:
            yield
        except BaseException as error:
            self._discard()
            if isinstance(error, StylectlError) or not hasattr(error, "errno"):
                raise
            reason = one_line(str(getattr(error, "strerror", None) or error))
            raise OutputError(f"{self._target.path}: cannot be written ({reason})") from error
