"""The objective, evaluated tile by tile: the same value and gradient at a bounded memory.

The terms are functions of sums over positions, L(S) with S = sum_t S_t over the tiles t. A first
pass gives S, and dL/dS at it; a second one the gradient of each tile's pixels, which is that of
the scalar <dL/dS, S_t>: the network sees the tile's crop, the cotangents are zero outside of the
tile's own positions, and what the pullback gives for the halo is added to the neighbors' pixels.
By the chain rule the gradients of all tiles add up to the whole picture's; there are no seams.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial

import torch
from torch import Tensor

from ..attribution import attributed_to
from ..interfaces.backend import FeatureBackend, Features
from ..interfaces.cotangents import LazyCotangents
from ..interfaces.terms import IMAGE_LAYER, SumLoss, Sums
from ..malloc import return_freed_memory
from ..sizes.tiles import Tile, Tiler
from .evaluation import Evaluation
from .tile_views import crop, of_crop, of_whole
from .weighted_losses import WeightedLoss, WeightedSums, gradients, with_gradients


class TiledObjective:
    """As `Objective`, for terms that are bound to a `SumLoss`, and others that read the pixels
    alone, which are evaluated on the whole picture."""

    def __init__(
        self,
        backend: FeatureBackend,
        losses: Sequence[WeightedLoss],
        tiler: Tiler,
        network: str = "the backend",
    ) -> None:
        """`network` is what messages call the backend and its backbone."""
        self._backend, self._network, self._tiler = backend, network, tiler
        self._losses = tuple(losses)
        self._tiled = [
            WeightedSums(each, each.loss) for each in losses if isinstance(each.loss, SumLoss)
        ]
        self._direct = [each for each in losses if not isinstance(each.loss, SumLoss)]

    def evaluate(self, image: Tensor) -> Evaluation:
        """See Objective."""
        sums = self._sums(image)
        found = [each.value_and_slopes(part) for each, part in zip(self._tiled, sums, strict=True)]
        values = {
            each.weighted.name: value.item()
            for each, (value, _) in zip(self._tiled, found, strict=True)
        }
        gradient = torch.zeros_like(image)
        suspects = [
            f"the gradient of {each.weighted.label}"
            for each, (_, slopes) in zip(self._tiled, found, strict=True)
            if not all(slope.isfinite().all() for part in slopes for slope in part.values())
        ]
        for term in self._direct:
            leaf = image.detach().requires_grad_()
            loss = term.value({IMAGE_LAYER: leaf})
            values[term.name] = loss.item()
            with attributed_to(f"the gradient of {term.label}"):
                pull = torch.autograd.grad(loss, leaf)[0]
            if not pull.isfinite().all():
                suspects.append(f"the gradient of {term.label}")
            gradient += pull
        self._add_tiles(gradient, image, [slopes for _, slopes in found])
        losses = {each.name: values[each.name] for each in self._losses}
        evaluation = Evaluation(sum(losses.values()), losses, gradient)
        if evaluation.finite:
            return evaluation
        odd = [
            f"{each.label} = {losses[each.name]}"
            for each in self._losses
            if not math.isfinite(losses[each.name])
        ]
        nonfinite_source = ", ".join(odd or suspects) or f"what {self._network} gives"
        return replace(evaluation, nonfinite_source=nonfinite_source)

    def _sums(self, image: Tensor) -> list[list[Sums]]:
        """The whole picture's, by term: the tiles' added up."""
        total: list[list[Sums]] = []
        for tile in self._tiles(image):
            with attributed_to(self._network), torch.no_grad():
                features = self._backend.features(crop(tile, image))
            maps = of_crop(tile, {**features, IMAGE_LAYER: crop(tile, image)})
            with torch.no_grad():
                sums = [each.sums(maps, partial(of_whole, tile)) for each in self._tiled]
            total = [_added(*each) for each in zip(total, sums, strict=True)] if total else sums
            del features, maps
            return_freed_memory()
        return total

    def _add_tiles(self, gradient: Tensor, image: Tensor, slopes: list[list[Sums]]) -> None:
        """Add to `gradient` that of every tile."""
        for tile in self._tiles(image):
            with attributed_to(self._network):
                features, pullback = self._backend.vjp(crop(tile, image))
            cotangents = LazyCotangents(self._cotangents(tile, features, crop(tile, image), slopes))
            del features  # the backend holds those that it needs
            direct = cotangents.take(IMAGE_LAYER) if IMAGE_LAYER in cotangents else None
            into = crop(tile, gradient)
            if direct is not None:
                into += direct
            with attributed_to(self._network):
                into += pullback(cotangents)
            del pullback, cotangents, direct
            return_freed_memory()

    def _cotangents(
        self, tile: Tile, features: Features, cropped: Tensor, slopes: list[list[Sums]]
    ) -> dict[str, Tensor]:
        """By layer, for the whole crop: zero where the positions are other tiles'."""
        leaves = with_gradients(features, cropped)
        maps = of_crop(tile, leaves)
        pulls = [
            (sums[name] * slope).sum()
            for each, parts in zip(self._tiled, slopes, strict=True)
            for sums, by_name in zip(each.sums(maps, partial(of_whole, tile)), parts, strict=True)
            for name, slope in by_name.items()
            if sums[name].requires_grad
        ]
        with attributed_to("the gradient of the loss terms"):
            return gradients(torch.stack([pull.to(cropped) for pull in pulls]).sum(), leaves)

    def _tiles(self, image: Tensor) -> Iterator[Tile]:
        yield from self._tiler.tiles(*image.shape[2:])


def _added(one: Sequence[Sums], other: Sequence[Sums]) -> list[Sums]:
    """By part and name."""
    return [
        {name: mine + theirs[name] for name, mine in part.items()}
        for part, theirs in zip(one, other, strict=True)
    ]
