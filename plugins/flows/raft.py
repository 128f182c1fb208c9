"""Optical flow by RAFT, as torchvision implements it.

Teed and Deng 2020, "RAFT: Recurrent All-Pairs Field Transforms for Optical Flow".
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from ...core.errors import WeightsError
from ...core.interfaces.specs import FlowArguments, FlowSpec
from ...core.interfaces.video.flow import FlowEstimator, FlowFrame
from ...core.job.paths import JobPath
from .. import hooks

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

#: Sides must be multiples of 8, and the network's coarsest correlations need 16 positions.
_STRIDE, _LEAST_SIDE = 8, 128


class RAFTOptions(BaseModel):
    """Options of the optical flow `raft`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    weights: Annotated[str, JobPath] = Field(
        description="torchvision's weights file of the model, .pth or .safetensors"
    )
    model: Literal["raft_small", "raft_large"] = Field(
        default="raft_large", description="torchvision's model that the weights belong to"
    )
    updates: int = Field(default=12, ge=1, le=100, description="updates of the flow")
    device: str = Field(default="cpu", description="torch device, such as cpu or cuda")


class RAFT(FlowEstimator):
    """RAFT with weights from a file."""

    def __init__(self, arguments: FlowArguments[RAFTOptions]) -> None:
        """Read the weights.

        Raises UsageError for a missing file, and WeightsError for one of another network.
        """
        from ..backbones.torchvision.loading import import_torchvision
        from ..backbones.weight_files import existing_file, read_tensors

        options = arguments.options
        tensors = read_tensors(existing_file(options.weights, "the file of torchvision's weights"))
        models = import_torchvision("torchvision.models.optical_flow")
        network = getattr(models, options.model)(weights=None)
        try:
            network.load_state_dict(tensors)
        except RuntimeError:
            raise WeightsError(
                f"{Path(options.weights)}: not the weights of torchvision's {options.model}"
            ) from None
        self._network = network.eval().requires_grad_(False).to(options.device)
        self._device, self._updates = options.device, options.updates

    def flow(self, first: FlowFrame, second: FlowFrame) -> np.ndarray:
        """Return the displacement of each pixel. See FlowEstimator.flow."""
        import torch

        height, width = first.image.shape[:2]
        with torch.no_grad():
            flows = self._network(
                self._input(first), self._input(second), num_flow_updates=self._updates
            )
        flow: np.ndarray = flows[-1][0, :, :height, :width].permute(1, 2, 0).cpu().numpy().copy()
        return flow

    def _input(self, frame: FlowFrame) -> Tensor:
        """Return the network's input: in [-1, 1], with sides that it accepts."""
        import torch
        from torch.nn import functional

        image = torch.from_numpy(frame.image.copy()).permute(2, 0, 1)[None].float() / 127.5 - 1
        below, right = (
            max(_LEAST_SIDE, -(-side // _STRIDE) * _STRIDE) - side for side in image.shape[2:]
        )
        return functional.pad(image, (0, right, 0, below), mode="replicate").to(self._device)


@hooks.flows
def flows() -> Iterable[FlowSpec[Any]]:
    """Yield the optical flow `raft`."""
    yield FlowSpec(
        name="raft",
        summary="RAFT (torchvision), with weights from a file",
        create=RAFT,
        options=RAFTOptions,
    )
