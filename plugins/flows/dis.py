"""Optical flow by dense inverse search, as OpenCV computes it.

Kroeger, Timofte, Dai and Van Gool 2016, "Fast Optical Flow using Dense Inverse Search".
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from ...core.errors import UsageError
from ...core.interfaces.specs import FlowArguments, FlowSpec
from ...core.interfaces.video.flow import FlowEstimator, FlowFrame
from .. import hooks

if TYPE_CHECKING:
    import numpy as np

#: Iterations of the variational refinement of `fine`; those of `medium` are 5.
_REFINEMENTS = 10

#: OpenCV gives no flow for smaller frames.
_LEAST_SIDE = 16


class DISOptions(BaseModel):
    """Options of the optical flow `dis`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    preset: Literal["ultrafast", "fast", "medium", "fine"] = Field(
        default="fine",
        description="OpenCV's, from the fastest one on; fine: medium, refined at full resolution, "
        "which halves its errors and takes three times as long",
    )
    still: float = Field(
        default=0.05,
        ge=0,
        le=1,
        description="motions shorter than this number of pixels are noise, and count as none",
    )


class DIS(FlowEstimator):
    """Dense inverse search on gray frames."""

    def __init__(self, arguments: FlowArguments[DISOptions]) -> None:
        """Create it. Raises UsageError if OpenCV is not installed."""
        try:
            import cv2
        except ImportError:
            raise UsageError(
                'the optical flow dis needs OpenCV: pip install "stylectl[video]"'
            ) from None
        self._cv2, self._still = cv2, arguments.options.still
        fine = arguments.options.preset == "fine"
        name = "medium" if fine else arguments.options.preset
        preset = getattr(cv2, f"DISOPTICAL_FLOW_PRESET_{name.upper()}")
        self._dis = getattr(cv2, "DISOpticalFlow_create")(preset)  # noqa: B009 - without a type
        if fine:
            self._dis.setFinestScale(0)
            self._dis.setVariationalRefinementIterations(_REFINEMENTS)

    def flow(self, first: FlowFrame, second: FlowFrame) -> np.ndarray:
        """Return the displacement of each pixel. See FlowEstimator.flow.

        Frames of fewer than 16 px on a side are continued by repeating their edges.
        """
        import numpy as np

        height, width = first.image.shape[:2]
        flow = self._dis.calc(self._gray(first.image), self._gray(second.image), None)
        flow = np.ascontiguousarray(flow[:height, :width])
        flow[np.hypot(flow[..., 0], flow[..., 1]) < self._still] = 0
        return flow

    def _gray(self, image: np.ndarray) -> np.ndarray:
        gray = self._cv2.cvtColor(image, self._cv2.COLOR_RGB2GRAY)
        below, right = (max(0, _LEAST_SIDE - side) for side in gray.shape)
        if not below and not right:
            return gray
        return self._cv2.copyMakeBorder(gray, 0, below, 0, right, self._cv2.BORDER_REPLICATE)


@hooks.flows
def flows() -> Iterable[FlowSpec[Any]]:
    """Yield the optical flow `dis`."""
    yield FlowSpec(
        name="dis",
        summary="dense inverse search (OpenCV): fast, on the CPU",
        create=DIS,
        options=DISOptions,
    )
