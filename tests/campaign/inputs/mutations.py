"""Damage to files: each function returns other bytes than those that it gets."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

#: First bytes of files of many kinds.
HEADERS = (
    *(b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff\xe0", b"GIF89a", b"II*\0", b"MM\0*", b"BM", b"P6\n"),
    *(b"RIFF\0\0\0\0WEBP", b"%PDF-1.7\n", b"%!PS-Adobe", b"PK\3\4", b"\x80\4.", b"\x7fELF"),
    *(b"\0\0\0\x20ftypavif", b"\x93NUMPY\1\0", b"<svg>", b"\x1f\x8b", b"\xff\xfe", b"#!/bin/sh\n"),
)


def cut(random: Random, data: bytes) -> bytes:
    """Cut at any byte."""
    return data[: random.randrange(len(data))]


def flipped(random: Random, data: bytes) -> bytes:
    """Change up to twenty bytes."""
    changed = bytearray(data)
    for _ in range(random.randint(1, 20)):
        changed[random.randrange(len(data))] = random.randrange(256)
    return bytes(changed)


def flipped_at_the_start(random: Random, data: bytes) -> bytes:
    """Change up to eight of the first 200 bytes, where headers are."""
    return flipped(random, data[:200]) + data[200:]


def extreme_number(random: Random, data: bytes) -> bytes:
    """Replace four of the first 300 bytes by a number such as a size might be."""
    at = random.randrange(min(300, len(data)))
    number = random.choice([0, 1, 0x7FFFFFFF, 0xFFFFFFFF, 0x80000000, 65536, 30000, 16384])
    order = random.choice(["little", "big"])
    return data[:at] + number.to_bytes(4, order) + data[at + 4 :]  # type: ignore[arg-type]


def spliced(random: Random, data: bytes) -> bytes:
    """Delete, repeat or move a slice."""
    start, end = sorted(random.randrange(len(data) + 1) for _ in range(2))
    at = random.randrange(len(data) + 1)
    without = data[:start] + data[end:]
    return random.choice(
        [without, data[:end] + data[start:], data[:at] + data[start:end] + data[at:]]
    )


def blanked(random: Random, data: bytes) -> bytes:
    """Zero a range."""
    start, end = sorted(random.randrange(len(data) + 1) for _ in range(2))
    return data[:start] + bytes(end - start) + data[end:]


def disguised(random: Random, data: bytes) -> bytes:
    """Replace the first bytes by those of another kind of file."""
    header = random.choice(HEADERS)
    return header + data[len(header) :]


def other_content(random: Random, data: bytes) -> bytes:
    """Nothing, text, or noise."""
    noise = random.choice(HEADERS) + random.randbytes(random.randint(0, 3000))
    return random.choice([b"", b"\0", b"This is no such file.\n" * 30, bytes(5000), noise])


DAMAGES: tuple[Callable[[Random, bytes], bytes], ...] = (
    *(cut, cut, flipped, flipped_at_the_start, extreme_number),
    *(spliced, blanked, disguised, other_content),
)


def damaged(random: Random, data: bytes) -> tuple[str, bytes]:
    """Return the name of a damage, and the damaged bytes."""
    damage = random.choice(DAMAGES)
    return damage.__name__.replace("_", " "), damage(random, data)
