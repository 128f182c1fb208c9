"""TIFF files of all kinds: read right, or refused with the reason."""

from __future__ import annotations

import os
import struct
import zlib
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image, TiffImagePlugin
from stylectl.core.errors import ImageError
from stylectl.core.images.decoding import read_image
from stylectl.core.images.formats.libtiff import libtiff_messages

HEIGHT, WIDTH = 20, 30


def colors() -> np.ndarray:
    """(H, W, 3) in [0, 1], with black and white in it; no two channels and no two edges alike."""
    across, down = np.meshgrid(np.linspace(0, 1, WIDTH), np.linspace(0, 1, HEIGHT))
    return np.stack([across, down, (across + 1 - down) / 2], axis=2)


def written(path: Path, data: np.ndarray, **options: Any) -> str:
    tifffile.imwrite(path, data, **options)
    return str(path)


def pixels(path: str) -> np.ndarray:
    return np.asarray(read_image(path).rgb).astype(int)


#: How whole numbers lie in the file: planar or not, from black or from white, and in which bytes.
layouts = st.fixed_dictionaries(
    {
        "planar": st.booleans(),
        "gray": st.booleans(),
        "white_is_zero": st.booleans(),
        "compression": st.sampled_from([None, "zlib"]),
        "tile": st.sampled_from([None, (16, 16)]),
        "byteorder": st.sampled_from("<>"),
        "bigtiff": st.booleans(),
        "bits": st.sampled_from([8, 12, 16, 32]),
        "type": st.sampled_from([np.uint16, np.uint32]),
    }
)


@settings(
    deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(layouts)
def test_whole_numbers_are_read_right_in_every_layout(
    tmp_path: Path, layout: dict[str, Any]
) -> None:
    bits = min(layout["bits"], 8 * np.dtype(layout["type"]).itemsize)
    gray = layout["gray"] or layout["white_is_zero"]
    expected = colors()[..., :1] if gray else colors()
    values = 1 - expected if gray and layout["white_is_zero"] else expected
    numbers = np.rint(values * (2.0**bits - 1)).astype(layout["type"])
    options: dict[str, Any] = {"photometric": "rgb"}
    if gray:
        options = {"photometric": "miniswhite" if layout["white_is_zero"] else "minisblack"}
        numbers = numbers[..., 0]
    elif layout["planar"]:
        numbers, options["planarconfig"] = numbers.transpose(2, 0, 1), "separate"
    options |= {key: layout[key] for key in ("compression", "tile", "byteorder", "bigtiff")}
    path = written(tmp_path / "a.tif", np.ascontiguousarray(numbers), **options)
    # Pillow rounds 16 bits down, tifffile's numbers are rounded to the nearest level.
    assert np.abs(pixels(path) - 255 * expected).max() <= 1


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("white", [1, 255])
def test_floating_point_is_read_from_0_to_1_and_from_0_to_255(
    tmp_path: Path, dtype: type[np.floating[Any]], white: int
) -> None:
    data = (colors() * white).astype(dtype)
    image = read_image(written(tmp_path / "a.tif", data, photometric="rgb"))
    assert np.abs(np.asarray(image.rgb) - 255 * colors()).max() <= 0.6
    said = [notice for notice in image.notices if "read as 0 to 255" in notice]
    assert len(said) == (white == 255)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (colors().astype(np.float32) * 9, r"its numbers go from 0 to 9.*tone-map"),
        (colors().astype(np.float32) * 65535, r"its numbers go from 0 to 65535"),
        (np.where(colors() < 0.5, np.nan, 1).astype(np.float32), "not finite"),
        ((colors() * 30000).astype(np.int16), "signed numbers"),
        ((colors() * 1e8).astype(np.uint32), "white is not known"),
        (colors().astype(np.complex64), "numbers are complex64"),
    ],
    ids=["HDR", "floats to 65535", "NaN", "signed", "24 of 32 bits", "complex"],
)
def test_numbers_without_a_known_white_are_refused(
    tmp_path: Path, data: np.ndarray, message: str
) -> None:
    path = written(tmp_path / "a.tif", data, photometric="rgb")
    with pytest.raises(ImageError, match=message):
        read_image(path)


def test_numbers_of_12_bits_in_16_are_recognised_and_a_notice_says_so(tmp_path: Path) -> None:
    data = np.rint(colors() * 4095).astype(np.uint16)
    for name, pixels_of in (("rgb", data), ("gray", data[..., 0])):
        image = read_image(written(tmp_path / f"{name}.tif", pixels_of))
        assert any("12 bits in 16" in notice for notice in image.notices)
        expected = colors() if name == "rgb" else colors()[..., :1]
        assert np.abs(np.asarray(image.rgb) - 255 * expected).max() <= 0.6


def test_a_declared_depth_is_believed(tmp_path: Path) -> None:
    # No number is above 2000, but the file says that white is 4095.
    data = np.rint(colors()[..., 0] * 2000).astype(np.uint16)
    tags = [(281, "H", 1, 4095, True)]
    path = written(tmp_path / "a.tif", data, photometric="minisblack", extratags=tags)
    assert abs(pixels(path).max() - 255 * 2000 / 4095) <= 1


def test_a_full_range_of_16_bits_gives_no_notice(tmp_path: Path) -> None:
    data = np.rint(colors() * 65535).astype(np.uint16)
    assert read_image(written(tmp_path / "a.tif", data, photometric="rgb")).notices == ()


@pytest.mark.parametrize("kind", ["unassalpha", "assocalpha"])
@pytest.mark.parametrize("gray", [True, False])
def test_transparency_of_16_bits_is_kept(tmp_path: Path, kind: str, gray: bool) -> None:
    opaque = colors()[..., :1] if gray else colors()
    alpha = np.linspace(0.2, 1, WIDTH)[None, :, None].repeat(HEIGHT, 0)
    stored = opaque * alpha if kind == "assocalpha" else opaque
    data = np.rint(np.concatenate([stored, alpha], axis=2) * 65535).astype(np.uint16)
    path = written(
        tmp_path / "a.tif",
        data,
        photometric="minisblack" if gray else "rgb",
        planarconfig="contig",
        extrasamples=[kind],
    )
    image = read_image(path)
    assert image.alpha is not None
    assert np.abs(np.asarray(image.alpha) - 255 * alpha[..., 0]).max() <= 1
    # 8 bits of an associated color at an opacity of 0.2 are steps of 5 levels.
    assert np.abs(np.asarray(image.rgb) - 255 * opaque).max() <= (5 if kind == "assocalpha" else 1)


def test_orientation_profile_and_resolution_of_a_float_tiff_are_read(tmp_path: Path) -> None:
    data = colors().astype(np.float32)
    tags = [(274, "H", 1, 6, True), (33432, "s", 0, b"(c) me", True)]
    path = written(
        tmp_path / "a.tif", data, photometric="rgb", extratags=tags, resolution=(300, 300)
    )
    image = read_image(path)
    assert image.size == (WIDTH, HEIGHT)
    assert image.metadata.dpi == (300, 300)
    assert image.metadata.copyright == "(c) me"


def test_only_the_first_page_is_read_and_that_is_said(tmp_path: Path) -> None:
    pages = np.rint(np.stack([colors(), 1 - colors()]) * 65535).astype(np.uint16)
    for name, planar in (("contig", False), ("separate", True)):
        data = pages.transpose(0, 3, 1, 2) if planar else pages
        path = written(tmp_path / f"{name}.tif", data, photometric="rgb", planarconfig=name)
        image = read_image(path)
        assert np.abs(np.asarray(image.rgb) - 255 * colors()).max() <= 1
        assert any("only the first is read" in notice for notice in image.notices)


def test_a_deflated_strip_that_is_larger_than_it_says_is_damaged(tmp_path: Path) -> None:
    packed = zlib.compress(bytes(50_000_000))
    entries = [
        *((256, 4, 1, 8), (257, 4, 1, 8), (258, 3, 1, 32), (259, 3, 1, 8), (262, 3, 1, 1)),
        *((273, 4, 1, 8), (277, 3, 1, 1), (278, 4, 1, 8), (279, 4, 1, len(packed))),
        (339, 3, 1, 3),
    ]
    offset = 8 + len(packed)
    ifd = struct.pack("<H", len(entries)) + b"".join(struct.pack("<HHII", *e) for e in entries)
    path = tmp_path / "bomb.tif"
    path.write_bytes(b"II*\0" + struct.pack("<I", offset) + packed + ifd + bytes(4))
    # Pillow is given the file first only if it reads its kind right.
    with pytest.raises(ImageError, match=r"bomb\.tif: .*too large"):
        read_image(str(path))


@pytest.mark.parametrize(
    ("name", "tags"),
    [
        ("a.tif", [(50706, "B", 4, (1, 4, 0, 0), True)]),
        ("a.dng", []),
        ("a.nef", []),
    ],
)
def test_camera_raw_is_refused_with_advice(
    tmp_path: Path, name: str, tags: list[tuple[object, ...]]
) -> None:
    data = np.zeros((16, 16, 3), np.uint8)
    path = written(tmp_path / name, data, photometric="rgb", extratags=tags)
    with pytest.raises(ImageError, match="camera raw file, which must be developed first"):
        read_image(path)


@pytest.mark.parametrize("start", [b"FUJIFILMCCD-RAW 0201", b"\0\0\0\x18ftypcrx \0\0\0\1crx isom"])
def test_camera_raw_that_is_no_tiff_is_refused_with_advice(tmp_path: Path, start: bytes) -> None:
    path = tmp_path / "a.raw"
    path.write_bytes(start + bytes(500))
    with pytest.raises(ImageError, match="camera raw"):
        read_image(str(path))


@pytest.mark.parametrize("options", [{}, {"compression": "zlib"}, {"tile": (16, 16)}])
def test_a_truncated_file_is_damaged_and_not_black(
    tmp_path: Path, options: dict[str, Any], capfd: pytest.CaptureFixture[str]
) -> None:
    data = colors().astype(np.float32)
    whole = Path(written(tmp_path / "a.tif", data, photometric="rgb", **options))
    path = tmp_path / "half.tif"
    path.write_bytes(whole.read_bytes()[:-600])
    with pytest.raises(ImageError, match=r"half\.tif: the image is damaged"):
        read_image(str(path))
    assert capfd.readouterr() == ("", "")


def test_heic_names_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.heic"
    path.write_bytes(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(500))
    if find_spec("pillow_heif") is None:
        with pytest.raises(ImageError, match=r"HEIC needs `pip install 'stylectl\[formats\]'`"):
            read_image(str(path))
    else:
        with pytest.raises(ImageError, match=r"a\.heic"):
            read_image(str(path))


def test_a_png_of_12_bits_in_16_is_refused_in_color_and_read_in_gray(tmp_path: Path) -> None:
    gray = np.rint(colors()[..., 0] * 4095).astype(np.uint16)
    Image.fromarray(gray).save(tmp_path / "gray.png")
    assert np.abs(pixels(str(tmp_path / "gray.png")) - 255 * colors()[..., :1]).max() <= 1
    rows = np.rint(colors() * 4095).astype(">u2").reshape(HEIGHT, -1)
    packed = zlib.compress(b"".join(b"\0" + row.tobytes() for row in rows))

    def chunk(kind: bytes, content: bytes) -> bytes:
        checksum = zlib.crc32(kind + content)
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", checksum)

    header = struct.pack(">IIBBBBB", WIDTH, HEIGHT, 16, 2, 0, 0, 0)
    (tmp_path / "rgb.png").write_bytes(
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", packed) + chunk(b"IEND", b"")
    )
    with pytest.raises(ImageError, match="no value is above 4095"):
        read_image(str(tmp_path / "rgb.png"))


def damaged(path: Path, compression: str) -> str:
    """A file that Pillow decodes by libtiff, with noise instead of the compressed numbers."""
    image = Image.fromarray(np.rint(colors() * 255).astype(np.uint8))
    mode = "1" if compression == "group4" else "RGB"
    image.convert(mode).save(path, compression=compression)
    with Image.open(path) as opened:
        assert isinstance(opened, TiffImagePlugin.TiffImageFile)
        start, length = opened.tag_v2[273][0], opened.tag_v2[279][0]
    data = path.read_bytes()
    path.write_bytes(data[:start] + b"\xff\x80" * (length // 2) + data[start + length // 2 * 2 :])
    return str(path)


@pytest.mark.parametrize("compression", ["tiff_lzw", "tiff_adobe_deflate", "jpeg"])
def test_libtiff_prints_nothing_about_damaged_files(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], compression: str
) -> None:
    with pytest.raises(ImageError, match="damaged"):
        read_image(damaged(tmp_path / "a.tif", compression))
    assert capfd.readouterr() == ("", "")


def test_what_libtiff_decodes_although_it_is_damaged_gives_a_notice(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    image = read_image(damaged(tmp_path / "a.tif", "group4"))
    assert any("may be damaged (libtiff: Fax4Decode: " in notice for notice in image.notices)
    assert capfd.readouterr() == ("", "")


def test_what_others_print_while_libtiff_decodes_is_shown(
    capfd: pytest.CaptureFixture[str],
) -> None:
    with libtiff_messages() as messages:
        os.write(2, b"stylectl: a line\nZIPDecode: Decoding error.\n50 %\r51 %")
    assert messages == ["ZIPDecode: Decoding error."]
    assert capfd.readouterr().err == "stylectl: a line\n50 %\r51 %"
