"""Limits of decoding, which are checked before anything is allocated."""

from __future__ import annotations

from dataclasses import dataclass

from ...errors import ImageError, MemoryLimitError
from ...job.model import DEFAULT_MAX_PIXELS
from ...job.options.text import bytes_of
from ...machine import host_memory
from ...machine.host_memory import in_words

#: Bytes that are little beside the program itself.
_LITTLE = 50_000_000


@dataclass(frozen=True)
class Limits:
    """Limits of one image file.

    - `max_pixels`: the most pixels that are decoded.
    - `max_memory`: the memory that the program may hold, such as "4GB". None: what is free.
    """

    max_pixels: int = DEFAULT_MAX_PIXELS
    max_memory: str | None = None

    def check_pixels(self, path: str, width: int, height: int) -> None:
        """Raise ImageError for more than `max_pixels` pixels."""
        if width * height > self.max_pixels:
            raise ImageError(
                f"{path}: the image has more than {self.max_pixels} pixels; "
                "if you trust it, allow more with `max_pixels`"
            )

    def check_memory(self, path: str, width: int, height: int, needed: int) -> None:
        """Raise MemoryLimitError if the `needed` bytes are not available.

        An image that takes little beside the program is not checked: the choice of tiles, which
        follows, counts all that the program holds.
        """
        if needed < _LITTLE:
            return
        free = host_memory.free_bytes()
        size = f"{path}: decoding {width}x{height} px takes about {in_words(needed)}"
        if self.max_memory is not None:
            left = max(0, bytes_of(self.max_memory) - host_memory.held_bytes())
            if needed > left:
                raise MemoryLimitError(
                    f"{size}, and {in_words(left)} are left of `max_memory={self.max_memory}`; "
                    "raise the limit or scale the image down"
                )
        if needed > free:
            raise MemoryLimitError(f"{size}, and {in_words(free)} are free; scale the image down")
