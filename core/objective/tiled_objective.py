"""The objective, evaluated tile by tile: the same value and gradient in bounded memory.

The terms are functions of sums over positions, L(S) with S = sum_t S_t over the tiles t. A first
pass computes S and dL/dS at it. A second pass computes the gradient of each tile's pixels, which is
that of the scalar <dL/dS, S_t>: the network evaluates the tile's crop, the cotangents are zero
outside the tile's own positions, and the gradient in the halo is added to the neighbors' pixels.
By the chain rule the gradients of all tiles add up to the whole image's; there are no seams.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from torch import Tensor

from ..attribution import attributed_to
from ..interfaces.backend import FeatureBackend, Features, LazyCotangents
from ..interfaces.optimizer import Evaluation
from ..interfaces.statistics import Key, Statistics, StatisticsLoss, added, tensors_of
from ..interfaces.terms import IMAGE_LAYER
from ..machine.malloc import return_freed_memory
from ..sizes.tiles import Tile, Tiler
from .tile_views import crop, of_crop, of_whole
from .weighted_losses import WeightedLoss, WeightedStatistics, gradients, with_gradients


class TiledObjective:
    """Objective that is evaluated tile by tile, with the interface of `Objective`.

    Its losses are of type `StatisticsLoss`, or functions of the pixels alone, which are evaluated
    on the whole image.
    """

    def __init__(
        self,
        backend: FeatureBackend,
        losses: Sequence[WeightedLoss],
        tiler: Tiler,
        network: str = "the backend",
    ) -> None:
        """Create the objective; `network` names the backend and its backbone in messages."""
        self._backend, self._network, self._tiler = backend, network, tiler
        self._losses = tuple(losses)
        self._tiled = [
            WeightedStatistics(term, term.loss)
            for term in losses
            if isinstance(term.loss, StatisticsLoss)
        ]
        self._direct = [term for term in losses if not isinstance(term.loss, StatisticsLoss)]

    @property
    def losses(self) -> tuple[WeightedLoss, ...]:
        """The weighted losses."""
        return self._losses

    def with_losses(self, losses: Sequence[WeightedLoss]) -> TiledObjective:
        """Return the objective with other losses."""
        return TiledObjective(self._backend, losses, self._tiler, self._network)

    def evaluate(self, image: Tensor) -> Evaluation:
        """Return the value, the terms' losses and the gradient; see Objective.evaluate."""
        statistics = self._statistics(image)
        values_and_slopes = [
            term.value_and_slopes(of_term)
            for term, of_term in zip(self._tiled, statistics, strict=True)
        ]
        values = {
            term.weighted.name: value.item()
            for term, (value, _) in zip(self._tiled, values_and_slopes, strict=True)
        }
        gradient = torch.zeros_like(image)
        nonfinite_gradients = [
            f"the gradient of {term.weighted.label}"
            for term, (_, slopes) in zip(self._tiled, values_and_slopes, strict=True)
            if not all(slope.isfinite().all() for part in slopes for slope in part.values())
        ]
        for direct in self._direct:
            leaf = image.detach().requires_grad_()
            loss = direct.value({IMAGE_LAYER: leaf})
            values[direct.name] = loss.item()
            with attributed_to(f"the gradient of {direct.label}"):
                direct_gradient = torch.autograd.grad(loss, leaf)[0]
            if not direct_gradient.isfinite().all():
                nonfinite_gradients.append(f"the gradient of {direct.label}")
            gradient += direct_gradient
        self._add_tiles(gradient, image, [slopes for _, slopes in values_and_slopes])
        losses = {term.name: values[term.name] for term in self._losses}
        evaluation = Evaluation(sum(losses.values()), losses, gradient)
        if evaluation.finite:
            return evaluation
        nonfinite_losses = [
            f"{term.label} = {losses[term.name]}"
            for term in self._losses
            if not math.isfinite(losses[term.name])
        ]
        terms = ", ".join(nonfinite_losses or nonfinite_gradients)
        return replace(evaluation, nonfinite_source=terms or f"the output of {self._network}")

    def _statistics(self, image: Tensor) -> list[list[Statistics[Any]]]:
        """Return the whole image's statistics by term: the sums of the tiles' statistics."""
        total: list[list[Statistics[Any]]] = []
        for tile in self._tiles(image):
            with attributed_to(self._network), torch.no_grad():
                features = self._backend.features(crop(tile, image))
            maps = of_crop(tile, {**features, IMAGE_LAYER: crop(tile, image)})
            with torch.no_grad():
                of_tile = [term.statistics(maps, partial(of_whole, tile)) for term in self._tiled]
            if total:
                of_tile = [_added(*pair) for pair in zip(total, of_tile, strict=True)]
            total = of_tile
            del features, maps
            return_freed_memory()
        return total

    def _add_tiles(
        self, gradient: Tensor, image: Tensor, slopes: list[list[dict[Key, Tensor]]]
    ) -> None:
        """Add the gradients of all tiles to `gradient`, in place."""
        for tile in self._tiles(image):
            with attributed_to(self._network):
                features, pullback = self._backend.vjp(crop(tile, image))
            cotangents = LazyCotangents(self._cotangents(tile, features, crop(tile, image), slopes))
            del features  # the backend holds those that it needs
            direct = cotangents.take(IMAGE_LAYER) if IMAGE_LAYER in cotangents else None
            crop_gradient = crop(tile, gradient)
            if direct is not None:
                crop_gradient += direct
            with attributed_to(self._network):
                crop_gradient += pullback(cotangents)
            del pullback, cotangents, direct
            return_freed_memory()

    def _cotangents(
        self,
        tile: Tile,
        features: Features,
        cropped: Tensor,
        slopes: list[list[dict[Key, Tensor]]],
    ) -> dict[str, Tensor]:
        """Return the crop's cotangents by layer, zero at the positions of other tiles."""
        leaves = with_gradients(features, cropped)
        maps = of_crop(tile, leaves)
        products = [
            (tensors[key] * slope).sum()
            for term, slopes_of_term in zip(self._tiled, slopes, strict=True)
            for tensors, slopes_of_part in zip(
                map(tensors_of, term.statistics(maps, partial(of_whole, tile))),
                slopes_of_term,
                strict=True,
            )
            for key, slope in slopes_of_part.items()
            if tensors[key].requires_grad
        ]
        with attributed_to("the gradient of the loss terms"):
            scalar = torch.stack([product.to(cropped) for product in products]).sum()
            return gradients(scalar, leaves)

    def _tiles(self, image: Tensor) -> Iterator[Tile]:
        yield from self._tiler.tiles(*image.shape[2:])


def _added(
    left: Sequence[Statistics[Any]], right: Sequence[Statistics[Any]]
) -> list[Statistics[Any]]:
    """Return the statistics added up by part."""
    return [added(*pair) for pair in zip(left, right, strict=True)]
