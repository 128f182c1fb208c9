"""Form of an exported file: its size, its opset, its precision."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ...core.errors import UsageError
from ...core.sizes.fitting import Size

Precision = Literal["float32", "float16", "int8"]

_REFUSED = {
    "float64": "ONNX Runtime has no convolution of float64 on the CPU, so that the file could "
    "neither be checked nor run",
    "bfloat16": "ONNX has convolutions of bfloat16 from opset 22 on alone, and ONNX Runtime has "
    "none on the CPU, so that the file could not be checked",
}
_NAMES: dict[str, Precision] = {
    "float32": "float32",
    "fp32": "float32",
    "float16": "float16",
    "fp16": "float16",
    "int8": "int8",
}


@dataclass(frozen=True)
class Variant:
    """A variant of an exported file.

    - `size`: (height, width) in pixels; None: that of the job, for a network any size.
    - `dynamic`: of an objective: for images of any size.
    - `opset`: None for the lowest that has all operators.
    - `precision`: of the weights and, with float16, of the activations.
    """

    size: Size | None = None
    dynamic: bool = False
    opset: int | None = None
    precision: Precision = "float32"


def read_precision(dtype: str | None, fp16: bool, int8: bool) -> Precision:
    """Return the precision that the flags name. Raises UsageError for two, and for one refused."""
    named = [name for name, is_set in (("float16", fp16), ("int8", int8)) if is_set]
    if dtype is not None:
        named.append(dtype)
    names = {_NAMES.get(name, name) for name in named}
    if len(names) > 1:
        raise UsageError("`dtype`, `fp16` and `int8` exclude each other; give one of them")
    for name in names:
        if name in _REFUSED:
            raise UsageError(f"`dtype={name}`: {_REFUSED[name]}; use float32, float16 or int8")
        if name not in _NAMES:
            raise UsageError(f"`dtype={name}`: give float32, float16 or int8")
        return _NAMES[name]
    return "float32"


def read_size(text: str) -> Size | None:
    """Return (height, width) for a text such as ``640x480``, None for ``dynamic``.

    Raises UsageError for any other text.
    """
    if text == "dynamic":
        return None
    width, _, height = text.partition("x")
    if not (width.isdecimal() and height.isdecimal() and int(width) and int(height)):
        raise UsageError(f"`size={text}`: give WIDTHxHEIGHT in pixels, such as 640x480, or dynamic")
    return int(height), int(width)
