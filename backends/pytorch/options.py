"""Options of the PyTorch backend, apart from it so that listing them imports no PyTorch."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from ...core.interfaces.backend import BackendOptions, PrecisionChoice
from ...core.job.halves import HOW_COMPUTED


class TorchOptions(BackendOptions):
    """Options of the backend `torch`."""

    chooses_precision = True

    precision: PrecisionChoice = Field(
        default="auto",
        description="arithmetic of the network; auto: tf32 on CUDA, bf16 on CPUs with AMX or "
        "AVX512-bf16, else float32",
    )
    convolution: Annotated[Literal["auto", "direct"], HOW_COMPUTED] = Field(
        default="auto",
        description="auto: by Winograd's algorithm where that is faster (float32 on the CPU, many "
        "channels); direct: as torch does it",
    )
    cuda_graph: Annotated[Literal["auto", "off"], HOW_COMPUTED] = Field(
        default="auto",
        description="auto: on CUDA, the work of a step is recorded once and then launched as a "
        "whole, where losses allow for it; off: each kernel is launched for itself",
    )
