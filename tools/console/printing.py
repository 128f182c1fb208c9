"""Printing on stdout: lines for people, JSON and TOML for programs."""

from __future__ import annotations

import json
import re
import sys
from typing import Any, TextIO, cast

from ...core.shown import escaped
from .streams import Stream


def print_line(text: str) -> None:
    """Print text, in which control characters are escaped, and a line break."""
    _write(sys.stdout, escaped(text) + "\n")


def print_json(value: Any) -> None:
    """Print a value as one line of JSON, in ASCII."""
    _write(_data(), json.dumps(value).replace("\x7f", "\\u007f") + "\n")


def print_toml(text: str) -> None:
    """Print the text of a TOML file, such that a redirection to a file gives a valid one.

    TOML is UTF-8: for another encoding, and where a character would control the terminal, the
    escapes of TOML's strings are used. They are valid wherever tomli-w writes such characters.
    """
    stream = _data()
    utf8 = (getattr(stream, "encoding", None) or "").lower().replace("-", "") == "utf8"

    def character(match: re.Match[str]) -> str:
        code = ord(match[0])
        if utf8 and match[0].isprintable():
            return match[0]
        return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"

    _write(stream, re.sub(r"[^\n\t\x20-\x7e]", character, text))


def keep_stdout_for_data(wanted: bool) -> bool:
    """Keep stdout for `print_json` and `print_toml`, if `wanted`, which is returned.

    The callback of flags such as ``--json``.
    """
    if wanted and isinstance(sys.stdout, Stream):
        sys.stdout.keep_for_data()
    return wanted


def _data() -> TextIO:
    return cast(TextIO, sys.stdout.data) if isinstance(sys.stdout, Stream) else sys.stdout


def _write(stream: TextIO, text: str) -> None:
    stream.write(text)
    stream.flush()
