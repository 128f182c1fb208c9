"""Decoded image files."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from PIL import Image
    from torch import Tensor


@dataclass(frozen=True)
class SourceImage:
    """A decoded image file.

    `path` is as in the job; `rgb` is sRGB, 8 bits; `alpha` 8 bits, or None for an opaque image.
    """

    path: str
    sha256: str
    rgb: Image.Image
    alpha: Image.Image | None

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
        if self.alpha is None:
            return None
        return _resampled(self.alpha, height, width).numpy()


def _resampled(image: Image.Image, height: int, width: int) -> Tensor:
    import numpy as np
    import torch
    from PIL import Image

    if image.size != (width, height):
        image = image.resize((width, height), Image.Resampling.LANCZOS)
    return torch.from_numpy(np.array(image)).float().div_(255)
