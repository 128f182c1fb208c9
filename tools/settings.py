"""``--set KEY=VALUE,VALUE``: settings of a job by name, each with one value or with several."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from ..core.errors import UsageError, did_you_mean
from ..core.options import OPTIONS, check_option
from .parsing import layers, loss_term, numbers, plain_value
from .parsing import size as picture_size

#: A plus between the parts of one value; 1e+3 is a number.
_PLUS = re.compile(r"(?<![\d.][eE])\+")


@dataclass(frozen=True)
class Setting:
    """An option of the job and the values that it takes in turn, each with its text."""

    key: str
    values: tuple[tuple[str, Any], ...]


def _word(_flag: str, text: str) -> str:
    return text


def _words(_flag: str, text: str) -> list[str]:
    return text.split(",")


def _plain(_flag: str, text: str) -> Any:
    return plain_value(text)


def _terms(_flag: str, text: str) -> list[dict[str, Any]]:
    return [loss_term(text)]


#: How an option's value is read; the job's model validates it.
READERS: dict[str, Callable[[str, str], Any]] = {
    **dict.fromkeys(["preset", "content", "init", "backend", "backbone", "device"], _word),
    **dict.fromkeys(["precision", "gradient", "convolution", "cuda_graph"], _word),
    **dict.fromkeys(["weights", "preprocessing"], _word),
    **dict.fromkeys(["pooling", "padding", "optimizer", "max_memory"], _word),
    **dict.fromkeys(["strength", "preview", "seamless", "normalize_gradients"], _plain),
    **dict.fromkeys(["upscale", "scales", "iterations", "seed", "max_pixels"], _plain),
    "size": picture_size,
    **dict.fromkeys(["content_weight", "style_weight", "tv_weight"], _plain),
    **dict.fromkeys(["color", "content_mask"], _word),
    **dict.fromkeys(["style_mask", "regions"], _words),
    **dict.fromkeys(["content_layers", "style_layers"], layers),
    **dict.fromkeys(["style_weights", "style_scale"], numbers),
    "styles": _words,
    "texture": _words,
    "term": _terms,
}

#: Likewise for a key behind a dot; the others are plain values.
_INNER_READERS: dict[str, Callable[[str, str], Any]] = {
    "layers": layers,
    **dict.fromkeys(["path", "weights", "model"], _word),
}

#: Those whose one value may have several parts.
_OF_PARTS = {
    *("content_layers", "style_layers", "style_weights", "style_scale", "style_mask"),
    *("styles", "regions", "texture", "term"),
}


def option_named(key: str) -> str:
    """The option, which may be spelled like its flag: ``style-weight``. Raises UsageError for one
    that does not exist."""
    name = key if "." in key else key.replace("-", "_")
    if name == "preset":
        return name
    try:
        check_option(name)
    except UsageError:
        known = ("preset", *OPTIONS)
        raise UsageError(f"there is no option {key!r}; {did_you_mean(name, known)}") from None
    return name


def read_value(flag: str, option: str, text: str) -> Any:
    """What `text` means for a known option; it looks as on the command line of `stylectl run`."""
    if option in READERS:
        return READERS[option](flag, text)
    return _INNER_READERS.get(option.partition(".")[2], _plain)(flag, text)


def read_settings(texts: Sequence[str]) -> tuple[Setting, ...]:
    """``KEY=VALUE[,VALUE]...`` of each. Within a value, ``+`` stands between parts where a flag of
    `run` would have a comma. Raises UsageError for what cannot be read."""
    settings: list[Setting] = []
    for text in texts:
        key, equals, values = text.partition("=")
        if not equals or not key:
            raise UsageError(f"--set {text}: give it as KEY=VALUE or KEY=VALUE,VALUE")
        option = option_named(key)
        if option in [setting.key for setting in settings]:
            raise UsageError(f"--set {key} is given twice: put its values into one, with commas")
        settings.append(_setting(option, values.split(",")))
    return tuple(settings)


def _setting(option: str, texts: Sequence[str]) -> Setting:
    flag = f"--set {option}"
    if "" in texts:
        raise UsageError(f"{flag}: a value is empty")
    if len(set(texts)) < len(texts):
        raise UsageError(f"{flag}: a value is given twice")
    inner = option.partition(".")[2]
    of_parts = option in _OF_PARTS or (inner and _INNER_READERS.get(inner) is not _word)
    commas = [_PLUS.sub(",", text) if of_parts else text for text in texts]
    values = [read_value(flag, option, text) for text in commas]
    return Setting(option, tuple(zip(texts, values, strict=True)))


def fixed(settings: Sequence[Setting]) -> dict[str, Any]:
    """The settings as options. Raises UsageError for one that has several values."""
    for setting in settings:
        if len(setting.values) > 1:
            raise UsageError(f"--set {setting.key}: one value, please; several make a sweep")
    return {setting.key: setting.values[0][1] for setting in settings}
