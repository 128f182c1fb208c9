"""The file of the image that an exported objective starts from."""

from __future__ import annotations

from pathlib import Path

from torch import Tensor

from ...core.errors import OutputError
from ...core.files import whole_file


def save_start(image: Tensor, path: Path) -> None:
    """Write an image (1, 3, H, W) as the plain numbers of the model's input.

    They are float32, little-endian, in the order of the input's elements, without a header. Raises
    OutputError when the file cannot be written.
    """
    data = image.float().cpu().contiguous().numpy().astype("<f4").tobytes()
    try:
        with whole_file(path) as temporary:
            temporary.write_bytes(data)
    except OSError as error:
        raise OutputError(f"{path}: cannot be written ({error.strerror or error})") from None
