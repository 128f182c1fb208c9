"""Content hashes of values."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass

from torch import Tensor


def fingerprint(value: object) -> str:
    """Return the SHA-256 of the content of `value`.

    `value` consists of tensors (hashed by their numbers), dataclasses (by their fields), mappings
    (in any order), sequences and plain values. Equal fingerprints mean equal contents.

    Raises TypeError for other types.
    """
    return hashlib.sha256(_bytes_of(value)).hexdigest()


def _bytes_of(value: object) -> bytes:
    """Return a short encoding that is unique to the value; its long parts are hashed."""
    match value:
        case Tensor():
            numbers = value.detach().cpu().contiguous().numpy()
            digest = hashlib.sha256(numbers.data).hexdigest()
            return f"tensor {value.dtype} {tuple(value.shape)} {digest}".encode()
        case None | bool() | int() | float() | str():
            return f"{type(value).__name__} {value!r}".encode()
        case Mapping():
            digests = sorted(fingerprint(key) + fingerprint(item) for key, item in value.items())
        case Sequence():
            digests = [fingerprint(item) for item in value]
        case _ if is_dataclass(value):
            digests = [
                fingerprint((field.name, getattr(value, field.name))) for field in fields(value)
            ]
        case _:
            raise TypeError(f"{type(value).__name__} has no fingerprint")
    kind = "mapping" if isinstance(value, Mapping) else type(value).__name__
    return f"{kind} {' '.join(digests)}".encode()
