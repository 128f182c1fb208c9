"""The one interface that matters: what evaluates a backbone and its vector-Jacobian product."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Mapping, Sequence
from types import MappingProxyType, TracebackType
from typing import TYPE_CHECKING, Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict

from ..job.halves import HOW_COMPUTED

if TYPE_CHECKING:
    import torch
    from torch import Tensor

#: Layer name -> activations (N, C, H, W), float32, on the backend's device.
Features = Mapping[str, "Tensor"]


#: dL/dfeatures -> dL/dimage (N, 3, H, W), float32, both on the backend's device. Layers that are
#: left out count as zero. The cotangents' values are not modified. May be called once: it frees
#: what the forward pass kept. Raises UsageError for a layer that the backend was not made for,
#: BackendError for a cotangent that has another shape or type than its layer; a second call gives
#: the same again or raises BackendError.
Pullback = Callable[[Features], "Tensor"]


#: In what the network computes. tf32 is float32 whose products see 11 bits of each factor; images,
#: features, losses and gradients are float32 with all of them.
Precision = Literal["float32", "tf32", "bf16", "fp16"]


class BackendOptions(BaseModel):
    """The options that every backend has; a backend with more subclasses it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    device: Annotated[str, HOW_COMPUTED] = "auto"
    precision: Precision = "float32"


class FeatureBackend(ABC):
    """A backbone, ready to run for a fixed set of layers.

    Images are (N, 3, H, W), float32, RGB, sRGB-encoded, nominally in [0, 1] (values outside are
    allowed: an optimizer may pass through them); normalisation belongs to the backbone. They may be
    on any device. A backend never sees a loss, keeps nothing between calls (what it gave stays as
    it is, and several pullbacks may be open), and does not modify its inputs.

    A call that is wrong is a StylectlError, never a crash or a silent guess: BackendError for an
    image of another shape or type, or for use after `close`, UsageError for a layer that the
    backend was not made for. `check_image`, `check_layers` and `checked_pullback` are these checks,
    and `stylectl.testing.BackendSuite` tests all that is said.
    """

    layers: tuple[str, ...]
    device: torch.device
    #: How it runs, beside the device, where that is worth telling: kept with the picture.
    details: Mapping[str, str] = MappingProxyType({})
    #: Whether its work can be recorded as a CUDA graph: all of it is queued on torch's current
    #: stream, and nothing of what is computed is looked at.
    recordable: bool = False

    @abstractmethod
    def features(self, image: Tensor, layers: Collection[str] | None = None) -> Features:
        """Activations without gradients, of `layers` (some of the backend's; default: all), and of
        no others. Raises BackendError and UsageError as above."""

    @abstractmethod
    def vjp(self, image: Tensor) -> tuple[Features, Pullback]:
        """All layers' activations, and the pullback that carries their cotangents to the pixels.

        Raises BackendError as above."""

    def prepare(self, sizes: Sequence[tuple[int, int]]) -> None:  # noqa: B027
        """Told before a run: the sizes (height, width) of the images to come, the one that most
        come in last. For runtimes that compile for sizes; others come as well, and must work."""

    def close(self) -> None:  # noqa: B027 - most backends hold nothing that needs closing
        """Free what the backend holds. May be called again. Whoever uses the backend afterwards
        gets BackendError; a pullback that is still open works, or raises it too."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
