"""What the PyTorch backend can be told; here, so that listing it imports no PyTorch."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from ..core.backend import BackendOptions


class TorchOptions(BackendOptions):
    """Options of the backend `torch`."""

    convolution: Literal["auto", "direct"] = Field(
        default="auto",
        description="auto: by Winograd's algorithm where that is faster (float32 on the CPU, many "
        "channels); direct: as torch does it",
    )
    cuda_graph: Literal["auto", "off"] = Field(
        default="auto",
        description="auto: on CUDA, the work of a step is recorded once and then launched as a "
        "whole, where losses allow for it; off: each kernel is launched for itself",
    )
