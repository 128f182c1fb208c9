"""Runs of a second: their flags, and images for them."""

from __future__ import annotations

import numpy as np
from PIL import Image

from ..place import Place

#: Flags of a run with the first layers of VGG-19.
SMALL = (
    *("--size", "32", "--iterations", "2", "--scales", "1", "--device", "cpu"),
    *("--style-layers", "relu1_1,relu2_1", "--content-layers", "relu2_1"),
)


def with_images(place: Place) -> None:
    """Put a photo, a painting and a region map into the folder."""
    noise = np.random.default_rng(7)
    rows, columns = np.mgrid[0:24, 0:36]
    slope = np.stack([7 * columns, 10 * rows, 3 * (rows + columns)], axis=2)
    Image.fromarray(slope.astype(np.uint8)).save(place.work / "photo.png")
    painting = noise.integers(0, 256, (30, 30, 3), np.uint8)
    Image.fromarray(painting).save(place.work / "painting.png")
    regions = Image.new("RGB", (36, 24), "red")
    regions.paste((0, 0, 255), (0, 0, 18, 24))
    regions.save(place.work / "map.png")


def with_copies(place: Place, *names: str) -> None:
    """Put copies of the photo into the folder, as inputs or as results of earlier runs."""
    for name in names:
        file = place.work / name
        file.parent.mkdir(exist_ok=True)
        file.write_bytes((place.work / "photo.png").read_bytes())
