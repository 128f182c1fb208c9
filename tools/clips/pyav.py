"""PyAV, the optional extra `video`, and the formats of FFmpeg that are read by it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from ...core.errors import ImageError, UsageError
from ...core.files import no_such, status_of
from ...core.shown import one_line

if TYPE_CHECKING:
    from av.container import InputContainer

#: Formats of FFmpeg that open other files or addresses, devices, still images and text.
_REFUSED = frozenset(
    (
        *("concat", "concatf", "hls", "dash", "imf", "webm_dash_manifest", "sdp", "rtsp", "rtp"),
        *("sap", "smoothstreaming", "image2", "image2pipe", "avs", "avisynth", "vapoursynth"),
        *("lavfi", "alsa", "fbdev", "kmsgrab", "video4linux2,v4l2", "x11grab", "xbin", "tty"),
        *("bin", "adf", "idf", "vobsub", "ffmetadata", "tedcaptions"),
    )
)
#: First characters of files that name other files.
_PLAYLISTS = ("#extm3u", "ffconcat", "v=0", "[playlist]", "[reference]", "<asx", "rtsptext")
_HEAD = 512


def import_av(path: object) -> Any:
    """Return the package `av`. Raises UsageError, which names the clip, if it is not installed."""
    try:
        import av
    except ImportError as error:
        raise UsageError(
            f'{path}: videos need PyAV ({error}); install it: pip install "stylectl[video]"'
        ) from None
    return av


@contextmanager
def opened_video(path: str) -> Iterator[InputContainer]:
    """Open a video file, which can open no other file and no address.

    Raises UsageError for a file that is missing, and ImageError for one that is not a video or that
    FFmpeg cannot read; errors of FFmpeg in the context become ImageErrors as well.
    """
    av = import_av(path)
    _check_head(path)
    try:
        # An open file, not its name: FFmpeg would take `http:` or `concat:` in it for a protocol.
        with (
            Path(path).open("rb") as file,
            av.open(
                file,
                "r",
                options={"format_whitelist": _formats(av), "protocol_whitelist": "none"},
                metadata_errors="replace",
                io_open=_refuse,
            ) as container,
        ):
            yield container
    except av.FFmpegError as error:
        raise ImageError(f"{path}: not a video that FFmpeg reads ({reason(error)})") from None
    except OSError as error:
        raise ImageError(f"{path}: cannot be read ({error.strerror or error})") from None


def reason(error: BaseException) -> str:
    """Return FFmpeg's reason in one line."""
    return one_line(str(getattr(error, "strerror", None) or error))


def _formats(av: Any) -> str:
    """Return the formats that may be read; those with a comma are several names of one."""
    names: set[str] = set()
    for name in av.formats_available - _REFUSED:
        if not name.endswith("_pipe"):
            names.update(name.split(","))
    return ",".join(sorted(names))


def _refuse(url: str, *_: object) -> NoReturn:
    raise PermissionError(f"the file names another one, {one_line(url)}")


def _check_head(path: str) -> None:
    if status_of(Path(path)) is None:
        raise UsageError(no_such("clip", path))
    head = head_of(path, _HEAD)
    if not head:
        raise ImageError(f"{path}: the file is empty")
    text = head.decode("utf-8", "replace").lstrip("\ufeff \t\r\n").lower()
    is_list = text.startswith(_PLAYLISTS) or ("<mpd" in text or "<smil" in text)
    if is_list:
        raise ImageError(
            f"{path}: a playlist, which names other files or addresses; name the video itself"
        )


def head_of(path: str, size: int) -> bytes:
    """Return the first bytes of a file. Raises UsageError for a missing one, or for a folder."""
    if not Path(path).is_file():
        raise UsageError(f"{path}: not a file" if status_of(Path(path)) else no_such("clip", path))
    try:
        with Path(path).open("rb") as file:
            return file.read(size)
    except OSError as error:
        raise ImageError(f"{path}: cannot be read ({error.strerror})") from None
