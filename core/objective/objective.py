"""The objective: the weighted sum of the bound terms, and its gradient at the pixels."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ..attribution import attributed_to, is_out_of_memory
from ..errors import StylectlError
from ..interfaces.backend import FeatureBackend, Features
from ..interfaces.optimizer import Evaluation
from ..interfaces.terms import IMAGE_LAYER
from .cotangents import Cotangents, plain_cotangents
from .cuda_graph import GraphedFunction
from .weighted_losses import WeightedLoss, gradients, with_gradients


class Objective:
    """Sum of weighted losses of a backend's features.

    Only the losses are differentiated here, with respect to the features; the backend's pullback
    carries those cotangents to the pixels. Every backend thus works with every loss.
    """

    def __init__(
        self,
        backend: FeatureBackend,
        losses: Sequence[WeightedLoss],
        network: str = "the backend",
        cotangents: Cotangents = plain_cotangents,
    ) -> None:
        """Create the objective.

        `network` is the name of the backend and its backbone in messages; `cotangents` computes
        the layers' cotangents from the losses.
        """
        self._losses = _Losses(backend, tuple(losses), network, cotangents)
        self._function = GraphedFunction(self._losses) if backend.recordable else self._losses

    @property
    def losses(self) -> tuple[WeightedLoss, ...]:
        """The weighted losses."""
        return self._losses.losses

    def with_losses(self, losses: Sequence[WeightedLoss]) -> Objective:
        """Return the objective with other losses."""
        own = self._losses
        return Objective(own.backend, losses, own.network, own.cotangents)

    def evaluate(self, image: Tensor) -> Evaluation:
        """Return the value, the terms' losses and the gradient at `image` (N, 3, H, W).

        The image is not modified. Raises PluginError for a loss, or a network, that fails or breaks
        its contract.
        """
        weighted, gradient = self._function(image)
        value, *values = torch.cat([weighted.sum(0, keepdim=True), weighted]).tolist()
        losses = dict(zip(self._losses.names, values, strict=True))
        evaluation = Evaluation(value, losses, gradient)
        if evaluation.finite:
            return evaluation
        return replace(evaluation, nonfinite_source=self._losses.nonfinite_source(image))


@dataclass(frozen=True)
class _Losses:
    """Losses, and the gradient of their sum, as a function of the image."""

    backend: FeatureBackend
    losses: tuple[WeightedLoss, ...]
    network: str
    cotangents: Cotangents

    @property
    def names(self) -> list[str]:
        return [term.name for term in self.losses]

    def __call__(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Return the weighted losses (L,), in their order, and the gradient of their sum.

        Only queues work on the device: reading a number back would wait for all of it.
        """
        with attributed_to(self.network):
            features, pullback = self.backend.vjp(image)
        leaves = with_gradients(features, image)
        try:
            values, cotangents = self.cotangents(self.losses, leaves)
        except StylectlError:
            raise
        except Exception as error:
            if not is_out_of_memory(error):
                self._gradients_by_term(features, image)  # raises, with the term's name
            raise
        del leaves, features  # the backend holds those that it needs
        direct = cotangents.take(IMAGE_LAYER) if IMAGE_LAYER in cotangents else None
        with attributed_to(self.network):
            gradient = pullback(cotangents)
        if direct is not None:
            gradient = gradient + direct
        return values, gradient

    def nonfinite_source(self, image: Tensor) -> str:
        """Return the source of numbers that are not finite: terms, or else the network."""
        by_term = self._gradients_by_term(self.backend.features(image), image)
        losses = [f"{term.label} = {loss}" for term, loss, _ in by_term if not math.isfinite(loss)]
        slopes = [
            f"the gradient of {term.label}"
            for term, _, term_gradients in by_term
            if not all(gradient.isfinite().all() for gradient in term_gradients)
        ]
        return ", ".join(losses or slopes) or f"the output of {self.network}"

    def _gradients_by_term(
        self, features: Features, image: Tensor
    ) -> list[tuple[WeightedLoss, float, list[Tensor]]]:
        """Return each term with its weighted loss and the gradients of that loss at its layers.

        Computed term by term, to attribute an error or a number that is not finite to its term.
        """
        by_term = []
        for term in self.losses:
            leaves = with_gradients(features, image)
            loss = term.value(leaves)
            with attributed_to(f"the gradient of {term.label}"):
                by_term.append((term, loss.item(), list(gradients(loss, leaves).values())))
        return by_term
