"""Limits of decoding, which are checked before anything is allocated."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass

from ...errors import ImageError, MemoryLimitError
from ...job.model import DEFAULT_MAX_PIXELS
from ...job.options.text import bytes_of
from ...machine import host_memory
from ...machine.host_memory import in_words
from ...sizes.fitting import Size

#: Bytes that are little beside the program itself.
_LITTLE = 50_000_000


@dataclass(frozen=True)
class Layout:
    """Layout of the pixels of a decoded image, as far as it is known beforehand.

    - `size`: (height, width).
    - `mode`: Pillow's.
    - `is_turned`, `has_profile`, `has_alpha`: true also if that is not certain.
    """

    size: Size
    mode: str
    is_turned: bool
    has_profile: bool
    has_alpha: bool

    def bytes_of_colors(self, any_mode: bool = False) -> int:
        """Return the bytes of the image upright and in sRGB; 0 if it is decoded so.

        With `any_mode` a gray image stays "L", and one with a palette "P".
        """
        is_final = not self.is_turned and not self.has_profile
        if is_final and self.mode in (("RGB", "L", "P") if any_mode else ("RGB",)):
            return 0
        is_gray = self.mode in ("1", "L", "LA", "La") or self.mode[0] in "IF"
        bytes_per_pixel = 1 if any_mode and is_gray and not self.has_profile else 4
        return bytes_per_pixel * self.size[0] * self.size[1]


class Use(ABC):
    """Use of an image, as far as it decides how the image is decoded."""

    #: Whether the samples use the full range of their type, as those of a clip's frames, which
    #: may be dark. Else the largest sample decides: see `white_of`.
    full_range = False

    @abstractmethod
    def bytes_after(self, layout: Layout) -> int:
        """Return the most bytes that follow decoding, beside the decoder's."""

    def least_side(self, size: Size) -> int:
        """Return the long side that is needed of an image of `size` (height, width)."""
        return max(size)


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
        size = f"{path}: decoding {width}x{height} px takes about {in_words(needed)}"
        of_limit = self._left_of_limit()
        if needed > of_limit:
            raise MemoryLimitError(
                f"{size}, and {in_words(of_limit)} are left of `max_memory={self.max_memory}`; "
                "raise the limit or scale the image down"
            )
        free = host_memory.free_bytes()
        if needed > free:
            raise MemoryLimitError(f"{size}, and {in_words(free)} are free; scale the image down")

    def left(self) -> float:
        """Return the bytes that decoding may take."""
        return max(_LITTLE, min(self._left_of_limit(), host_memory.free_bytes()))

    def _left_of_limit(self) -> float:
        if self.max_memory is None:
            return math.inf
        return max(0, bytes_of(self.max_memory) - host_memory.held_bytes())
