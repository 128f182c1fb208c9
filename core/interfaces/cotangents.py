"""Cotangents that are computed when they are used, and freed afterwards."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


class LazyCotangents(Mapping[str, "Tensor"]):
    """Cotangents by layer, each of which a pullback may remove with `take`.

    The caller keeps no reference to them, so that the memory of a cotangent is free once it has
    been taken and used. The `pending` ones are computed when they are first accessed.
    """

    def __init__(
        self,
        known: Mapping[str, Tensor],
        pending: Mapping[str, Callable[[], Tensor]] = MappingProxyType({}),
    ) -> None:
        self._known, self._pending = dict(known), dict(pending)

    def take(self, layer: str) -> Tensor:
        """Remove and return the layer's cotangent."""
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
