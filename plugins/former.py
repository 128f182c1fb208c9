"""Names of version 0.1 that plugins may still use, with a warning."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..core.deprecation import warn_deprecated
from ..core.interfaces.backend import Features
from ..core.interfaces.statistics import (
    FeatureTile,
    LayerStatistics,
    Statistics,
    StatisticsTerm,
    StyleTarget,
)
from ..core.interfaces.terms import Region

if TYPE_CHECKING:
    from torch import Tensor

#: Statistics by a name of the term's choice.
Sums = Mapping[str, "Tensor"]


@dataclass(frozen=True)
class _Sum(LayerStatistics):
    value: Tensor


class SumTerm(StatisticsTerm[_Sum, Any]):
    """The StatisticsTerm of version 0.1, whose statistics are tensors by name."""

    def __init_subclass__(cls, **keywords: Any) -> None:
        super().__init_subclass__(**keywords)
        warn_deprecated(
            "SumTerm",
            "derive from StatisticsTerm: statistics for sums, target for prepared, "
            "loss_of_statistics for loss_of_sums",
        )

    @abstractmethod
    def sums(self, features: Features, content: Features, region: Region) -> Sums:
        """Return the statistics of one tile (or of a whole image), summed over its positions."""

    def prepared(self, sums: Sums) -> Sums:
        """Return a style's argument of `loss_of_sums`, from the style's sums."""
        return sums

    @abstractmethod
    def loss_of_sums(self, sums: Sums, styles: Sequence[tuple[Sums, float]]) -> Tensor:
        """Return the scalar loss, from the sums of the whole result."""

    def statistics(self, tile: FeatureTile) -> Statistics[_Sum]:
        """Return `sums`. See StatisticsTerm.statistics."""
        sums = self.sums(tile.features, tile.content, tile.region)
        return {name: _Sum(value) for name, value in sums.items()}

    def target(self, statistics: Statistics[_Sum]) -> Sums:
        """Return `prepared` sums. See StatisticsTerm.target."""
        return self.prepared(_values(statistics))

    def loss_of_statistics(
        self, statistics: Statistics[_Sum], targets: Sequence[StyleTarget[Any]]
    ) -> Tensor:
        """Return `loss_of_sums`. See StatisticsTerm.loss_of_statistics."""
        styles = [(style.target, style.weight) for style in targets]
        return self.loss_of_sums(_values(statistics), styles)


def _values(statistics: Statistics[_Sum]) -> dict[str, Tensor]:
    return {name: of_name.value for name, of_name in statistics.items()}
