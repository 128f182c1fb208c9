"""The built-in backends keep the contract of FeatureBackend."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import torch
from stylectl.backends.devices import check_precision
from stylectl.backends.onnxruntime.backend import OnnxBackend
from stylectl.backends.onnxruntime.options import OnnxOptions
from stylectl.backends.onnxruntime.providers import find_place
from stylectl.backends.pytorch.backend import TorchBackend
from stylectl.core.errors import BackendError
from stylectl.core.interfaces.backbone import Backbone
from stylectl.core.interfaces.backend import BackendOptions, FeatureBackend
from stylectl.testing import BackendSuite


def lacking(precision: str) -> bool:
    try:
        check_precision(torch.device("cpu"), precision)
    except BackendError:
        return True
    return False


def on_cuda() -> bool:
    try:
        find_place("cuda", "float32")
    except BackendError:
        return False
    return True


class TestTorch(BackendSuite):
    """A chain's vjp is written out, another trunk's is autograd's: the suite has one of each."""

    def create(
        self, backbone: Backbone, layers: Sequence[str], options: BackendOptions
    ) -> FeatureBackend:
        return TorchBackend(backbone, layers, options)


@pytest.mark.skipif(lacking("bf16"), reason="this processor has no bf16")
class TestTorchInBf16(TestTorch):
    precisions = ("bf16",)


@pytest.mark.skipif(lacking("fp16"), reason="this processor has no fp16")
class TestTorchInFp16(TestTorch):
    precisions = ("fp16",)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="this machine has no CUDA")
class TestTorchOnCuda(TestTorch):
    devices = ("cuda",)
    precisions = ("float32", "tf32", "bf16", "fp16")


class TestOnnx(BackendSuite):
    gradient = "native"

    def create(
        self, backbone: Backbone, layers: Sequence[str], options: BackendOptions
    ) -> FeatureBackend:
        chosen = {**options.model_dump(), "gradient": self.gradient}
        return OnnxBackend(backbone, layers, OnnxOptions.model_validate(chosen))


class TestOnnxWithTheGradientOfTorch(TestOnnx):
    gradient = "torch"


@pytest.mark.gpu
@pytest.mark.skipif(not on_cuda(), reason="this machine has no CUDA that ONNX Runtime can use")
class TestOnnxOnCuda(TestOnnx):
    devices = ("cuda",)
    precisions = ("float32", "tf32", "fp16")


@pytest.mark.gpu
@pytest.mark.skipif(not on_cuda(), reason="this machine has no CUDA that ONNX Runtime can use")
class TestOnnxOnCudaWithTheGradientOfTorch(TestOnnxOnCuda):
    gradient = "torch"
