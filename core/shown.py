"""Making text of plugins and files safe to show: bounded, on one line, no control characters."""

from __future__ import annotations


def escaped(text: str) -> str:
    """The text with every character that a terminal might obey, or would not show, as its Python
    escape: ESC becomes ``\\x1b``. Line breaks stay."""
    return "".join(
        letter if letter.isprintable() or letter == "\n" else ascii(letter)[1:-1] for letter in text
    )


def one_line(text: str, limit: int = 300) -> str:
    """The text escaped, on one line, and cut off after `limit` characters."""
    line = escaped(" ".join(text.split()))
    return line if len(line) <= limit else line[: limit - 1] + "…"


def described(error: BaseException) -> str:
    """The type and message of an error that a plugin's code raised."""
    try:
        message = str(error)
    except Exception:  # a stranger's __str__ may fail as well
        message = ""
    return one_line(f"{type(error).__name__}: {message}".removesuffix(": "))
