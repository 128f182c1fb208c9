"""The comparison of an exported model with the trunk that it was made from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import onnx
import torch
from torch import Tensor

from ...core.errors import BackendError
from ...core.interfaces.backbone import LayerInfo
from ...core.interfaces.trunk import Trunk
from ..accuracy.distances import relative_l2
from ..offline import import_onnxruntime
from .export import IMAGE

if TYPE_CHECKING:
    from onnxruntime import InferenceSession  # noqa: TID251 - for its types alone

onnxruntime = import_onnxruntime()

#: Largest relative L2 distance of a layer that is allowed, for networks in float32 (False) and in
#: float16 (True). In float32 the order of the sums differs: a few times 6e-8 for each convolution,
#: which adds up over some tens of layers. In float16 each activation is rounded by 5e-4, ONNX
#: Runtime's kernels for the CPU round less often than torch's, and that too adds up.
TOLERANCE = {False: 1e-5, True: 1e-2}


def check_model(
    model: onnx.ModelProto,
    trunk: Trunk,
    deepest: LayerInfo,
    sizes: Sequence[tuple[int, int]] | None = None,
) -> Mapping[str, float]:
    """Compare the model with the trunk at three sizes, or at the given `sizes`, (height, width).

    Returns each layer's largest relative L2 distance. Raises BackendError when one exceeds the
    tolerance.
    """
    side = deepest.smallest_side
    half = next((weight.dtype for weight in trunk.parameters()), torch.float32) == torch.float16
    worst: dict[str, float] = {}
    sizes = sizes or ((side, side), (2 * side + 5, 3 * side + 7), (4 * side - 1, 3 * side))
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    for image in _noise(sizes):
        for layer, distance in _distances(session, trunk, image).items():
            worst[layer] = max(distance, worst.get(layer, 0.0))
    for layer, distance in worst.items():
        if not distance <= TOLERANCE[half]:  # also where it is not a number
            raise BackendError(
                f"the exported model differs from torch by {distance:.1e} at the layer {layer}; "
                f"{TOLERANCE[half]:.0e} is allowed"
            )
    return worst


def _noise(sizes: Sequence[tuple[int, int]]) -> list[Tensor]:
    generator = torch.Generator().manual_seed(0)
    return [torch.rand(1, 3, height, width, generator=generator) for height, width in sizes]


def _distances(session: InferenceSession, trunk: Trunk, image: Tensor) -> dict[str, float]:
    layers = [output.name for output in session.get_outputs()]
    outputs = session.run(layers, {IMAGE: image.numpy()})
    with torch.no_grad():
        expected = trunk(image, layers)
    distances = {}
    for layer, output in zip(layers, outputs, strict=True):
        reference = expected[layer].float()
        if output.shape != reference.shape:
            raise BackendError(
                f"the exported model's layer {layer} has the shape {output.shape}, "
                f"torch's {tuple(reference.shape)}"
            )
        distances[layer] = relative_l2(torch.from_numpy(output), reference)
    return distances
