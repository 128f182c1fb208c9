"""The built-in backends keep the contract of FeatureBackend."""

from __future__ import annotations

from collections.abc import Sequence

from stylectl.backends.torch_backend import TorchBackend
from stylectl.core.backbone import Backbone
from stylectl.core.backend import BackendOptions, FeatureBackend
from stylectl.testing import BackendSuite


class TestTorch(BackendSuite):
    """A chain's vjp is written out, another trunk's is autograd's: the suite has one of each."""

    def create(
        self, backbone: Backbone, layers: Sequence[str], options: BackendOptions
    ) -> FeatureBackend:
        return TorchBackend(backbone, layers, options)
