from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pytest
import tifffile
from PIL import Image, ImageCms
from stylectl.core.interfaces.result import Result

Write = Callable[..., Path]


@pytest.mark.parametrize(
    ("bits", "kind", "largest"),
    [(8, np.uint8, 255), (16, np.uint16, 65535), (32, np.float32, None)],
)
@pytest.mark.parametrize("suffix", [".tif", ".tiff"])
def test_each_kind_of_number(
    result: Result, write: Write, bits: int, kind: type, largest: int | None, suffix: str
) -> None:
    found = tifffile.imread(write(result, f"out{suffix}", {"bits": bits}))
    assert found.dtype == kind
    expected = np.rint(result.image * np.float32(largest)) if largest else result.image
    assert np.array_equal(found, expected)


def test_another_decoder_sees_the_same(result: Result, write: Write) -> None:
    with av.open(str(write(result, "out.tif"))) as container:
        (frame,) = container.decode(video=0)
        assert frame.format.name == "rgb48le"
        found = frame.to_ndarray()
    assert np.array_equal(found, np.rint(result.image * np.float32(65535)).astype(np.uint16))


def test_its_tags(clear_result: Result, write: Write) -> None:
    with tifffile.TiffFile(write(clear_result, "out.tif")) as file:
        (page,) = file.pages
        assert isinstance(page, tifffile.TiffPage)
        assert page.photometric == tifffile.PHOTOMETRIC.RGB
        assert page.compression == tifffile.COMPRESSION.ADOBE_DEFLATE
        assert [int(each) for each in page.extrasamples] == [tifffile.EXTRASAMPLE.UNASSALPHA]
        assert page.software == "stylectl 0.1.0"
        assert page.description.isascii()
        assert json.loads(page.description)["job"]["content"] == "photo.jpg"
        profile = page.tags["InterColorProfile"].value
    assert "sRGB" in ImageCms.getProfileDescription(
        ImageCms.ImageCmsProfile(io.BytesIO(bytes(profile)))
    )


def test_transparency_is_kept(clear_result: Result, write: Write) -> None:
    found = tifffile.imread(write(clear_result, "out.tif"))
    assert (found[:, :20, 3] == 0).all()
    assert (found[:, 20:, 3] == 49151).all()
    assert (found[:, :20, 1] > 0).any()  # unassociated: the color below is not lost


def test_pillow_reads_eight_bits(clear_result: Result, write: Write) -> None:
    with Image.open(write(clear_result, "out.tif", {"bits": 8})) as image:
        assert image.mode == "RGBA"
        assert np.asarray(image)[0, 30, 3] == 191


def test_the_same_picture_gives_the_same_file(
    result: Result, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = write(result, "first.tif").read_bytes()
    monkeypatch.setenv("TZ", "Pacific/Auckland")
    assert write(result, "second.tif").read_bytes() == first
