"""Options of the ONNX backend, apart from it so that listing them imports no ONNX Runtime."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from ...core.interfaces.backend import BackendOptions, PrecisionChoice
from ...core.job.halves import HOW_COMPUTED


class OnnxOptions(BackendOptions):
    """Options of the backend `onnx`."""

    chooses_precision = True

    precision: PrecisionChoice = Field(
        default="auto",
        description="arithmetic of the network; auto: tf32 on CUDA, else float32",
    )
    gradient: Literal["auto", "native", "torch"] = Field(
        default="auto",
        description="native: in ONNX Runtime; torch: by PyTorch on the same weights; "
        "auto: native where every operator of the network has a rule",
    )
    convolution: Annotated[Literal["auto", "direct"], HOW_COMPUTED] = Field(
        default="auto",
        description="auto: by Winograd's algorithm where that is faster (on the CPU, many "
        "channels); direct: as ONNX Runtime does it",
    )
