"""Text of plugins and files, made safe to show: bounded, on one line, no control characters."""

from __future__ import annotations


def escaped(text: str) -> str:
    """Return the text with every unprintable character as its Python escape.

    ESC, which starts a terminal's control sequences, becomes ``\\x1b``. Line breaks stay.
    """
    return "".join(
        character if character.isprintable() or character == "\n" else ascii(character)[1:-1]
        for character in text
    )


def one_line(text: str, limit: int = 300) -> str:
    """Return the text escaped, on one line, and cut off after `limit` characters."""
    line = escaped(" ".join(text.split()))
    return line if len(line) <= limit else line[: limit - 1] + "…"


def error_line(error: BaseException) -> str:
    """Return the type and message of an error that a plugin's code raised."""
    try:
        message = str(error)
    except Exception:  # a third party's __str__ may fail as well
        message = ""
    return one_line(f"{type(error).__name__}: {message}".removesuffix(": "))
