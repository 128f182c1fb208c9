"""Decoded image files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import numpy as np
    from PIL import Image
    from torch import Tensor


@dataclass(frozen=True)
class Metadata:
    """Metadata of an image file that a result keeps.

    - `dpi`: resolution of a print, (across, down) in pixels per inch.
    - `copyright`, `artist`: texts of EXIF, whose characters stand for bytes (Latin-1).
    - `profile`: the ICC profile that the file's colors were converted from.
    """

    dpi: tuple[float, float] | None = None
    copyright: str = ""
    artist: str = ""
    profile: bytes | None = None


class Margins(NamedTuple):
    """Widths of what is left out at the sides of an image, in pixels of the file, upright."""

    left: int = 0
    top: int = 0
    right: int = 0
    bottom: int = 0


NO_MARGINS = Margins()


@dataclass(frozen=True)
class SourceImage:
    """A decoded image file.

    - `path`: as in the job.
    - `rgb`: sRGB, 8 bits. In a run, transparent pixels have colors of the nearest opaque ones. A
      large image may be smaller here than in its file; a mask or a map may have another mode.
    - `alpha`: 8 bits, of the same size, or None for an opaque image.
    - `metadata`: what a result keeps of the content image's.
    - `notices`: how the file was read, for the user.
    - `has_palette`: whether the file has a palette, as maps and masks of some programs do.
    - `file_size`: (height, width) in the file, upright, without the margins, if `rgb` is smaller.
    - `resampled`: `rgb` of the file resampled to the sizes (height, width) that a run uses.
    - `margins`: of the file, which are left out in all of this.
    """

    path: str
    sha256: str
    rgb: Image.Image
    alpha: Image.Image | None
    metadata: Metadata = Metadata()
    notices: tuple[str, ...] = ()
    has_palette: bool = False
    file_size: tuple[int, int] | None = None
    resampled: Mapping[tuple[int, int], Image.Image] = field(default_factory=dict)
    margins: Margins = NO_MARGINS

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) in pixels, of the file without the margins."""
        return self.file_size or (self.rgb.height, self.rgb.width)

    @property
    def outer_size(self) -> tuple[int, int]:
        """(height, width) in pixels, of the file with the margins."""
        (height, width), margins = self.size, self.margins
        return height + margins.top + margins.bottom, width + margins.left + margins.right

    def rgb_at(self, height: int, width: int) -> Image.Image:
        """Return `rgb` resampled with an antialiasing filter."""
        return self.resampled.get((height, width)) or resized(self.rgb, height, width)

    def tensor(self, height: int, width: int) -> Tensor:
        """Return the image resampled with an antialiasing filter.

        The shape is (1, 3, height, width), float32 in [0, 1].
        """
        return _values(self.rgb_at(height, width)).permute(2, 0, 1)[None].contiguous()

    def alpha_array(self, height: int, width: int) -> np.ndarray | None:
        """Return the alpha channel (height, width), float32 in [0, 1]: 0 is transparent.

        None for an opaque image.
        """
        alpha = self.alpha_tensor(height, width)
        return None if alpha is None else alpha.numpy()

    def alpha_tensor(self, height: int, width: int) -> Tensor | None:
        """Return `alpha_array` as a tensor."""
        return None if self.alpha is None else _values(resized(self.alpha, height, width))


def resized(image: Image.Image, height: int, width: int) -> Image.Image:
    """Return an image of Pillow at another size, resampled with an antialiasing filter."""
    from PIL import Image

    if image.size == (width, height):
        return image
    return image.resize((width, height), Image.Resampling.LANCZOS)


def _values(image: Image.Image) -> Tensor:
    import numpy as np
    import torch

    return torch.from_numpy(np.array(image)).float().div_(255)
