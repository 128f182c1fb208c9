"""What the files of a result carry: record, resolution, copyright, artist, color profile."""

from __future__ import annotations

import io
import json
import struct
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image, ImageCms
from stylectl.core.images.decoding import read_image
from stylectl.core.interfaces.result import Result
from stylectl.core.interfaces.source_image import Metadata

Write = Callable[..., Path]

#: Colorants of Display P3: XYZ at D50 of red, green and blue.
P3 = ((0.51512, 0.24120, -0.00105), (0.29198, 0.69225, 0.04189), (0.1571, 0.06657, 0.784))


def wide_profile() -> bytes:
    """The profile of sRGB with other colorants."""
    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    (count,) = struct.unpack_from(">I", profile, 128)
    for index in range(count):
        name, offset, _ = struct.unpack_from(">4sII", profile, 132 + 12 * index)
        if name in (b"rXYZ", b"gXYZ", b"bXYZ"):
            colorant = P3[b"rgb".index(name[:1])]
            struct.pack_into(">3i", profile, offset + 8, *(round(v * 65536) for v in colorant))
    return bytes(profile)


PROFILE = wide_profile()
#: The bytes of a text in UTF-8, as characters.
ARTIST = "Müller".encode().decode("latin-1")


@pytest.fixture
def print_result(result: Result) -> Result:
    assert result.content is not None
    metadata = Metadata((300.0, 300.0), "(c) 2026 Me", ARTIST, PROFILE)
    return replace(result, content=replace(result.content, metadata=metadata))


def with_options(result: Result, **options: Any) -> Result:
    return replace(result, job=result.job.replace(**options))


FILES = pytest.mark.parametrize(
    ("name", "options"),
    [
        ("a.png", {}),
        ("a.png", {"bits": 16}),
        ("a.jpg", {}),
        ("a.webp", {}),
        ("a.tif", {}),
        ("a.tif", {"bits": 32}),
    ],
)


@FILES
def test_resolution_copyright_and_artist_are_kept(
    print_result: Result, write: Write, name: str, options: dict[str, Any]
) -> None:
    path = write(print_result, name, options)
    metadata = read_image(str(path)).metadata
    assert metadata.dpi == pytest.approx((300, 300), abs=0.02)  # PNG: whole pixels per meter
    assert (metadata.copyright, metadata.artist) == ("(c) 2026 Me", ARTIST)


@FILES
def test_nothing_else_of_the_contents_exif_is_in_the_file(
    print_result: Result, write: Write, name: str, options: dict[str, Any]
) -> None:
    path = write(print_result, name, options)
    if options.get("bits") == 32:
        return  # Pillow does not open it; its tags are written one by one
    with Image.open(path) as image:
        exif = image.getexif()
        assert 0x0112 not in exif or exif[0x0112] == 1
        assert not exif.get_ifd(0x8825)  # GPS
        assert not exif.get_ifd(0x8769)


@FILES
@pytest.mark.parametrize("level", ["full", "job", "none"])
def test_metadata_says_what_a_file_carries(
    print_result: Result, write: Write, name: str, options: dict[str, Any], level: str
) -> None:
    path = write(with_options(print_result, metadata=level), name, options)
    data = path.read_bytes()
    metadata = read_image(str(path)).metadata
    assert metadata.dpi is not None
    assert bool(metadata.copyright) == (level != "none")
    assert bool(metadata.artist) == (level != "none")
    if level == "none":
        assert b"stylectl" not in data
        assert b"photo.jpg" not in data
    elif path.suffix in (".png", ".tif"):
        assert (b"photo.jpg" in data, b"seconds" in data) == (True, level == "full")


def test_a_job_of_metadata_job_makes_the_result_again(print_result: Result, write: Write) -> None:
    path = write(with_options(print_result, metadata="job"), "a.png")
    with Image.open(path) as image:
        record = json.loads(image.info["stylectl"])
    assert record.keys() == {"job", "format", "inputs", "interrupted"}


@FILES
def test_a_kept_profile_is_embedded_and_the_pixels_are_its(
    print_result: Result, write: Write, name: str, options: dict[str, Any]
) -> None:
    plain = write(print_result, name, options)
    first = np.asarray(read_image(str(plain)).rgb).astype(int)
    path = write(with_options(print_result, color_profile="keep"), name, options)
    assert profile_in(path) == PROFILE
    # Read again, they are the same colors. 8 bits of one encoding are up to some levels of the
    # other in dark colors; JPEG and WebP round after a transform of their own.
    again = read_image(str(path))
    assert any("converted from its profile" in notice for notice in again.notices)
    difference = np.abs(np.asarray(again.rgb).astype(int) - first)
    assert difference.mean() <= (4 if path.suffix in (".jpg", ".webp") else 0.8)
    if path.suffix not in (".jpg", ".webp"):
        assert difference.max() <= 8


def profile_in(path: Path) -> bytes | None:
    if path.suffix == ".tif":
        with tifffile.TiffFile(path) as file:
            return bytes(file.pages.first.tags.valueof(34675))
    with Image.open(path) as image:
        return image.info.get("icc_profile")


def test_without_keep_a_tiff_has_the_profile_of_srgb(print_result: Result, write: Write) -> None:
    with tifffile.TiffFile(write(print_result, "a.tif")) as file:
        profile = ImageCms.ImageCmsProfile(io.BytesIO(file.pages.first.tags.valueof(34675)))
    assert "sRGB" in ImageCms.getProfileDescription(profile)
