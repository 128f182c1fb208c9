"""Images that are damaged, odd or not what their names say, wherever an image can be given."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Mapping
from dataclasses import replace
from io import BytesIO
from random import Random
from typing import Any

import numpy as np
import tifffile
from PIL import Image, PngImagePlugin

from ..judge import Attempt, Fault, digest_of_pixels, judged
from ..place import Place
from .mutations import DAMAGES, cut
from .samples import SMALL, with_copies, with_images

_SIDES = (37, 24)


def attempt_image(random: Random, place: Place) -> Attempt:
    """Give a damaged or an odd image as a content or style image, or as a job."""
    return _attempt(random, place, IMAGE_ROLES)


def attempt_mask(random: Random, place: Place) -> Attempt:
    """Give a damaged or an odd image as a mask or a map of regions."""
    return _attempt(random, place, MASK_ROLES)


def _attempt(random: Random, place: Place, roles: Roles) -> Attempt:
    with_images(place)
    with_copies(place, "out.png")
    maker = random.choice(IMAGES)
    suffix, data = maker(random)
    whole, damage = data, "whole"
    if random.random() < 0.85:
        mutation = random.choice(DAMAGES)
        damage, data = mutation.__name__, mutation(random, data)
    suffix = random.choice([suffix] * 9 + [".png", ".jpg", ".tif", ".txt", ""])
    bad = f"bad{suffix}"
    (place.work / bad).write_bytes(data)
    role = random.choice(list(roles))
    before = place.files()
    arguments = roles[role](bad)
    outcome = place.run(*arguments)
    outputs = ["out.png"] if "out.png" in arguments else []
    what = f"{maker.__name__.strip('_')}, {damage}, as {role} {bad}"
    result = judged(what, place, before, outcome, outputs, ["out/*.png", "out/*/*.png"])
    if damage == cut.__name__ and outcome.code == 0 and outputs and role != "style folder":
        shown = digest_of_pixels(place.work / "out.png")
        (place.work / bad).write_bytes(whole)
        if place.run(*arguments).code == 0 and digest_of_pixels(place.work / "out.png") != shown:
            fault = Fault("wrong", "a cut file is taken, and gives other pixels than the whole one")
            result = replace(result, faults=(*result.faults, fault))
    return result


def _run(*arguments: str) -> tuple[str, ...]:
    return ("run", *arguments, *SMALL, "-o", "out.png", "--metadata", "none")


#: What an image is given as -> the arguments of the program.
Roles = Mapping[str, Callable[[str], tuple[str, ...]]]

IMAGE_ROLES: Roles = {
    "content": lambda bad: _run(bad, "painting.png"),
    "style": lambda bad: _run("photo.png", bad),
    "both": lambda bad: _run(bad, bad),
    "texture": lambda bad: (
        "run",
        "--texture",
        bad,
        *SMALL[2:],
        "--size",
        "32x24",
        "-o",
        "out.png",
    ),
    "style folder": lambda bad: _run("photo.png", "."),
    "start": lambda bad: _run("photo.png", "painting.png", "--init", f"./{bad}"),
    "colors": lambda bad: _run("photo.png", bad, "--color", "covariance"),
    "kept profile": lambda bad: _run(bad, "painting.png", "--color-profile", "keep"),
    "contents of a batch": lambda bad: (
        *("batch", "--contents", ".", "--styles", "painting.png", "-o", "out"),
        *SMALL,
    ),
    "job": lambda bad: _run("--job", bad),
    "result": lambda bad: ("show", bad),
    "result as JSON": lambda bad: ("show", bad, "--json"),
}

MASK_ROLES: Roles = {
    "style mask": lambda bad: _run("photo.png", "painting.png", "--style-mask", bad),
    "content mask": lambda bad: _run("photo.png", "painting.png", "--content-mask", bad),
    "content map": lambda bad: _run("photo.png", "painting.png", "--regions", bad, "map.png"),
    "style map": lambda bad: _run("photo.png", "painting.png", "--regions", "map.png", bad),
    "both maps": lambda bad: _run("photo.png", "painting.png", "--regions", bad, bad),
}


def _array(random: Random, *shape: int, top: int = 255) -> np.ndarray:
    noise = np.random.default_rng(random.getrandbits(32))
    return noise.integers(0, top, (_SIDES[1], _SIDES[0], *shape), endpoint=True)


def _pillow(random: Random, mode: str, kind: str, **options: Any) -> bytes:
    buffer = BytesIO()
    image = Image.fromarray(_array(random, 3).astype(np.uint8))
    if mode == "RGBA":
        image.putalpha(Image.fromarray(_array(random).astype(np.uint8)))
    else:
        image = image.convert(mode)
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def _tiff(array: np.ndarray, **options: Any) -> bytes:
    buffer = BytesIO()
    tifffile.imwrite(buffer, array, **options)
    return buffer.getvalue()


def png(random: Random) -> tuple[str, bytes]:
    """PNG in any mode, with a record as text, or with a profile that is none."""
    mode = random.choice(["RGB", "RGBA", "L", "LA", "P", "1", "I;16"])
    if mode == "I;16":
        buffer = BytesIO()
        Image.fromarray(_array(random, top=65535).astype(np.uint16)).save(buffer, "PNG")
        return ".png", buffer.getvalue()
    text = PngImagePlugin.PngInfo()
    text.add_text("stylectl", '{"format": 3, "job": {"size": 32}}', zip=random.random() < 0.5)
    options: dict[str, Any] = random.choice(
        [{}, {"pnginfo": text}, {"icc_profile": random.randbytes(300)}, {"transparency": 0}]
    )
    if mode in ("RGBA", "LA", "RGB"):
        options.pop("transparency", None)
    return ".png", _pillow(random, mode, "PNG", **options)


def jpeg(random: Random) -> tuple[str, bytes]:
    """JPEG: progressive or not, of three inks or four, with EXIF data."""
    exif = Image.Exif()
    exif[0x0112] = random.choice([1, 6, 9, 200])
    exif[0x8298] = "a\x1b[31mb\0c" * random.choice([1, 900])
    mode = random.choice(["RGB", "L", "CMYK"])
    progressive = random.random() < 0.5
    return ".jpg", _pillow(random, mode, "JPEG", progressive=progressive, exif=exif)


def webp(random: Random) -> tuple[str, bytes]:
    """WebP, with and without loss, transparency and frames."""
    frames = [Image.new("RGBA", _SIDES, (9, 99, 199, 99)) for _ in range(random.choice([0, 2]))]
    options = {"lossless": random.random() < 0.5, "append_images": frames}
    mode = random.choice(["RGB", "RGBA"])
    return ".webp", _pillow(random, mode, "WEBP", save_all=bool(frames), **options)


def gif(random: Random) -> tuple[str, bytes]:
    """GIF with one frame or several."""
    frames = [Image.new("RGB", _SIDES, "red") for _ in range(random.choice([0, 3]))]
    return ".gif", _pillow(random, "P", "GIF", save_all=bool(frames), append_images=frames)


def tiff(random: Random) -> tuple[str, bytes]:
    """TIFF of any number format, planar or not, in strips or tiles, with several pages."""
    channels = random.choice([(), (1,), (2,), (3,), (4,), (5,)])
    kind = random.choice(["u1", "u2", "u4", "i2", "f2", "f4", "f8"])
    top = {"u1": 255, "u2": 65535, "u4": 2**32 - 1, "i2": 32767}.get(kind, 255)
    array = _array(random, *channels, top=top)
    values = (array / random.choice([1, 255]) if kind[0] == "f" else array).astype(kind)
    if kind[0] == "f" and random.random() < 0.3:
        values.flat[3] = random.choice([np.nan, np.inf, -6e4])
    options: dict[str, Any] = {"photometric": "rgb" if channels in ((3,), (4,)) else "minisblack"}
    if channels == () and random.random() < 0.3:
        options["photometric"] = "miniswhite"
    if channels in ((3,), (4,)) and random.random() < 0.4:
        values, options["planarconfig"] = np.moveaxis(values, 2, 0).copy(), "separate"
    if random.random() < 0.3:
        options["tile"] = (16, 16)
    elif random.random() < 0.5:
        options["rowsperstrip"] = random.choice([1, 7])
    options["compression"] = random.choice([None, None, "zlib", "adobe_deflate"])
    options["byteorder"] = random.choice("<>")
    options["bigtiff"] = random.random() < 0.2
    return random.choice([".tif", ".tiff"]), _tiff(values, **options)


def plain(random: Random) -> tuple[str, bytes]:
    """BMP, PPM and Pillow's TIFF in its compressions."""
    mode = random.choice(["RGB", "L", "1", "P"])
    match random.choice(["BMP", "PPM", "TIFF"]):
        case "BMP":
            return ".bmp", _pillow(random, mode, "BMP")
        case "PPM":
            return ".ppm", _pillow(random, "RGB" if mode == "P" else mode, "PPM")
    compression = random.choice(["raw", "tiff_lzw", "packbits", "tiff_adobe_deflate"])
    return ".tif", _pillow(random, mode, "TIFF", compression=compression)


def avif(random: Random) -> tuple[str, bytes]:
    """AVIF."""
    return ".avif", _pillow(random, "RGB", "AVIF")


def huge_png(random: Random) -> tuple[str, bytes]:
    """A small PNG of many pixels, or one that only says that it has them."""
    side = random.choice([5000, 16384, 30000, 2**31 - 1])
    depth, color, width = random.choice([(8, 2, 3), (16, 2, 6), (1, 0, 1), (8, 3, 1)])
    rows = min(side, 3000) if random.random() < 0.5 else 3
    row = bytes(1 + min(side, 30000) * width) if depth >= 8 else bytes(1 + min(side, 30000) // 8)
    packed = zlib.compressobj(9)
    body = b"".join([*(packed.compress(row) for _ in range(rows)), packed.flush()])
    header = struct.pack(">IIBBBBB", side, side, depth, color, 0, 0, 0)
    chunks = [_chunk(b"IHDR", header), _chunk(b"IDAT", body), _chunk(b"IEND", b"")]
    if color == 3:
        chunks.insert(1, _chunk(b"PLTE", bytes(768)))
    return ".png", b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def text_bomb(random: Random) -> tuple[str, bytes]:
    """A PNG whose compressed text is 50 MB long."""
    _, data = png(random)
    packed = zlib.compress(b"[" * 50_000_000)
    return ".png", data[:33] + _chunk(b"zTXt", b"stylectl\0\0" + packed) + data[33:]


def _chunk(kind: bytes, content: bytes) -> bytes:
    return (
        struct.pack(">I", len(content))
        + kind
        + content
        + struct.pack(">I", zlib.crc32(kind + content))
    )


#: Makers of images: each returns a suffix and the file.
IMAGES: tuple[Callable[[Random], tuple[str, bytes]], ...] = (
    *(png, png, png, jpeg, jpeg, webp, gif, tiff, tiff, tiff, tiff, plain, plain),
    *(avif, huge_png, text_bomb),
)
