from __future__ import annotations

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from stylectl.backends.accuracy.differences import TOLERANCE, gradient_distances
from stylectl.backends.pytorch.backend import TorchBackend
from stylectl.core.interfaces.backbone import Backbone
from stylectl.core.interfaces.backend import BackendOptions, FeatureBackend, Features, Pullback
from stylectl.testing import KinkedBackbone, TinyBackbone
from torch import Tensor


def opened(backbone: Backbone) -> FeatureBackend:
    layers = [info.name for info in backbone.layers]
    return TorchBackend(backbone, layers, BackendOptions(device="cpu"))


class Wrong(TorchBackend):
    """A backend whose gradients have a factor, and lack one of the image's channels."""

    factor, lacks = 1.0, False

    def vjp(self, image: Tensor) -> tuple[Features, Pullback]:
        features, pullback = super().vjp(image)

        def wrong(cotangents: Features) -> Tensor:
            gradient = self.factor * pullback(cotangents)
            gradient[:, : int(self.lacks)] = 0
            return gradient

        return features, wrong


def image(height: int, width: int, seed: int) -> Tensor:
    return torch.rand(1, 3, height, width, generator=torch.Generator().manual_seed(seed))


#: From the least sides of the images of a check: in smaller ones, few rectifiers decide.
SIZES = {"height": st.integers(29, 45), "width": st.integers(29, 45), "seed": st.integers(0, 99)}


@settings(max_examples=15, deadline=None)
@given(**SIZES)
def test_a_right_gradient_is_close(height: int, width: int, seed: int) -> None:
    fixed = image(height, width, seed)
    # Smooth: rounding by 6e-8, at a step of 1e-3, moves a slope by 1e-4; several times that.
    for backbone, limit in ((TinyBackbone(), 1e-3), (KinkedBackbone(), TOLERANCE)):
        backend = opened(backbone)
        assert max(gradient_distances(backend, fixed).values()) < limit


@settings(max_examples=15, deadline=None)
@given(**SIZES, factor=st.sampled_from([-1.0, 0.0, 0.5, 2.0, 1 / 3]))
def test_a_factor_is_seen(height: int, width: int, seed: int, factor: float) -> None:
    backend = Wrong(TinyBackbone(), ["smooth1_1", "smooth2_1"], BackendOptions(device="cpu"))
    backend.factor = factor
    distances = gradient_distances(backend, image(height, width, seed))
    # Of the directions, all would have to be nearly orthogonal to the gradient, for both layers.
    assert max(distances.values()) > TOLERANCE
    assert all(distance < abs(factor - 1) + 0.01 for distance in distances.values())


@settings(max_examples=15, deadline=None)
@given(**SIZES)
def test_a_part_that_lacks_is_seen(height: int, width: int, seed: int) -> None:
    backend = Wrong(TinyBackbone(), ["smooth1_1", "smooth2_1"], BackendOptions(device="cpu"))
    backend.lacks = True
    distances = gradient_distances(backend, image(height, width, seed))
    assert max(distances.values()) > TOLERANCE
