"""Records in clips: JSON in the metadata of videos and of animated images."""

from __future__ import annotations

import html
import re
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ...core.errors import ImageError, UsageError
from ...core.interfaces.writer import RECORD_KEY
from ...core.outputs.record import parsed_record
from ...core.outputs.record import read_record as read_result_record
from .pyav import head_of, opened_video
from .reading.animation import is_animation
from .target import CONTAINERS

_PNG = b"\x89PNG\r\n\x1a\n"
_XMP = (
    '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf='
    '"http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description xmlns:stylectl='
    '"https://stylectl.invalid/" stylectl:record="{}"/></rdf:RDF></x:xmpmeta>'
)
_IN_XMP = re.compile(r'stylectl:record="([^"]*)"')
#: Flag of XMP in the header of a WebP.
_XMP_FLAG = 4


def read_record(path: str | Path) -> str | None:
    """Return the record in a video, an animated image or the first of numbered images.

    None if it has none. Raises UsageError for a missing file, and ImageError for one that cannot be
    read.
    """
    path = Path(path)
    head = head_of(str(path), 16)
    if not is_animation(head):
        with opened_video(str(path)) as container:
            metadata = {key.lower(): text for key, text in container.metadata.items()}
            return metadata.get(RECORD_KEY)
    from PIL import Image

    from ...core.images.formats.pillow_limits import unlimited_pillow

    try:
        with unlimited_pillow(), Image.open(path, formats=("GIF", "WEBP", "PNG")) as image:
            text = image.info.get(RECORD_KEY) or image.info.get("comment")
            xmp = image.info.get("xmp")
    except (OSError, SyntaxError, ValueError) as error:
        raise ImageError(f"{path}: cannot be read ({error})") from None
    if isinstance(xmp, bytes) and (match := _IN_XMP.search(xmp.decode("utf-8", "replace"))):
        return html.unescape(match[1])
    if isinstance(text, bytes):
        text = text.decode("utf-8", "replace")
    return text if isinstance(text, str) and text.startswith("{") else None


def read_any_record(path: Path) -> dict[str, Any]:
    """Return the record in a result or a clip that stylectl wrote, as plain values.

    Raises UsageError for a file without one, and ImageError for a clip that cannot be read.
    """
    if not is_clip(path):
        return read_result_record(path)
    text = read_record(path)
    if text is None:
        raise UsageError(f"{path}: contains no stylectl record")
    return parsed_record(text, path)


def is_clip(path: Path) -> bool:
    """Return whether the suffix of a file is that of a clip with a record that is no PNG."""
    return path.suffix.lower() in (*CONTAINERS, ".gif", ".webp", ".apng")


def write_record(file: Path, record: str) -> None:
    """Insert a record into an animated GIF, WebP or PNG that has none. Raises OSError."""
    data = file.read_bytes()
    insert: Callable[[bytes, str], bytes]
    if data.startswith(b"GIF"):
        insert = _into_gif
    elif data.startswith(_PNG):
        insert = _into_png
    else:
        insert = _into_webp
    file.write_bytes(insert(data, record))


def _into_gif(data: bytes, record: str) -> bytes:
    """Insert a comment extension after the screen's descriptor and its palette (GIF89a)."""
    flags = data[10]
    start = 13 + (3 << ((flags & 7) + 1) if flags & 0x80 else 0)
    text = record.encode()
    blocks = [text[place : place + 255] for place in range(0, len(text), 255)]
    comment = b"".join(bytes([len(block)]) + block for block in blocks)
    return data[:start] + b"\x21\xfe" + comment + b"\0" + data[start:]


def _into_png(data: bytes, record: str) -> bytes:
    """Insert a text chunk after the header, IHDR (PNG, Third Edition)."""
    start = len(_PNG) + 12 + 13
    body = b"iTXt" + RECORD_KEY.encode() + b"\0\0\0\0\0" + record.encode()
    chunk = struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body))
    return data[:start] + chunk + data[start:]


def _into_webp(data: bytes, record: str) -> bytes:
    """Append an XMP chunk and set its flag in the header, VP8X (WebP Container Specification)."""
    if data[12:16] != b"VP8X":
        raise OSError("the WebP has no extended header")
    body = _XMP.format(html.escape(record, quote=True)).encode()
    chunk = b"XMP " + struct.pack("<I", len(body)) + body + b"\0" * (len(body) % 2)
    parts = bytearray(data + chunk)
    parts[20] |= _XMP_FLAG
    parts[4:8] = struct.pack("<I", len(parts) - 8)
    return bytes(parts)
