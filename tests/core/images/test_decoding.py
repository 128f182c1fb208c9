from __future__ import annotations

import hashlib
import struct
import warnings
import zlib
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image, ImageChops
from stylectl.core.errors import ImageError, UsageError
from stylectl.core.images.decoding import read_image
from stylectl.core.interfaces.source_image import SourceImage
from stylectl.core.job.paths import SAMPLES
from stylectl.core.sizes.fitting import fit

RED, GREEN, BLUE, WHITE, BLACK = (
    (255, 0, 0),
    (0, 255, 0),
    (0, 0, 255),
    (255, 255, 255),
    (0, 0, 0),
)

#: Columns: the XYZ (D50) of red, green and blue, as the ICC's own profiles have them.
SRGB_COLORANTS = ((0.4361, 0.2225, 0.0139), (0.3851, 0.7169, 0.0971), (0.1431, 0.0606, 0.7141))
P3_COLORANTS = ((0.51512, 0.24120, -0.00105), (0.29198, 0.69225, 0.04189), (0.1571, 0.06657, 0.784))


def srgb_encoded(linear: np.ndarray) -> np.ndarray:
    """IEC 61966-2-1."""
    return np.where(
        linear <= 0.0031308, 12.92 * linear, 1.055 * linear.clip(0) ** (1 / 2.4) - 0.055
    )


def srgb_decoded(encoded: np.ndarray) -> np.ndarray:
    return np.where(encoded <= 0.04045, encoded / 12.92, ((encoded + 0.055) / 1.055) ** 2.4)


def icc_profile(
    space: bytes, colorants: tuple[tuple[float, float, float], ...], curve: bytes
) -> bytes:
    """A display profile made by hand: a matrix (for RGB) and one tone curve."""

    def fixed(*values: float) -> bytes:
        return b"".join(struct.pack(">i", round(value * 65536)) for value in values)

    white = (0.9642, 1.0, 0.8249)
    tags = {b"wtpt": b"XYZ \0\0\0\0" + fixed(*white), b"cprt": b"text\0\0\0\0none\0\0\0\0"}
    tags[b"desc"] = b"desc\0\0\0\0" + struct.pack(">I", 5) + b"made\0" + bytes(79)
    if space == b"RGB ":
        for name, colorant in zip("rgb", colorants, strict=True):
            tags[f"{name}XYZ".encode()] = b"XYZ \0\0\0\0" + fixed(*colorant)
            tags[f"{name}TRC".encode()] = curve
    else:
        tags[b"kTRC"] = curve
    table, body, offset = struct.pack(">I", len(tags)), b"", 128 + 4 + 12 * len(tags)
    for tag, content in tags.items():
        table += tag + struct.pack(">II", offset + len(body), len(content))
        body += content + bytes(-len(content) % 4)
    size = 128 + len(table) + len(body)
    header = struct.pack(">I4sI4s4s4s", size, bytes(4), 0x02400000, b"mntr", space, b"XYZ ")
    header += struct.pack(">6H4s", 2026, 1, 1, 0, 0, 0, b"acsp") + bytes(28)
    header += fixed(*white)
    return header.ljust(128, b"\0") + table + body


LINEAR = b"curv\0\0\0\0" + struct.pack(">I", 0)
#: The sRGB curve, sampled finely enough for 8 bits.
SRGB_CURVE = (
    b"curv\0\0\0\0"
    + struct.pack(">I", 4096)
    + b"".join(
        struct.pack(">H", round(float(value) * 65535))
        for value in srgb_decoded(np.linspace(0, 1, 4096))
    )
)


def png_with_header(path: Path, width: int, height: int) -> Path:
    """A tiny file that says that it is large."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        checksum = zlib.crc32(kind + content)
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", checksum)

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(bytes(1000)))
        + chunk(b"IEND", b"")
    )
    return path


def quarters() -> Image.Image:
    """6 x 4 pixels with a different color in each quarter: no turn or flip leaves it as it is."""
    image = Image.new("RGB", (6, 4), RED)
    image.paste(GREEN, (3, 0, 6, 2))
    image.paste(BLUE, (0, 2, 3, 4))
    image.paste(WHITE, (3, 2, 6, 4))
    return image


def pixels(picture: SourceImage) -> np.ndarray:
    return np.asarray(picture.rgb).astype(int)


@pytest.fixture
def saved(tmp_path: Path) -> Callable[..., str]:
    def save(image: Image.Image, name: str, **options: Any) -> str:
        image.save(tmp_path / name, **options)
        return str(tmp_path / name)

    return save


TURNED = {
    1: None,
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,  # stored turned to the left: a viewer turns it to the right
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}


@pytest.mark.parametrize("orientation", TURNED)
def test_exif_orientation_is_applied(saved: Callable[..., str], orientation: int) -> None:
    turn = TURNED[orientation]
    stored = quarters() if turn is None else quarters().transpose(turn)
    exif = Image.Exif()
    exif[0x0112] = orientation
    picture = read_image(saved(stored, "turned.png", exif=exif))
    assert picture.size == (4, 6)
    assert ImageChops.difference(picture.rgb, quarters()).getbbox() is None


def test_alpha_is_turned_with_the_picture(saved: Callable[..., str]) -> None:
    image = Image.new("RGBA", (3, 2), (9, 9, 9, 255))
    image.putpixel((0, 0), (9, 9, 9, 0))
    exif = Image.Exif()
    exif[0x0112] = 3
    picture = read_image(saved(image, "alpha.png", exif=exif))
    alpha = picture.alpha_array(2, 3)
    assert alpha is not None
    assert alpha.tolist() == [[1, 1, 1], [1, 1, 0]]


def test_a_jpeg_with_exif_orientation_is_upright(saved: Callable[..., str]) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    path = saved(Image.new("RGB", (40, 20), RED), "phone.jpg", exif=exif)
    assert read_image(path).size == (40, 20)


def test_broken_exif_does_not_spoil_a_good_image(saved: Callable[..., str]) -> None:
    path = saved(Image.new("RGB", (8, 8), RED), "exif.jpg", exif=b"Exif\0\0MM\0*\0\0\xff\xff\xff")
    assert read_image(path).size == (8, 8)


COLORS = np.array(
    [[128, 128, 128], [200, 120, 110], [90, 150, 100], [70, 80, 160], [255, 255, 255], [20, 20, 20]]
)


def colors_image() -> Image.Image:
    return Image.fromarray(COLORS[None].astype(np.uint8))


def test_a_linear_profile_is_converted_to_srgb(saved: Callable[..., str]) -> None:
    profile = icc_profile(b"RGB ", SRGB_COLORANTS, LINEAR)
    picture = read_image(saved(colors_image(), "linear.png", icc_profile=profile))
    expected = 255 * srgb_encoded(COLORS / 255)
    assert np.abs(pixels(picture)[0] - expected).max() <= 2


def test_a_display_p3_profile_is_converted_to_srgb(saved: Callable[..., str]) -> None:
    profile = icc_profile(b"RGB ", P3_COLORANTS, SRGB_CURVE)
    picture = read_image(saved(colors_image(), "p3.png", icc_profile=profile))
    to_srgb = np.linalg.inv(np.array(SRGB_COLORANTS).T) @ np.array(P3_COLORANTS).T
    expected = 255 * srgb_encoded(srgb_decoded(COLORS / 255) @ to_srgb.T)
    assert np.abs(pixels(picture)[0] - expected).max() <= 2
    # The profile must matter, or the comparison would show nothing.
    assert np.abs(pixels(picture)[0] - COLORS).max() > 8


def test_alpha_survives_a_profile(saved: Callable[..., str]) -> None:
    profile = icc_profile(b"RGB ", SRGB_COLORANTS, LINEAR)
    image = Image.new("RGBA", (2, 2), (128, 128, 128, 77))
    picture = read_image(saved(image, "linear.png", icc_profile=profile))
    assert abs(int(pixels(picture)[0, 0, 0]) - 188) <= 1
    assert picture.alpha is not None
    assert picture.alpha.getextrema() == (77, 77)


@pytest.mark.parametrize("mode", ["L", "LA", "I;16"])
def test_a_gray_profile_is_converted_to_srgb(saved: Callable[..., str], mode: str) -> None:
    profile = icc_profile(b"GRAY", (), LINEAR)
    image = {
        "L": Image.new("L", (2, 2), 128),
        "LA": Image.new("LA", (2, 2), (128, 50)),
        "I;16": Image.fromarray(np.full((2, 2), 128 * 257, np.uint16)),
    }[mode]
    picture = read_image(saved(image, "gray.png", icc_profile=profile))
    assert np.abs(pixels(picture) - 188).max() <= 1


@pytest.mark.parametrize(
    "profile",
    [b"no profile at all", icc_profile(b"RGB ", SRGB_COLORANTS, LINEAR)[:200]],
    ids=["nonsense", "truncated"],
)
def test_a_damaged_profile_counts_as_none(saved: Callable[..., str], profile: bytes) -> None:
    picture = read_image(saved(Image.new("RGB", (2, 2), RED), "odd.png", icc_profile=profile))
    assert pixels(picture)[0, 0].tolist() == list(RED)


def test_an_rgb_profile_on_a_gray_image_does_not_stop_it(saved: Callable[..., str]) -> None:
    profile = icc_profile(b"RGB ", SRGB_COLORANTS, SRGB_CURVE)
    picture = read_image(saved(Image.new("L", (2, 2), 100), "gray.jpg", icc_profile=profile))
    assert np.abs(pixels(picture) - 100).max() <= 1


def test_grayscale_becomes_equal_channels(saved: Callable[..., str]) -> None:
    picture = read_image(saved(Image.new("L", (3, 2), 77), "gray.png"))
    assert picture.alpha is None
    assert (pixels(picture) == 77).all()
    assert pixels(picture).shape == (2, 3, 3)


def test_one_bit_becomes_black_and_white(saved: Callable[..., str]) -> None:
    image = Image.new("1", (2, 1))
    image.putpixel((1, 0), 1)
    picture = read_image(saved(image, "bits.png"))
    assert pixels(picture).tolist() == [[list(BLACK), list(WHITE)]]


def palette_image() -> Image.Image:
    image = Image.new("P", (3, 1))
    image.putpalette([*RED, *GREEN, *BLUE])
    for index in range(3):
        image.putpixel((index, 0), index)
    return image


def test_a_palette_with_a_transparent_color_keeps_it(saved: Callable[..., str]) -> None:
    picture = read_image(saved(palette_image(), "palette.png", transparency=1))
    assert picture.alpha is not None
    assert np.asarray(picture.alpha).tolist() == [[255, 0, 255]]
    assert pixels(picture)[0, 0].tolist() == list(RED)
    assert pixels(picture)[0, 2].tolist() == list(BLUE)


def test_a_palette_with_graded_transparency_keeps_it(saved: Callable[..., str]) -> None:
    picture = read_image(saved(palette_image(), "palette.png", transparency=bytes([0, 128, 255])))
    assert picture.alpha is not None
    assert np.asarray(picture.alpha).tolist() == [[0, 128, 255]]
    assert pixels(picture)[0].tolist() == [list(RED), list(GREEN), list(BLUE)]


def test_a_palette_without_transparency_has_no_alpha(saved: Callable[..., str]) -> None:
    picture = read_image(saved(palette_image(), "palette.png"))
    assert picture.alpha is None
    assert pixels(picture)[0].tolist() == [list(RED), list(GREEN), list(BLUE)]


def test_gray_with_alpha_keeps_both(saved: Callable[..., str]) -> None:
    picture = read_image(saved(Image.new("LA", (2, 2), (60, 90)), "la.png"))
    assert (pixels(picture) == 60).all()
    assert picture.alpha is not None
    assert picture.alpha.getextrema() == (90, 90)


def test_rgba_keeps_colors_and_alpha(saved: Callable[..., str]) -> None:
    picture = read_image(saved(Image.new("RGBA", (2, 2), (10, 20, 30, 40)), "rgba.png"))
    assert pixels(picture)[0, 0].tolist() == [10, 20, 30]
    assert picture.alpha is not None
    assert picture.alpha.getextrema() == (40, 40)


def test_an_opaque_alpha_channel_counts_as_none(saved: Callable[..., str]) -> None:
    picture = read_image(saved(Image.new("RGBA", (2, 2), (10, 20, 30, 255)), "rgba.png"))
    assert picture.alpha is None
    assert picture.alpha_array(2, 2) is None


def test_sixteen_bit_gray_is_scaled_by_its_own_white(saved: Callable[..., str]) -> None:
    values = np.array([[0, 257, 32768, 65535, 65280]], np.uint16)
    picture = read_image(saved(Image.fromarray(values), "deep.png"))
    expected = values[0] / 65535 * 255
    assert np.abs(pixels(picture)[0] - expected[:, None]).max() <= 0.5


def test_sixteen_bit_gray_with_a_transparent_value_is_read(saved: Callable[..., str]) -> None:
    values = np.array([[0, 65535]], np.uint16)
    picture = read_image(saved(Image.fromarray(values), "deep.png", transparency=0))
    assert pixels(picture)[0].tolist() == [list(BLACK), list(WHITE)]


@pytest.mark.parametrize(
    ("ink", "color"),
    [
        ((0, 255, 255, 0), RED),
        ((255, 0, 255, 0), GREEN),
        ((0, 0, 0, 0), WHITE),
        ((0, 0, 0, 255), BLACK),
    ],
    ids=["red", "green", "white", "black"],
)
def test_a_cmyk_jpeg_has_its_colors(
    saved: Callable[..., str], ink: tuple[int, ...], color: tuple[int, ...]
) -> None:
    picture = read_image(saved(Image.new("CMYK", (16, 16), ink), "print.jpg", quality=95))
    assert np.abs(pixels(picture) - color).max() <= 3


def test_the_first_frame_of_an_animation_is_taken(saved: Callable[..., str]) -> None:
    frames = [Image.new("RGB", (8, 6), color) for color in (RED, GREEN, BLUE)]
    path = saved(frames[0], "moving.gif", save_all=True, append_images=frames[1:])
    picture = read_image(path)
    assert picture.size == (6, 8)
    assert (pixels(picture) == RED).all()


@pytest.mark.parametrize(
    ("mode", "name", "options"),
    [
        ("P", "a.png", {"transparency": bytes([0, 128, 255])}),
        ("P", "a.png", {"transparency": 1}),
        ("L", "a.png", {"transparency": 1}),
        ("P", "a.gif", {"transparency": 1}),
        ("LA", "a.png", {}),
        ("CMYK", "a.jpg", {}),
        ("1", "a.png", {}),
    ],
)
def test_no_warning_reaches_the_user(
    saved: Callable[..., str], mode: str, name: str, options: dict[str, object]
) -> None:
    image = palette_image() if mode == "P" else Image.new(mode, (3, 2))
    path = saved(image, name, **options)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        read_image(path)


def test_a_missing_file_is_wrong_usage(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"nowhere\.png: no such file"):
        read_image(str(tmp_path / "nowhere.png"))


def test_a_name_that_no_file_can_have_is_wrong_usage(tmp_path: Path) -> None:
    with pytest.raises((UsageError, ImageError)):
        read_image(str(tmp_path / ("long" * 100 + ".png")))


def test_a_path_below_a_file_is_wrong_usage(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(UsageError, match="no such file"):
        read_image(str(tmp_path / "file" / "below.png"))


def test_a_directory_is_wrong_usage(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="not a file"):
        read_image(str(tmp_path))


def test_text_is_not_an_image(tmp_path: Path) -> None:
    path = tmp_path / "text.png"
    path.write_text("This is no picture.\n" * 50)
    with pytest.raises(ImageError, match=r"text\.png: not an image"):
        read_image(str(path))


def test_a_format_that_would_start_a_program_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "drawing.png"
    path.write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\nshowpage\n%%EOF\n")
    with pytest.raises(ImageError, match="not an image"):
        read_image(str(path))


def test_an_empty_file_is_named_as_such(tmp_path: Path) -> None:
    path = tmp_path / "empty.jpg"
    path.touch()
    with pytest.raises(ImageError, match=r"empty\.jpg: the file is empty"):
        read_image(str(path))


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "tif"])
def test_a_truncated_file_is_damaged(tmp_path: Path, suffix: str) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)
    buffer = BytesIO()
    formats = {"jpg": "JPEG", "png": "PNG", "webp": "WEBP", "tif": "TIFF"}
    Image.fromarray(noise).save(buffer, formats[suffix])
    path = tmp_path / f"half.{suffix}"
    path.write_bytes(buffer.getvalue()[: len(buffer.getvalue()) // 2])
    with pytest.raises(ImageError, match="half"):
        read_image(str(path))


def test_every_message_is_one_line(tmp_path: Path) -> None:
    path = tmp_path / "text.png"
    for content in (b"", b"text", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff\xe0", b"GIF89a", b"II*\0"):
        path.write_bytes(content)
        with pytest.raises(ImageError) as caught:
            read_image(str(path))
        assert "\n" not in str(caught.value)
        assert str(path) in str(caught.value)


@pytest.mark.parametrize(
    ("width", "height"),
    [(100_000, 100_000), (20_000, 15_000)],
    ids=["far over the limit", "just over the limit"],
)
def test_a_bomb_is_refused_and_the_way_around_named(
    tmp_path: Path, width: int, height: int
) -> None:
    path = png_with_header(tmp_path / "bomb.png", width, height)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(ImageError, match=r"bomb\.png: .* pixels.*max_pixels"):
            read_image(str(path))


def test_the_limit_may_be_lifted(saved: Callable[..., str]) -> None:
    path = saved(Image.new("RGB", (40, 30)), "large.png")
    with pytest.raises(ImageError, match="more than 1199 pixels"):
        read_image(path, max_pixels=1199)
    assert read_image(path, max_pixels=1200).size == (30, 40)


def test_the_limit_may_be_lifted_above_pillows_own(
    saved: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = saved(Image.new("RGB", (40, 30)), "large.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    assert read_image(path, max_pixels=1200).size == (30, 40)
    assert Image.MAX_IMAGE_PIXELS == 100


def test_the_hash_is_the_files(saved: Callable[..., str]) -> None:
    path = saved(quarters(), "hashed.png")
    picture = read_image(path)
    assert picture.sha256 == hashlib.sha256(Path(path).read_bytes()).hexdigest()
    assert picture.path == path


def test_the_samples_are_read_by_their_names() -> None:
    for name, file in SAMPLES.items():
        picture = read_image(name)
        assert picture.path == name
        assert picture.sha256 == hashlib.sha256(file.read_bytes()).hexdigest()


def test_the_tensor_is_what_the_network_expects(saved: Callable[..., str]) -> None:
    picture = read_image(saved(quarters(), "quarters.png"))
    tensor = picture.tensor(4, 6)
    assert tensor.shape == (1, 3, 4, 6)
    assert tensor.dtype == torch.float32
    assert tensor.is_contiguous()
    assert tensor[0, :, 0, 0].tolist() == [1, 0, 0]
    assert tensor[0, :, 0, 5].tolist() == [0, 1, 0]
    assert tensor[0, :, 3, 0].tolist() == [0, 0, 1]


@pytest.mark.parametrize("size", [(2, 3), (9, 5), (64, 64), (1, 1)])
def test_a_resampled_tensor_stays_in_range(
    saved: Callable[..., str], size: tuple[int, int]
) -> None:
    tensor = read_image(saved(quarters(), "quarters.png")).tensor(*size)
    assert tensor.shape == (1, 3, *size)
    assert tensor.min() >= 0
    assert tensor.max() <= 1


def test_shrinking_is_antialiased(saved: Callable[..., str]) -> None:
    checks = np.indices((64, 64)).sum(0) % 2 * 255
    path = saved(Image.fromarray(checks.astype(np.uint8)), "checks.png")
    tensor = read_image(path).tensor(8, 8)
    assert (tensor - 0.5).abs().max() < 0.05


def test_alpha_is_resized_with_the_picture(saved: Callable[..., str]) -> None:
    image = Image.new("RGBA", (40, 20), (5, 5, 5, 255))
    image.paste((5, 5, 5, 0), (0, 0, 20, 20))
    picture = read_image(saved(image, "half.png"))
    alpha = picture.alpha_array(10, 20)
    assert alpha is not None
    assert alpha.shape == (10, 20)
    assert alpha.dtype == np.float32
    assert (alpha[:, :6] < 0.02).all()
    assert (alpha[:, -6:] > 0.98).all()
    assert alpha.min() >= 0
    assert alpha.max() <= 1


@pytest.mark.parametrize(
    ("size", "long_side", "upscale", "expected"),
    [
        ((427, 640), 320, False, (214, 320)),
        ((640, 427), 320, False, (320, 214)),
        ((427, 640), 1280, False, (427, 640)),
        ((427, 640), 1280, True, (854, 1280)),
        ((1, 1000), 10, False, (1, 10)),
        ((50, 50), 50, True, (50, 50)),
    ],
)
def test_fit_keeps_the_aspect_and_does_not_enlarge_unasked(
    size: tuple[int, int], long_side: int, upscale: bool, expected: tuple[int, int]
) -> None:
    assert fit(size, long_side, upscale) == expected
