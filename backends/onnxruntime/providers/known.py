"""The providers that have device names of their own: how to get them, and their options."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass

import onnx
import torch

from ....core.interfaces.backend import Precision
from .packages import Hardware

#: End of the names of providers, which users need not write.
SUFFIX = "ExecutionProvider"


def _nothing(*_: object) -> dict[str, str]:
    return {}


def _float32(_: Hardware | None) -> tuple[Precision, ...]:
    return ("float32",)


@dataclass(frozen=True)
class KnownProvider:
    """A provider with a device name.

    - `provider`: its name in ONNX Runtime; `title`: its name in messages.
    - `module`: that of its package; "" if it is a part of some builds of ONNX Runtime alone.
    - `install`: where it comes from.
    - `precisions`: those that it computes in on some hardware; on None in a build that includes it.
    - `options`, `build_options`: its options for a precision and hardware, and in such a build for
      the kind of hardware that a user has chosen, or "".
    - `graph_options`: more options, for a model.
    - `halves`: it computes in fp16 where the model itself is in half precision.
    """

    name: str
    provider: str
    title: str
    module: str
    install: str
    precisions: Callable[[Hardware | None], tuple[Precision, ...]] = _float32
    options: Callable[[Precision, Hardware], dict[str, str]] = _nothing
    build_options: Callable[[str], dict[str, str]] = _nothing
    graph_options: Callable[[onnx.GraphProto], dict[str, str]] = _nothing
    halves: bool = False


def _openvino_precisions(hardware: Hardware | None) -> tuple[Precision, ...]:
    """Return what the hardware computes in, by OpenVINO's description of it."""
    if hardware is None:
        return ("float32",)
    capabilities = hardware.properties.get("OPTIMIZATION_CAPABILITIES", "FP32").split()
    names: dict[Precision, str] = {"float32": "FP32", "bf16": "BF16", "fp16": "FP16"}
    return tuple(precision for precision, name in names.items() if name in capabilities)


def _openvino_options(precision: Precision, hardware: Hardware) -> dict[str, str]:
    """Return the options that let OpenVINO compute in a precision, with torch's threads.

    By default it computes in bf16 or fp16 where the hardware has it.
    """
    properties = hardware.properties
    device = properties.get("ov_meta_device") or properties.get("ov_device", hardware.kind)
    hint = {"float32": "f32", "fp16": "f16", "bf16": "bf16"}[precision]
    settings = {"INFERENCE_PRECISION_HINT": hint}
    if device == "CPU":
        settings["INFERENCE_NUM_THREADS"] = str(torch.get_num_threads())
    return {"load_config": json.dumps({device.partition(".")[0]: settings})}


def _openvino_build_options(kind: str) -> dict[str, str]:
    return {"device_type": kind or "CPU", "precision": "FP32"}


def _webgpu_options(_: Precision, __: Hardware) -> dict[str, str]:
    """Return the option that keeps WebGPU from computing convolutions wrongly.

    With channels last, its default, the one after a pooling of 6 channels is (version 0.4).
    """
    return {"preferredLayout": "NCHW"}


def _webgpu_graph_options(graph: onnx.GraphProto) -> dict[str, str]:
    """Return the option that leaves to the CPU what WebGPU accepts and then cannot run.

    That is MaxPool with indices ("The Indices output is not supported yet", version 0.4).
    """
    names = [node.name for node in graph.node if node.op_type == "MaxPool" and node.output[1:]]
    return {"forceCpuNodeNames": "\n".join(names)} if names else {}


#: By device name.
KNOWN = {
    known.name: known
    for known in (
        KnownProvider(
            name="openvino",
            provider="OpenVINOExecutionProvider",
            title="OpenVINO",
            module="onnxruntime_ep_openvino",
            install="pip install onnxruntime-ep-openvino, for Intel's processors, GPUs and NPUs",
            precisions=_openvino_precisions,
            options=_openvino_options,
            build_options=_openvino_build_options,
        ),
        KnownProvider(
            name="webgpu",
            provider="WebGpuExecutionProvider",
            title="WebGPU",
            module="onnxruntime_ep_webgpu",
            install="pip install onnxruntime-ep-webgpu, for GPUs (on Linux through Vulkan)",
            options=_webgpu_options,
            graph_options=_webgpu_graph_options,
        ),
        KnownProvider(
            name="trt-rtx",
            provider="NvTensorRTRTXExecutionProvider",
            title="TensorRT for RTX",
            module="onnxruntime_ep_nv_tensorrt_rtx",
            install="pip install onnxruntime-ep-nv-tensorrt-rtx-cu13, for NVIDIA's GPUs since "
            "Ampere",
            precisions=lambda _: ("float32", "tf32", "fp16"),
            halves=True,
        ),
        KnownProvider(
            name="coreml",
            provider="CoreMLExecutionProvider",
            title="Core ML",
            module="",
            install="a part of the package onnxruntime for macOS",
            # The older format, a neural network, computes in fp16.
            build_options=lambda _: {"ModelFormat": "MLProgram"},
        ),
    )
}


def known_provider(provider: str) -> KnownProvider | None:
    """Return what is known of a provider, or of its variant, such as ``...Provider.AUTO``."""
    name = provider.partition(".")[0]
    return next((known for known in KNOWN.values() if known.provider == name), None)
