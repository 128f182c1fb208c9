"""The place where a job's models run: a device with ONNX Runtime's providers."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from ..session import Provider
from ..tensorrt import NAME as TENSORRT
from .packages import Hardware

CPU: Provider = ("CPUExecutionProvider", {})


@dataclass(frozen=True)
class Place:
    """The device and the providers that run a job.

    `device` is torch's, for images and features. `providers` are in order: the next one runs what
    the first does not support. `hardware` is that of a first provider from a package. With `half`,
    the model itself is in half precision. `title` names a provider that may refuse models, and
    what it runs on; it is "" for the CPU, CUDA and TensorRT.
    """

    device: torch.device
    providers: tuple[Provider, ...]
    half: bool = False
    hardware: Hardware | None = None
    title: str = ""

    @property
    def compiles(self) -> bool:
        """True if models are compiled for the sizes of their inputs, by TensorRT."""
        return self.providers[0][0] == TENSORRT

    @property
    def on_cpu(self) -> bool:
        """True if ONNX Runtime's provider for the CPU runs all of it."""
        return self.providers == (CPU,)


#: The place of what another provider refuses.
ON_CPU = Place(torch.device("cpu"), (CPU,))
