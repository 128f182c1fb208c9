"""Optical flow between the frames of a clip, kept in the work folder."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from ....core.attribution import attributed_to
from ....core.errors import OutputError, PluginError
from ....core.interfaces.video.flow import FlowEstimator, FlowFrame
from ....core.video.flow_png import decoded, encoded
from ....core.video.reliability import reliable
from ....core.video.scenes import is_cut
from .folder import WorkFolder
from .pictures import read_frame, replace_file


@dataclass(frozen=True)
class KnownFlow:
    """Flow of a frame to another one.

    `flow` is (1, 2, H, W), in pixels: to the right, and down. `reliability` is (1, 1, H, W), 1
    where the flow is reliable, else 0.
    """

    flow: Tensor
    reliability: Tensor


class Flows:
    """Flows between the frames of a clip: each is computed once, and then read from its file."""

    def __init__(self, estimator: FlowEstimator, label: str, folder: WorkFolder) -> None:
        """Compute flows by an `estimator`, which `label` names in messages."""
        self._estimator, self._label, self._folder = estimator, label, folder
        self._frame = lru_cache(maxsize=16)(self._read_frame)

    def flow(self, number: int, former: int) -> KnownFlow | None:
        """Return the flow of a frame to another one, or None if the estimator has none.

        Raises OutputError, and PluginError for an estimator that breaks its contract.
        """
        path = self._folder.flow(number, former)
        if not path.is_file():
            data = self._encoded(number, former)
            if data is None:
                return None
            replace_file(path, data)
        try:
            flow, valid = decoded(path.read_bytes())
        except (OSError, ValueError) as error:
            raise OutputError(
                f"{path}: cannot be read ({error}); delete it, and it is made again"
            ) from None
        return KnownFlow(_maps(flow), torch.from_numpy(valid.astype(np.float32))[None, None])

    def starts_scene(self, number: int) -> bool:
        """Return whether a frame starts a scene: the clip's first frame, and those after a cut."""
        if number == 0:
            return True
        known = self.flow(number, number - 1)
        assert known is not None
        part = known.reliability.mean().item()
        return is_cut(self._frame(number - 1).image, self._frame(number).image, part)

    def _encoded(self, number: int, former: int) -> bytes | None:
        frames = self._frame(number), self._frame(former)
        flow, reverse = self._computed(*frames), self._computed(*frames[::-1])
        if flow is None or reverse is None:
            if abs(number - former) == 1:
                raise PluginError(f"{self._label} gives no flow for frames {former} and {number}")
            return None
        reliability = reliable(_maps(flow), _maps(reverse))[0, 0].numpy()
        return encoded(flow, reliability)

    def _computed(self, first: FlowFrame, second: FlowFrame) -> np.ndarray | None:
        with attributed_to(self._label):
            flow = self._estimator.flow(first, second)
        if flow is None:
            return None
        shape = (*first.image.shape[:2], 2)
        if not isinstance(flow, np.ndarray) or flow.shape != shape or flow.dtype != np.float32:
            raise PluginError(f"{self._label} must return an array of float32 of the shape {shape}")
        if not np.isfinite(flow).all():
            raise PluginError(f"{self._label} returned displacements that are not finite")
        return flow

    def _read_frame(self, number: int) -> FlowFrame:
        image = np.ascontiguousarray(read_frame(self._folder.frame(number)))
        return FlowFrame(number, image)


def _maps(flow: np.ndarray) -> Tensor:
    return torch.from_numpy(flow).permute(2, 0, 1)[None].contiguous()
