"""The objective: the weighted sum of the bound terms, with its gradient for the pixels."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from .backend import FeatureBackend, Features
from .blame import blaming, is_out_of_memory
from .cotangents import Cotangents, plain_cotangents
from .errors import StylectlError
from .recorded import Recorded
from .terms import IMAGE_LAYER
from .weighted_losses import WeightedLoss, gradients


@dataclass(frozen=True)
class Evaluation:
    """The objective at one image: its value, the terms' weighted shares of it (they add up to the
    value), and its gradient (N, 3, H, W) with respect to the image, or what is put in its place
    (`normalized_cotangents`). `culprit` says what gave numbers that are not finite, if there are
    any."""

    value: float
    losses: dict[str, float]
    gradient: Tensor
    culprit: str = ""

    @property
    def finite(self) -> bool:
        """Whether the value and every element of the gradient are finite numbers."""
        return math.isfinite(self.value) and bool(torch.isfinite(self.gradient).all())


class Objective:
    """A sum of weighted losses of one backend's features.

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
        self._computed = Recorded(self._losses) if backend.recordable else self._losses

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
        return replace(evaluation, culprit=self._losses.culprit(image))


@dataclass(frozen=True)
class _Losses:
    """The losses as a function of the picture, with the gradient of their sum."""

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
        with blaming(self.network):
            features, pullback = self.backend.vjp(image)
        leaves = leaves_of(features, image)
        try:
            values, cotangents = self.cotangents(self.losses, leaves)
        except StylectlError:
            raise
        except Exception as error:
            if not is_out_of_memory(error):
                self._gradients_apart(features, image)  # raises, with the name of whose it is
            raise
        del leaves, features  # the backend holds those that it needs
        direct = cotangents.take(IMAGE_LAYER) if IMAGE_LAYER in cotangents else None
        with blaming(self.network):
            gradient = pullback(cotangents)
        if direct is not None:
            gradient = gradient + direct
        return values, gradient

    def culprit(self, image: Tensor) -> str:
        """Whose value or gradient is not finite at `image`; the network's, if no term's is."""
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
        """Each term's weighted loss and its gradients, to see whose fault something is."""
        found = []
        for term in self.losses:
            leaves = leaves_of(features, image)
            loss = term.value(leaves)
            with blaming(f"the gradient of {term.label}"):
                found.append((term, loss.item(), list(gradients(loss, leaves).values())))
        return found


def leaves_of(features: Features, image: Tensor) -> dict[str, Tensor]:
    """The features and the pixels, as what the losses are differentiated by."""
    every = {**features, IMAGE_LAYER: image}
    return {name: value.detach().requires_grad_() for name, value in every.items()}
