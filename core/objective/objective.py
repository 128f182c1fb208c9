"""The objective: the weighted sum of the bound terms, with its gradient for the pixels."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ..attribution import attributed_to, is_out_of_memory
from ..errors import StylectlError
from ..interfaces.backend import FeatureBackend, Features
from ..interfaces.terms import IMAGE_LAYER
from .cotangents import Cotangents, plain_cotangents
from .cuda_graph import GraphedFunction
from .evaluation import Evaluation
from .weighted_losses import WeightedLoss, gradients, with_gradients


class Objective:
    """A sum of weighted losses of a backend's features.

    Only the losses are differentiated here, with respect to the features; the backend's pullback
    carries those cotangents to the pixels. So every backend works with every loss.
    """

    def __init__(
        self,
        backend: FeatureBackend,
        losses: Sequence[WeightedLoss],
        network: str = "the backend",
        cotangents: Cotangents = plain_cotangents,
    ) -> None:
        """`network` is what messages call the backend and its backbone; `cotangents` makes one
        gradient for each layer out of the losses."""
        self._losses = _Losses(backend, tuple(losses), network, cotangents)
        self._computed = GraphedFunction(self._losses) if backend.recordable else self._losses

    def evaluate(self, image: Tensor) -> Evaluation:
        """Value, shares and gradient at `image` (N, 3, H, W); the image is not modified.

        Raises PluginError for a loss, or a network, that fails or breaks its contract.
        """
        shares, gradient = self._computed(image)
        value, *values = torch.cat([shares.sum(0, keepdim=True), shares]).tolist()
        losses = dict(zip(self._losses.names, values, strict=True))
        evaluation = Evaluation(value, losses, gradient)
        if evaluation.finite:
            return evaluation
        return replace(evaluation, nonfinite_source=self._losses.nonfinite_source(image))


@dataclass(frozen=True)
class _Losses:
    """The losses as a function of the image, with the gradient of their sum."""

    backend: FeatureBackend
    losses: tuple[WeightedLoss, ...]
    network: str
    cotangents: Cotangents

    @property
    def names(self) -> list[str]:
        return [term.name for term in self.losses]

    def __call__(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """The weighted losses (L,), in their order, and the gradient of their sum. It only queues
        work on the device: reading a number back would wait for all of it."""
        with attributed_to(self.network):
            features, pullback = self.backend.vjp(image)
        leaves = with_gradients(features, image)
        try:
            values, cotangents = self.cotangents(self.losses, leaves)
        except StylectlError:
            raise
        except Exception as error:
            if not is_out_of_memory(error):
                self._gradients_apart(features, image)  # raises, with the term's name
            raise
        del leaves, features  # the backend holds those that it needs
        direct = cotangents.take(IMAGE_LAYER) if IMAGE_LAYER in cotangents else None
        with attributed_to(self.network):
            gradient = pullback(cotangents)
        if direct is not None:
            gradient = gradient + direct
        return values, gradient

    def nonfinite_source(self, image: Tensor) -> str:
        """What gives numbers that are not finite at `image`: terms, or else the network."""
        apart = self._gradients_apart(self.backend.features(image), image)
        values = [f"{term.label} = {loss}" for term, loss, _ in apart if not math.isfinite(loss)]
        slopes = [
            f"the gradient of {term.label}"
            for term, _, slopes_of in apart
            if not all(each.isfinite().all() for each in slopes_of)
        ]
        return ", ".join(values or slopes) or f"what {self.network} gives"

    def _gradients_apart(
        self, features: Features, image: Tensor
    ) -> list[tuple[WeightedLoss, float, list[Tensor]]]:
        """Each term's weighted loss and its gradients, to see which term's code fails or gives
        them."""
        parts = []
        for term in self.losses:
            leaves = with_gradients(features, image)
            loss = term.value(leaves)
            with attributed_to(f"the gradient of {term.label}"):
                parts.append((term, loss.item(), list(gradients(loss, leaves).values())))
        return parts
