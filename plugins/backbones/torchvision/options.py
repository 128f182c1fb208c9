"""Options of torchvision's models, in a module that does not import torch."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from ....core.job.paths import JobPath
from ..padding import DESCRIPTION, Padding
from ..weight_files import SUFFIXES


class TorchvisionOptions(BaseModel):
    """Options of the backbones that are called like a model of torchvision."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    weights: Annotated[str, JobPath(suffixes=SUFFIXES)] = Field(
        default="torchvision",
        description="torchvision (its default, a download), one of its names for them, such as "
        "IMAGENET1K_V1, or a .safetensors or .pth file",
    )
    pooling: Literal["max", "average"] = Field(
        default="max", description="average replaces max pooling, where the model has any"
    )
    padding: Padding = Field(default="zeros", description=DESCRIPTION)


class AnyModelOptions(TorchvisionOptions):
    """Options of the backbone `torchvision`."""

    model: str = Field(description="the model's name in torchvision.models, such as densenet121")
