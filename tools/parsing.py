"""What the values of flags look like: numbers, layers, and names with settings."""

from __future__ import annotations

from typing import Any

from ..core.errors import UsageError


def loss_term(text: str) -> dict[str, Any]:
    """``name=weight:key=value:...`` as a job's table; the term's options validate the values."""
    head, *settings = text.split(":")
    name, weighted, weight = head.partition("=")
    flag = f"--term {name}"
    table: dict[str, Any] = {"name": name}
    if weighted:
        table["weight"] = number(flag, weight)
    for key, value in _settings(flag, settings).items():
        table[key] = layers(flag, value) if key == "layers" else plain_value(value)
    return table


def writers(texts: list[str]) -> dict[str, dict[str, Any]]:
    """``name:key=value:...`` of each, by name; the writers' options validate the values."""
    found: dict[str, dict[str, Any]] = {}
    for text in texts:
        name, *settings = text.split(":")
        if name in found:
            raise UsageError(f"--writer {name}: named twice")
        pairs = _settings(f"--writer {name}", settings)
        found[name] = {key: plain_value(value) for key, value in pairs.items()}
    return found


def options(flag: str, texts: list[str]) -> dict[str, Any]:
    """``key=value`` of each; the model of what they belong to validates the values."""
    return {key: plain_value(value) for key, value in _settings(flag, texts).items()}


def _settings(flag: str, texts: list[str]) -> dict[str, str]:
    pairs = {}
    for text in texts:
        key, equals, value = text.partition("=")
        if not equals:
            raise UsageError(f"{flag}: {text!r} is not KEY=VALUE")
        pairs[key] = value
    return pairs


def plain_value(text: str) -> Any:
    """A number or a word; several with commas between them."""
    if "," in text:
        return [plain_value(part) for part in text.split(",")]
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def numbers(flag: str, text: str | None) -> list[float] | None:
    """``3,7``."""
    return None if text is None else [number(flag, part) for part in text.split(",")]


def layers(flag: str, text: str | None) -> list[str] | dict[str, float] | None:
    """``a,b`` or ``a=1,b=2``."""
    if text is None:
        return None
    pairs = [part.strip().partition("=") for part in text.split(",")]
    if not any(equals for _, equals, _ in pairs):
        return [name for name, _, _ in pairs]
    if not all(equals for _, equals, _ in pairs):
        raise UsageError(f"{flag}: give a weight to each layer, or to none")
    names = [name for name, _, _ in pairs]
    if len(set(names)) < len(names):
        raise UsageError(f"{flag}: a layer is named twice")
    return {name: number(flag, weight) for name, _, weight in pairs}


def size(flag: str, text: str | None) -> int | tuple[int, int] | None:
    """``512``, or ``640x480``: a width and a height."""
    if text is None:
        return None
    try:
        sides = [int(side) for side in text.split("x")]
    except ValueError:
        sides = []
    match sides:
        case [side]:
            return side
        case [width, height]:
            return width, height
    raise UsageError(f"{flag}: {text!r} is neither an integer nor WIDTHxHEIGHT")


def number(flag: str, text: str) -> float:
    """Raises UsageError that names the flag."""
    try:
        return float(text)
    except ValueError:
        raise UsageError(f"{flag}: {text!r} is not a number") from None
