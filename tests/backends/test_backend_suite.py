"""The built-in backends keep the contract of FeatureBackend."""

from __future__ import annotations

from typing import ClassVar

import pytest
import torch
from stylectl.backends.devices import check_precision
from stylectl.backends.onnxruntime.providers.finding import find_place
from stylectl.core.errors import BackendError
from stylectl.plugins.backends import backends
from stylectl.testing import BackendSuite

SPECS = {spec.name: spec for spec in backends()}


def lacking(precision: str) -> bool:
    try:
        check_precision(torch.device("cpu"), precision)
    except BackendError:
        return True
    return False


def usable(device: str) -> bool:
    try:
        find_place(device, "float32")
    except BackendError:
        return False
    return True


class TestTorch(BackendSuite):
    """A chain's vjp is written out, another trunk's is autograd's: the suite has one of each."""

    spec = SPECS["torch"]


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
    spec = SPECS["onnx"]
    options: ClassVar = {"gradient": "native"}


class TestOnnxWithTheGradientOfTorch(TestOnnx):
    options: ClassVar = {"gradient": "torch"}


@pytest.mark.gpu
@pytest.mark.skipif(not usable("cuda"), reason="this machine has no CUDA that ONNX Runtime can use")
class TestOnnxOnCuda(TestOnnx):
    devices = ("cuda",)
    precisions = ("float32", "tf32", "fp16")


@pytest.mark.gpu
@pytest.mark.skipif(not usable("cuda"), reason="this machine has no CUDA that ONNX Runtime can use")
class TestOnnxOnCudaWithTheGradientOfTorch(TestOnnxOnCuda):
    options: ClassVar = {"gradient": "torch"}


@pytest.mark.skipif(not usable("openvino:CPU"), reason="OpenVINO and an Intel processor are needed")
class TestOnnxOnOpenVino(TestOnnx):
    devices = ("openvino:CPU",)


@pytest.mark.skipif(not usable("webgpu"), reason="WebGPU and a GPU are needed")
class TestOnnxOnWebGpu(TestOnnx):
    devices = ("webgpu",)


@pytest.mark.gpu
@pytest.mark.skipif(not usable("trt-rtx"), reason="TensorRT for RTX and a GPU are needed")
class TestOnnxOnTensorRtForRtx(TestOnnx):
    devices = ("trt-rtx",)
