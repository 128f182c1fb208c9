"""Numbers of a run as JSON, for programs."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from typing import Any

from ...core.interfaces.specs import NoOptions, WriterArguments, WriterSpec
from ...core.interfaces.writer import Writer, WriteRequest
from .. import hooks


class JSONWriter(Writer):
    """JSON object with the keys below, which stay; others may be added.

    - `format`: the number of the record's format, 2
    - `job`: the job, with paths relative to the file's folder
    - `size`: width and height in pixels
    - `iterations`: optimizer steps made, over all scales
    - `initial_loss`, `final_loss`: weighted losses by term, at the first and the last step
    - `seconds`, `seconds_per_iteration`: of the run, and of a step at the last scale (median)
    - `backend`, `device`, `details`: what the run used, and how
    - `interrupted`, `stopped_by`: whether the run ended early, and why (null if it did not)
    - `versions`, `inputs`: versions of the software, by name; SHA-256 of the image files, by path
    - `scales`: the pyramid: each `size` (width, height) and its `steps`
    - `steps`: for each evaluated image its `scale` (an index of `scales`), `step` (0 is the
      scale's starting point), `seconds` since the start, `loss`, and `losses` by term

    A number that is not finite is null.
    """

    def __init__(self, arguments: WriterArguments[NoOptions]) -> None:
        pass

    def write(self, request: WriteRequest) -> None:
        """See Writer.write."""
        result, path, record = request.result, request.path, request.record
        numbers = {
            **record,
            "stopped_by": result.stop_reason,
            "scales": [
                {"size": [scale.width, scale.height], "steps": scale.steps}
                for scale in result.scales
            ],
            "steps": [
                {
                    "scale": step.scale,
                    "step": step.step,
                    "seconds": round(step.seconds, 6),
                    "loss": step.loss,
                    "losses": dict(step.losses),
                }
                for step in result.steps
            ],
        }
        text = json.dumps(_finite(numbers), indent=1, allow_nan=False)
        path.write_text(text + "\n", encoding="utf-8")


def _finite(value: Any) -> Any:
    """Replace numbers that are not finite, which JSON lacks, by None."""
    match value:
        case dict():
            return {key: _finite(item) for key, item in value.items()}
        case list() | tuple():
            return [_finite(item) for item in value]
        case float() if not math.isfinite(value):
            return None
    return value


@hooks.writers
def writers() -> Iterable[WriterSpec[Any]]:
    """Yield the writer `json`. Its files hold no pixels, so that no transparency is lost."""
    yield WriterSpec(
        name="json",
        summary="numbers of the run: losses and time of each step",
        suffixes=(".json",),
        create=JSONWriter,
        options=NoOptions,
        keeps_alpha=True,
    )
