"""Pillow's limit on the pixels of an image."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from PIL import Image


@contextmanager
def unlimited_pillow() -> Iterator[None]:
    """Switch off Pillow's limit on pixels, a module variable.

    For callers that have a limit of their own, or that read no pixels.
    """
    before = Image.MAX_IMAGE_PIXELS
    Image.MAX_IMAGE_PIXELS = None
    try:
        yield
    finally:
        Image.MAX_IMAGE_PIXELS = before
