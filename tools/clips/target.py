"""A clip to write: format, codec and size, checked before any frame is computed."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Literal

from ...core.errors import UsageError
from ...core.files import check_output
from ...core.images.files import is_folder
from ...core.outputs.targets import check_folder
from .pyav import import_av

Kind = Literal["video", "animation", "images"]

_PRINTF = re.compile(r"%0?\d*d")


@dataclass(frozen=True)
class Codec:
    """A video codec and how its encoder is used.

    - `pixel_format`, `with_alpha`: FFmpeg's names; None if it holds no transparency.
    - `crf`: default of the constant rate factor, and its largest value; None if it has none.
    - `options`: of FFmpeg's encoder; each runs in one thread, so that its output is reproducible.
    - `longest_side`: in pixels.
    """

    encoder: str
    pixel_format: str
    with_alpha: str | None
    crf: tuple[int, int] | None
    options: dict[str, str]
    longest_side: int = 16384


CODECS = {
    # Without MB-tree, whose vector code reads memory that nothing has set: its files differ.
    "h264": Codec(
        "libx264",
        "yuv420p",
        None,
        (16, 51),
        {"preset": "medium", "threads": "1", "x264-params": "mbtree=0"},
    ),
    "hevc": Codec(
        "libx265",
        "yuv420p",
        None,
        (18, 51),
        {"preset": "medium", "x265-params": "log-level=none:pools=none:frame-threads=1"},
        8192,
    ),
    "vp9": Codec(
        "libvpx-vp9",
        "yuv420p",
        "yuva420p",
        (20, 63),
        {"b": "0", "deadline": "good", "cpu-used": "2", "threads": "1"},
    ),
    "av1": Codec(
        "libsvtav1", "yuv420p", None, (20, 63), {"preset": "6", "svtav1-params": "lp=1"}, 8192
    ),
    "prores": Codec(
        "prores_ks",
        "yuv444p10le",
        "yuva444p10le",
        None,
        {"profile": "4444", "vendor": "apl0", "alpha_bits": "16", "threads": "1"},
    ),
    "ffv1": Codec(
        "ffv1", "gbrp16le", "gbrap16le", None, {"level": "3", "slicecrc": "1", "threads": "1"}
    ),
}
_OTHER_NAMES = {"h265": "hevc", "avc": "h264", "x264": "h264", "x265": "hevc"}


@dataclass(frozen=True)
class Container:
    """A container of FFmpeg's: its name, and its codecs, the first of which is the default."""

    name: str
    codecs: tuple[str, ...]


CONTAINERS = {
    ".mp4": Container("mp4", ("h264", "hevc", "av1", "vp9")),
    ".m4v": Container("mp4", ("h264", "hevc")),
    ".webm": Container("webm", ("vp9", "av1")),
    ".mov": Container("mov", ("prores", "h264", "hevc")),
    ".mkv": Container("matroska", ("h264", "hevc", "vp9", "av1", "prores", "ffv1")),
}
#: Suffix of animated images -> the longest side of one.
ANIMATIONS = {".gif": 65535, ".webp": 16383, ".png": 65535, ".apng": 65535}
#: Suffix of numbered images -> the bits of each channel, of which the first is the default.
IMAGES = {".png": (8, 16), ".tif": (16, 8), ".tiff": (16, 8)}


@dataclass(frozen=True)
class ClipTarget:
    """A clip to write, as `plan_clip` has checked it.

    - `path`: the file, or the folder and pattern of numbered images.
    - `size`: (height, width) of the frames that are added.
    - `fps`: nominal rate; the frames' own times are kept.
    - `codec`, `container`, `crf`: of a video.
    - `alpha`: whether the transparency of frames is written.
    - `bits`: of each channel, of numbered images.
    - `notices`: for the user.
    """

    path: Path
    kind: Kind
    size: tuple[int, int]
    fps: Fraction
    alpha: bool
    codec: Codec | None = None
    container: Container | None = None
    crf: int | None = None
    bits: int = 8
    notices: tuple[str, ...] = ()

    @property
    def pixel_format(self) -> str:
        """FFmpeg's pixel format of a video."""
        assert self.codec
        return (self.alpha and self.codec.with_alpha) or self.codec.pixel_format

    @property
    def coded_size(self) -> tuple[int, int]:
        """(height, width) in the file: even, if chroma has half the sides."""
        height, width = self.size
        if self.codec is None or "420" not in self.codec.pixel_format:
            return self.size
        return height + height % 2, width + width % 2


def plan_clip(
    path: str | Path,
    size: tuple[int, int],
    fps: Fraction | float | None = None,
    codec: str | None = None,
    crf: int | None = None,
    alpha: bool = False,
    bits: int | None = None,
) -> ClipTarget:
    """Check that a clip can be written, of frames of `size` (height, width).

    The suffix of `path` chooses the format: a video (.mp4, .m4v, .webm, .mov, .mkv), an animated
    image (.gif, .webp, .png, .apng), or numbered images, by a pattern (``frames/%05d.png``) or by a
    folder: a path without a suffix.

    - `codec`: one of `CODECS`; by default the container's first.
    - `crf`: the constant rate factor, 0 the best.
    - `alpha`: whether the frames have transparency.
    - `bits`: of each channel of numbered images: 8 or 16.

    Raises UsageError for a suffix, codec or value that does not exist or does not fit, and for a
    folder that has such numbered images, and OutputError for a folder that cannot be written to.
    """
    path = Path(path)
    rate = Fraction(25) if fps is None else Fraction(fps).limit_denominator(100_000)
    if rate <= 0 or rate > 1000:
        raise UsageError(f"`fps={fps}`: frames per second, above 0 and at most 1000")
    if min(size) < 1:
        raise UsageError(f"{path}: frames of {size[1]}x{size[0]} px")
    suffix = path.suffix.lower()
    if _PRINTF.search(path.name) or is_folder(str(path)) or not suffix:
        target = _images(path, size, rate, alpha, bits)
    elif suffix in CONTAINERS:
        target = _video(path, size, rate, codec, crf, alpha)
    elif suffix in ANIMATIONS:
        target = _animation(path, size, rate, alpha)
    else:
        raise UsageError(
            f"{path}: no clip has the suffix {suffix}; there is {', '.join(CONTAINERS)}, "
            f"{', '.join(ANIMATIONS)}, and numbered images, as in frames/%05d.png"
        )
    if target.kind != "video":
        for name, value in (("codec", codec), ("crf", crf)):
            if value is not None:
                raise UsageError(f"{path}: `{name}` is for videos ({', '.join(CONTAINERS)})")
    if target.kind != "images" and bits is not None:
        raise UsageError(f"{path}: `bits` is for numbered images, as in frames/%05d.png")
    return target


def _video(
    path: Path,
    size: tuple[int, int],
    fps: Fraction,
    codec_name: str | None,
    crf: int | None,
    alpha: bool,
) -> ClipTarget:
    av = import_av(path)
    container = CONTAINERS[path.suffix.lower()]
    name = (codec_name or container.codecs[0]).lower()
    name = _OTHER_NAMES.get(name, name)
    if name not in container.codecs:
        raise UsageError(
            f"{path}: `codec={codec_name}` is not for {path.suffix}, which takes "
            f"{', '.join(container.codecs)}"
        )
    codec = CODECS[name]
    try:
        av.codec.Codec(codec.encoder, "w")
    except av.codec.codec.UnknownCodecError:
        raise UsageError(
            f"{path}: this FFmpeg has no encoder {codec.encoder} for `codec={name}`; choose "
            "another, or install the PyAV of PyPI"
        ) from None
    if crf is not None and codec.crf is None:
        raise UsageError(f"{path}: `crf={crf}` has no effect with `codec={name}`")
    if crf is not None and codec.crf and not 0 <= crf <= codec.crf[1]:
        raise UsageError(f"{path}: `crf={crf}`: from 0, the best, to {codec.crf[1]}")
    if max(size) > codec.longest_side:
        raise UsageError(f"{path}: {name} holds at most {codec.longest_side} px, not {max(size)}")
    check_output(path)
    check_folder(path, needed=size[0] * size[1])
    used_crf = crf if crf is not None else codec.crf[0] if codec.crf else None
    target = ClipTarget(
        path, "video", size, fps, alpha and codec.with_alpha is not None, codec, container, used_crf
    )
    notices = []
    if alpha and not target.alpha:
        notices.append(f"{path}: {name} in {path.suffix} holds no transparency")
    height, width = target.coded_size
    if (height, width) != size:
        notices.append(
            f"{path}: written with {width}x{height} px instead of {size[1]}x{size[0]}, the last "
            f"column or row twice: {name} needs even sides"
        )
    return replace(target, notices=tuple(notices))


def _animation(path: Path, size: tuple[int, int], fps: Fraction, alpha: bool) -> ClipTarget:
    import_av(path)
    longest = ANIMATIONS[path.suffix.lower()]
    if max(size) > longest:
        raise UsageError(f"{path}: {path.suffix} holds at most {longest} px, not {max(size)}")
    check_output(path)
    check_folder(path, needed=size[0] * size[1])
    return ClipTarget(path, "animation", size, fps, alpha)


def _images(
    path: Path, size: tuple[int, int], fps: Fraction, alpha: bool, bits: int | None
) -> ClipTarget:
    if not _PRINTF.search(path.name):
        path = path / "%05d.png"
    if len(_PRINTF.findall(path.name)) != 1 or "%" in _PRINTF.sub("", path.name):
        raise UsageError(f"{path}: a pattern has one number, as in frames/%05d.png")
    known = IMAGES.get(path.suffix.lower())
    if known is None:
        raise UsageError(f"{path}: numbered images are {', '.join(IMAGES)}, as in frames/%05d.png")
    if bits is not None and bits not in known:
        raise UsageError(f"{path}: `bits={bits}`: 8 or 16")
    folder = path.parent
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"{path}: {folder} is no folder")
    check_folder(folder if not folder.exists() else path, needed=3 * size[0] * size[1])
    if folder.exists():
        before, after = _PRINTF.split(path.name)
        name = re.compile(re.escape(before) + r"\d+" + re.escape(after))
        former = next((file for file in folder.iterdir() if name.fullmatch(file.name)), None)
        if former:
            raise UsageError(
                f"{path}: {folder} has numbered images already, such as {former.name}; name "
                "another folder, or delete them"
            )
    return ClipTarget(path, "images", size, fps, alpha, bits=bits or known[0])
