"""Decoded image files."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

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


@dataclass(frozen=True)
class SourceImage:
    """A decoded image file.

    - `path`: as in the job.
    - `rgb`: sRGB, 8 bits. In a run, transparent pixels have colors of the nearest opaque ones.
    - `alpha`: 8 bits, or None for an opaque image.
    - `metadata`: what a result keeps of the content image's.
    - `notices`: how the file was read, for the user.
    - `has_palette`: whether the file has a palette, as maps and masks of some programs do.
    """

    path: str
    sha256: str
    rgb: Image.Image
    alpha: Image.Image | None
    metadata: Metadata = Metadata()
    notices: tuple[str, ...] = ()
    has_palette: bool = False

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) in pixels."""
        return self.rgb.height, self.rgb.width

    def tensor(self, height: int, width: int) -> Tensor:
        """Return the image resampled with an antialiasing filter.

        The shape is (1, 3, height, width), float32 in [0, 1].
        """
        return _resampled(self.rgb, height, width).permute(2, 0, 1)[None].contiguous()

    def alpha_array(self, height: int, width: int) -> np.ndarray | None:
        """Return the alpha channel (height, width), float32 in [0, 1]: 0 is transparent.

        None for an opaque image.
        """
        alpha = self.alpha_tensor(height, width)
        return None if alpha is None else alpha.numpy()

    def alpha_tensor(self, height: int, width: int) -> Tensor | None:
        """Return `alpha_array` as a tensor."""
        return None if self.alpha is None else _resampled(self.alpha, height, width)


def _resampled(image: Image.Image, height: int, width: int) -> Tensor:
    import numpy as np
    import torch
    from PIL import Image

    if image.size != (width, height):
        image = image.resize((width, height), Image.Resampling.LANCZOS)
    return torch.from_numpy(np.array(image)).float().div_(255)
