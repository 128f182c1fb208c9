"""What the ONNX backend can be told; here, so that listing it imports no ONNX Runtime."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from ..core.backend import BackendOptions


class OnnxOptions(BackendOptions):
    """Options of the backend `onnx`."""

    gradient: Literal["auto", "native", "torch"] = Field(
        default="auto",
        description="native: in ONNX Runtime; torch: by PyTorch on the same weights; "
        "auto: native where every operator of the network has a rule",
    )
    convolution: Literal["auto", "direct"] = Field(
        default="auto",
        description="auto: by Winograd's algorithm where that is faster (on the CPU, many "
        "channels); direct: as ONNX Runtime does it",
    )
