"""Comparison of a backend's gradients with finite differences of its own features."""

from __future__ import annotations

from collections.abc import Iterator

from ...backends.accuracy.differences import gradient_distances
from ...core.attribution import attributed_to
from ...core.interfaces.backend import FeatureBackend
from ...core.planning.plan import Plan
from .images import parity_images
from .report import Figure, Quantity, Report
from .tolerances import Tolerances


def compare_with_differences(plan: Plan, tested: FeatureBackend, tolerances: Tolerances) -> Report:
    """Compare each layer's gradient with finite differences, and return all figures.

    The backend has the plan's layers and computes in float32. The differences are the reference of
    a network that PyTorch does not have, an ONNX file. Raises PluginError for a backend that fails.
    """
    return Report(tuple(_figures(plan, tested, tolerances)))


def _figures(plan: Plan, tested: FeatureBackend, tolerances: Tolerances) -> Iterator[Figure]:
    limit = tolerances[Quantity.GRADIENT_SLOPES].limit
    for fixed in parity_images(plan.deepest.smallest_side):
        if fixed.flat:  # where maxima tie, the slopes to both sides differ
            continue
        with attributed_to(plan.network):
            distances = gradient_distances(tested, fixed.image)
        for layer, value in distances.items():
            yield Figure(Quantity.GRADIENT_SLOPES, layer, fixed.name, value, limit)
