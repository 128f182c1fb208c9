"""Large images: converted strip by strip to the same pixels, kept at the sizes that are used."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import stylectl
import torch
from PIL import Image, ImageCms
from stylectl.core.errors import MemoryLimitError
from stylectl.core.images import masks
from stylectl.core.images.decoding import read_image
from stylectl.core.images.formats import strips
from stylectl.core.images.masks import mask_of
from stylectl.core.images.reduction import AsMap, AsMask, AtSizes
from stylectl.core.images.region_maps import region_map
from stylectl.core.interfaces.source_image import SourceImage
from stylectl.core.job.paths import SAMPLES
from stylectl.core.machine import host_memory

WIDTH, HEIGHT = 331, 267

MODES = ["RGB", "L", "1", "P", "RGBA", "LA", "CMYK", "I;16", "F"]


def photo(mode: str) -> Image.Image:
    image = Image.open(SAMPLES["sample:photo"]).convert("RGB").resize((WIDTH, HEIGHT))
    if mode in ("RGBA", "LA"):
        image.putalpha(Image.linear_gradient("L").resize(image.size))
    if mode in ("I;16", "F"):
        gray = np.asarray(image.convert("L"))
        return Image.fromarray(
            gray.astype(np.uint16) * 257 if mode == "I;16" else gray.astype(np.float32) / 255
        )
    return image.convert(mode)


def reversed_profile() -> bytes:
    """The profile of sRGB with red and green exchanged."""
    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    red, green = profile.index(b"rXYZ"), profile.index(b"gXYZ")
    profile[red : red + 4], profile[green : green + 4] = b"gXYZ", b"rXYZ"
    return bytes(profile)


@pytest.fixture
def of_few_rows(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Make strips of few rows, as those of very wide images are."""
    return lambda: monkeypatch.setattr(strips, "_STRIP_PIXELS", 7 * WIDTH)


@pytest.mark.parametrize("orientation", [1, 2, 3, 4, 5, 6, 7, 8])
@pytest.mark.parametrize("mode", MODES)
def test_strips_give_the_pixels_of_the_whole(
    mode: str, orientation: int, tmp_path: Path, of_few_rows: Callable[[], None]
) -> None:
    exif = Image.Exif()
    exif[0x112] = orientation
    profile = reversed_profile() if mode == "RGB" else None
    path = str(tmp_path / "image.tif")
    photo(mode).save(path, exif=exif, icc_profile=profile)
    plain = read_image(path)
    of_few_rows()
    in_strips = read_image(path)
    assert plain.rgb.tobytes() == in_strips.rgb.tobytes()
    assert (plain.alpha is None) == (in_strips.alpha is None) == (mode not in ("RGBA", "LA"))
    if plain.alpha and in_strips.alpha:
        assert plain.alpha.tobytes() == in_strips.alpha.tobytes()
    assert in_strips.size == ((HEIGHT, WIDTH) if orientation < 5 else (WIDTH, HEIGHT))


@pytest.mark.parametrize("orientation", [1, 6])
@pytest.mark.parametrize("mode", ["RGB", "L", "P", "CMYK", "I;16", "F"])
def test_an_image_that_is_kept_at_the_sizes_in_use_has_the_same_pixels_there(
    mode: str, orientation: int, tmp_path: Path, of_few_rows: Callable[[], None]
) -> None:
    exif = Image.Exif()
    exif[0x112] = orientation
    path = str(tmp_path / "image.tif")
    photo(mode).save(path, exif=exif)
    of_few_rows()
    sizes = [(80, 64), (40, 32), (33, 51)]
    kept, plain = read_image(path, use=AtSizes(lambda _: sizes)), read_image(path)
    assert kept.size == plain.size
    assert max(kept.rgb.size) == 80
    for size in sizes:
        assert torch.equal(kept.tensor(*size), plain.tensor(*size))


def test_a_result_of_a_large_image_is_the_same_to_the_bit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Image.open(SAMPLES["sample:photo"]).resize((700, 500)).save("photo.png")
    Image.open(SAMPLES["sample:painting"]).resize((500, 700)).save("painting.png")

    def paint(color: str) -> np.ndarray:
        return stylectl.run(
            content="photo.png",
            styles=["painting.png"],
            style_size=[0.5],
            size=96,
            iterations=3,
            color=color,
            device="cpu",
            style_layers=["relu1_1", "relu2_1"],
            content_layers=["relu2_1"],
        ).image

    for color in ("style", "histogram", "luminance"):
        kept = paint(color)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("stylectl.core.images.reduction._LEAST_RATIO", 10**9)
            assert np.array_equal(kept, paint(color))


@pytest.mark.parametrize("form", ["map.png", "map.gif"])
def test_the_transparent_color_of_a_palette_is_no_region(form: str, tmp_path: Path) -> None:
    image = Image.new("P", (60, 40), 0)
    image.putpalette([255, 0, 0, 0, 0, 255, 0, 255, 0])
    image.paste(1, (20, 0, 40, 40))
    image.paste(2, (40, 0, 60, 40))
    path = str(tmp_path / form)
    image.save(path, transparency=2)
    read = region_map(read_image(path, use=AsMap()))
    assert set(read.colors) == {(255, 0, 0), (0, 0, 255)}
    assert (read.labels[:, 40:] == 255).all()


def test_a_transparent_color_stays_transparent(tmp_path: Path) -> None:
    image = Image.new("RGB", (60, 40), (9, 99, 200))
    image.paste((1, 2, 3), (30, 0, 60, 40))
    path = str(tmp_path / "cut.png")
    image.save(path, transparency=(1, 2, 3))
    alpha = read_image(path).alpha
    assert alpha is not None
    assert alpha.crop((0, 0, 30, 40)).getextrema() == (255, 255)
    assert alpha.crop((30, 0, 60, 40)).getextrema() == (0, 0)


@pytest.mark.parametrize("kind", ["mask", "mask of 0 and 1", "palette", "alpha"])
def test_a_mask_in_a_small_mode_is_that_of_its_colors(kind: str, tmp_path: Path) -> None:
    shape = np.zeros((60, 90), np.uint8)
    shape[10:50, 30:70] = 1
    image = Image.fromarray(shape * 255 if kind == "mask" else shape)
    if kind == "palette":
        image.putpalette([0, 0, 0, 210, 40, 40])
    if kind == "alpha":
        image = Image.new("RGBA", image.size, (255, 255, 255, 255))
        image.putalpha(Image.fromarray(shape * 255))
    path = str(tmp_path / "mask.png")
    image.save(path)
    values, _ = mask_of(read_image(path, use=AsMask(64)), 64)
    assert np.array_equal(values.numpy(), shape.astype(np.float32))


def test_a_large_mask_is_the_mean_of_squares(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stylectl.core.images.reduction._LEAST_SIDE", 40)
    shape = np.zeros((90, 120), np.uint8)
    shape[:, 31:] = 255
    path = str(tmp_path / "mask.png")
    Image.fromarray(shape).save(path)
    values, _ = mask_of(read_image(path, use=AsMask(20)), 20)
    assert values.shape == (30, 40)
    assert torch.allclose(values[:, 9:12], torch.tensor([0.0, 2 / 3, 1.0]))
    whole = mask_of(read_image(path))[0]
    expected, reduced = (masks.resized(mask, 15, 20) for mask in (whole, values))
    assert torch.allclose(expected, reduced, atol=1e-6)  # float32


def test_a_large_image_with_transparency_is_reduced_by_what_is_visible(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stylectl.core.images.reduction._LEAST_SIDE", 40)
    pixels = np.zeros((80, 120, 4), np.uint8)
    pixels[..., :3] = (200, 100, 50)
    pixels[..., 3] = 255
    pixels[:, 61:] = (0, 255, 0, 0)  # hidden
    path = str(tmp_path / "cut.png")
    Image.fromarray(pixels).save(path)
    read = read_image(path, use=AtSizes(lambda _: [(13, 20)]))
    assert (read.rgb.size, read.size) == ((40, 27), (80, 120))
    assert read.alpha is not None
    assert [read.alpha.getpixel((x, 5)) for x in (19, 20, 21)] == [255, 85, 0]
    color = np.asarray(read.rgb)[5, 20].astype(int)
    assert np.abs(color - [200, 100, 50]).max() <= 2  # 8 bits, multiplied by an opacity of a third


def jpeg(path: Path, orientation: int = 1) -> SourceImage:
    exif = Image.Exif()
    exif[0x112] = orientation
    image = Image.open(SAMPLES["sample:photo"]).convert("RGB").resize((4800, 3200))
    image.save(path, exif=exif)
    return read_image(str(path))


@pytest.mark.parametrize("orientation", [1, 6])
@pytest.mark.parametrize(("free", "divisor"), [(200, 1), (60, 2), (35, 4)])
def test_a_jpeg_is_decoded_at_the_largest_size_that_fits(
    free: int,
    divisor: int,
    orientation: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    plain = jpeg(tmp_path / "photo.jpg", orientation)
    monkeypatch.setattr("stylectl.core.images.formats.limits._LITTLE", 1)
    monkeypatch.setattr(host_memory, "free_bytes", lambda: free * 10**6)
    size = (160, 240) if orientation == 1 else (240, 160)
    read = read_image(str(tmp_path / "photo.jpg"), use=AtSizes(lambda _: [size]))
    decoded = f"decoded at {4800 // divisor}x{3200 // divisor} of 4800x3200 px"
    assert [notice for notice in read.notices if decoded in notice] == (
        list(read.notices) if divisor > 1 else []
    )
    assert len(read.notices) == (divisor > 1)
    assert read.size == plain.size
    # Decoders average in frequencies, so pixels differ a little; a wrong scale would cut the image.
    assert (read.tensor(*size) - plain.tensor(*size)).abs().mean() < 0.01


def test_a_jpeg_is_not_decoded_at_less_than_twice_what_is_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    jpeg(tmp_path / "photo.jpg")
    monkeypatch.setattr(host_memory, "free_bytes", lambda: 51 * 10**6)
    with pytest.raises(MemoryLimitError, match=r"photo\.jpg: decoding 4800x3200 px takes about"):
        read_image(str(tmp_path / "photo.jpg"), use=AtSizes(lambda _: [(1000, 1500)]))
