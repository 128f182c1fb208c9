"""Conversion of a result to its content's color profile, beside Pillow's conversions from it."""

from __future__ import annotations

import io
import struct
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms
from stylectl.core.images.decoding import read_image
from stylectl.core.images.formats.icc import MatrixProfile

#: Colorants (XYZ at D50) of red, green and blue, as in the profiles of their makers.
P3 = ((0.51512, 0.24120, -0.00105), (0.29198, 0.69225, 0.04189), (0.1571, 0.06657, 0.784))
ADOBE = ((0.60974, 0.31111, 0.01947), (0.20528, 0.62567, 0.06087), (0.14919, 0.06322, 0.74457))

#: Exponent, a, b, c, d of sRGB's curve: (a x + b)^g from d on, below it c x.
SRGB_PARAMETERS = (2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)

CURVES = {
    "gamma": b"curv\0\0\0\0" + struct.pack(">IH", 1, round(2.19921875 * 256)),
    "linear": b"curv\0\0\0\0" + struct.pack(">I", 0),
    "table": b"curv\0\0\0\0"
    + struct.pack(">I257H", 257, *np.rint(np.linspace(0, 1, 257) ** 1.8 * 65535).astype(int)),
    "para 0": b"para\0\0\0\0" + struct.pack(">HHi", 0, 0, round(1.8 * 65536)),
    "para 3": b"para\0\0\0\0"
    + struct.pack(">HH5i", 3, 0, *(round(parameter * 65536) for parameter in SRGB_PARAMETERS)),
}


def profile_of(
    colorants: tuple[tuple[float, float, float], ...], curve: bytes, name: bytes = b"made"
) -> bytes:
    def fixed(*values: float) -> bytes:
        return b"".join(struct.pack(">i", round(value * 65536)) for value in values)

    white = (0.9642, 1.0, 0.8249)
    tags = {b"wtpt": b"XYZ \0\0\0\0" + fixed(*white), b"cprt": b"text\0\0\0\0none\0\0\0\0"}
    tags[b"desc"] = b"desc\0\0\0\0" + struct.pack(">I", len(name) + 1) + name + b"\0" + bytes(79)
    for channel, colorant in zip("rgb", colorants, strict=True):
        tags[f"{channel}XYZ".encode()] = b"XYZ \0\0\0\0" + fixed(*colorant)
        tags[f"{channel}TRC".encode()] = curve
    table, body, offset = struct.pack(">I", len(tags)), b"", 128 + 4 + 12 * len(tags)
    for tag, content in tags.items():
        table += tag + struct.pack(">II", offset + len(body), len(content))
        body += content + bytes(-len(content) % 4)
    size = 128 + len(table) + len(body)
    header = struct.pack(">I4sI4s4s4s", size, bytes(4), 0x02400000, b"mntr", b"RGB ", b"XYZ ")
    header += struct.pack(">6H4s", 2026, 1, 1, 0, 0, 0, b"acsp") + bytes(28) + fixed(*white)
    return header.ljust(128, b"\0") + table + body


def grid() -> np.ndarray:
    levels = np.linspace(0, 255, 9).round().astype(np.uint8)
    return np.stack(np.meshgrid(levels, levels, levels, indexing="ij"), 3).reshape(27, 27, 3)


@pytest.mark.parametrize("curve", CURVES)
@pytest.mark.parametrize("colorants", [P3, ADOBE], ids=["P3", "Adobe RGB"])
def test_a_result_is_converted_as_pillow_converts_it(
    curve: str, colorants: tuple[tuple[float, float, float], ...]
) -> None:
    profile = profile_of(colorants, CURVES[curve])
    matrix = MatrixProfile.of(profile)
    assert matrix is not None
    expected = ImageCms.profileToProfile(
        Image.fromarray(grid()),
        ImageCms.createProfile("sRGB"),
        ImageCms.ImageCmsProfile(io.BytesIO(profile)),
        renderingIntent=ImageCms.Intent.RELATIVE_COLORIMETRIC,
    )
    assert expected is not None
    difference = matrix.encoded(grid().astype(np.float32) / 255) * 255 - np.asarray(expected)
    # Pillow rounds to levels, and computes in 16 bits, whose steps are coarse in dark colors, where
    # the inverse of a gamma is steep.
    assert np.abs(difference).max() <= 1.5
    assert np.abs(difference).mean() <= 0.3


def test_there_and_back_is_the_same_color(tmp_path: Path) -> None:
    profile = profile_of(ADOBE, CURVES["gamma"], b"Adobe RGB")
    pixels = grid() // 2 + 60  # inside of sRGB
    Image.fromarray(pixels).save(tmp_path / "a.png", icc_profile=profile)
    image = read_image(str(tmp_path / "a.png"))
    assert image.notices[0].endswith("a.png: converted from its profile (Adobe RGB) to sRGB")
    matrix = MatrixProfile.of(image.metadata.profile or b"")
    assert matrix is not None
    back = matrix.encoded(np.asarray(image.rgb, np.float32) / 255) * 255
    inside = ((np.asarray(image.rgb) > 0) & (np.asarray(image.rgb) < 255)).all(2)
    assert inside.mean() > 0.5
    # A level of 8-bit sRGB is up to two of the profile's, in dark colors.
    assert np.abs(back - pixels)[inside].max() <= 2


def test_a_profile_that_is_srgb_changes_no_pixel_and_gives_no_notice(tmp_path: Path) -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    Image.fromarray(grid()).save(tmp_path / "a.png", icc_profile=profile)
    image = read_image(str(tmp_path / "a.png"))
    assert np.array_equal(np.asarray(image.rgb), grid())
    assert image.notices == ()


def test_a_profile_that_is_ignored_is_said(tmp_path: Path) -> None:
    Image.fromarray(grid()).save(tmp_path / "a.png", icc_profile=b"no profile")
    assert "color profile is damaged" in read_image(str(tmp_path / "a.png")).notices[0]
    profile = profile_of(P3, CURVES["gamma"])
    Image.new("CMYK", (9, 9)).save(tmp_path / "a.jpg", icc_profile=profile)
    assert "is for RGB and is ignored" in read_image(str(tmp_path / "a.jpg")).notices[0]


@pytest.mark.parametrize("end", [0, 100, 140, 300])
def test_what_is_no_matrix_profile_has_no_way_back(end: int) -> None:
    assert MatrixProfile.of(profile_of(P3, CURVES["gamma"])[:end]) is None
