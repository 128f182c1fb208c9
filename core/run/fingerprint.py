"""Content hashes of values."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass

from torch import Tensor


def fingerprint(value: object) -> str:
    """SHA-256 of all that is in `value`: tensors by their numbers, dataclasses by their fields,
    mappings (in any order), sequences, plain values. Equal fingerprints mean equal contents.

    Raises TypeError for what is none of these.
    """
    return hashlib.sha256(_bytes_of(value)).hexdigest()


def _bytes_of(value: object) -> bytes:
    """A short encoding that no two values share; what is long in it is hashed."""
    match value:
        case Tensor():
            numbers = value.detach().cpu().contiguous().numpy()
            digest = hashlib.sha256(numbers.data).hexdigest()
            return f"tensor {value.dtype} {tuple(value.shape)} {digest}".encode()
        case None | bool() | int() | float() | str():
            return f"{type(value).__name__} {value!r}".encode()
        case Mapping():
            inner = sorted(fingerprint(key) + fingerprint(item) for key, item in value.items())
        case Sequence():
            inner = [fingerprint(item) for item in value]
        case _ if is_dataclass(value):
            inner = [
                fingerprint((field.name, getattr(value, field.name))) for field in fields(value)
            ]
        case _:
            raise TypeError(f"{type(value).__name__} has no fingerprint")
    kind = "mapping" if isinstance(value, Mapping) else type(value).__name__
    return f"{kind} {' '.join(inner)}".encode()
