"""Cotangents that are computed when they are used, and freed afterwards."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


class LazyCotangents(Mapping[str, "Tensor"]):
    """Cotangents by layer, of which the caller keeps none: a pullback may `take` each out of it, so
    that its memory is free once it has been used. The `pending` ones are computed when they are
    first accessed."""

    def __init__(
        self,
        known: Mapping[str, Tensor],
        pending: Mapping[str, Callable[[], Tensor]] = MappingProxyType({}),
    ) -> None:
        self._known, self._pending = dict(known), dict(pending)

    def take(self, layer: str) -> Tensor:
        """Remove the layer's cotangent, and return it."""
        cotangent = self[layer]
        del self._known[layer]
        return cotangent

    def __getitem__(self, layer: str) -> Tensor:
        if layer in self._pending:
            self._known[layer] = self._pending.pop(layer)()
        return self._known[layer]

    def __contains__(self, layer: object) -> bool:
        return layer in self._known or layer in self._pending

    def __iter__(self) -> Iterator[str]:
        return iter([*self._known, *self._pending])

    def __len__(self) -> int:
        return len(self._known) + len(self._pending)
