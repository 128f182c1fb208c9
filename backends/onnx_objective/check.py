"""The comparison of an objective's model with the objective that it was made from."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
import torch

from ...core.errors import BackendError
from ...core.interfaces.optimizer import Evaluation
from ..accuracy.distances import relative_l2
from ..offline import import_onnxruntime
from .assembly import GRADIENT, LOSS

if TYPE_CHECKING:
    from onnxruntime import InferenceSession  # noqa: TID251 - for its types alone

onnxruntime = import_onnxruntime()

#: Largest relative difference of the loss and of each of its parts; float32 sums of a million
#: numbers differ by a few times 1e-6.
VALUE_TOLERANCE = 1e-5
#: The same for the gradient, as relative L2 distance. A rectifier or a maximum within rounding of
#: its kink may switch at one image, so that this has to hold at one image at least: an error of the
#: model shows at all of them.
GRADIENT_TOLERANCE = 1e-3
#: Largest distance of a gradient at any image: what switched rectifiers change (docs/parity.md).
SWITCHED_TOLERANCE = 2e-2

#: Least part of the whole loss that a term's difference is compared with: a term may be zero at an
#: image.
_LEAST_PART = 1e-2

Feeds = Mapping[str, "np.ndarray[Any, Any]"]


@dataclass(frozen=True)
class ObjectiveDistances:
    """The largest relative difference of a loss, and the gradients' distances, image by image."""

    value: float
    gradients: tuple[float, ...]


def open_model(model: onnx.ModelProto) -> InferenceSession:
    """Open a model in ONNX Runtime on the CPU."""
    return onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )


def check_objective(
    session: InferenceSession, cases: Iterable[tuple[Feeds, Evaluation]]
) -> ObjectiveDistances:
    """Compare an open model with evaluations of the objective.

    The model gets the inputs of each case. Raises BackendError where a tolerance is exceeded.
    """
    names = [output.name for output in session.get_outputs()]
    worst, gradients = 0.0, []
    for feeds, expected in cases:
        outputs = dict(zip(names, session.run(names, dict(feeds)), strict=True))
        values = {f"{LOSS}/{name}": value for name, value in expected.losses.items()}
        values[LOSS] = expected.value
        least = _LEAST_PART * abs(expected.value)
        for name, value in values.items():
            difference = abs(float(outputs[name]) - value)
            distance = difference / max(abs(value), least) if difference else 0.0
            worst = max(worst, distance)
            if not distance <= VALUE_TOLERANCE:  # also where it is not a number
                raise BackendError(
                    f"the model's output {name} is {float(outputs[name]):.7g} instead of "
                    f"{value:.7g}: off by {distance:.1e}; {VALUE_TOLERANCE:.0e} is allowed"
                )
        gradient = torch.from_numpy(outputs[GRADIENT])
        gradients.append(relative_l2(gradient, expected.gradient))
    _check_gradients(gradients)
    return ObjectiveDistances(worst, tuple(gradients))


def _check_gradients(distances: list[float]) -> None:
    for limit, distance in (
        (GRADIENT_TOLERANCE, min(distances)),
        (SWITCHED_TOLERANCE, max(distances, key=lambda value: (value != value, value))),
    ):
        if not distance <= limit:
            raise BackendError(
                f"the model's gradient differs from torch's by {distance:.1e} (relative L2); "
                f"{limit:.0e} is allowed"
            )
