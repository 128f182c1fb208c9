"""Interface of a backend, which evaluates a backbone and its vector-Jacobian product."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType, TracebackType
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal, Self, cast

from pydantic import BaseModel, ConfigDict, field_validator

from ..job.halves import HOW_COMPUTED

if TYPE_CHECKING:
    import torch
    from torch import Tensor

#: Layer name -> activations (N, C, H, W), float32, on the backend's device.
Features = Mapping[str, "Tensor"]

#: dL/dfeatures -> dL/dimage (N, 3, H, W), float32, both on the backend's device. Layers that are
#: left out count as zero. The cotangents' values are not modified. May be called once: it frees
#: what the forward pass kept. Raises UsageError for a layer that the backend was not created for,
#: BackendError for a cotangent whose shape or type is not its layer's; a second call returns the
#: same gradient again or raises BackendError.
Pullback = Callable[[Features], "Tensor"]


#: Arithmetic of the network. tf32 is float32 whose products use 11 bits of each factor; images,
#: features, losses and gradients are full float32 in every precision.
Precision = Literal["float32", "tf32", "bf16", "fp16"]

#: A precision, or that which the backend chooses for its device.
PrecisionChoice = Literal["auto", "float32", "tf32", "bf16", "fp16"]


@dataclass(frozen=True, kw_only=True)
class BackendDevice:
    """A device of a backend on this machine, or one that it could have.

    - `name`: as the option `device` takes it.
    - `hardware`: the name of the hardware.
    - `runtime`: name and version of what computes there.
    - `precisions`: those that it computes in.
    - `unusable`: why it cannot be used, and what to do about it; "" if it can be.
    """

    name: str
    hardware: str = ""
    runtime: str = ""
    precisions: tuple[Precision, ...] = ()
    unusable: str = ""


class BackendOptions(BaseModel):
    """Options that every backend has; a backend with more options subclasses it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    #: Whether the backend chooses a precision for `auto`, and states it; see FeatureBackend.
    chooses_precision: ClassVar[bool] = False

    device: Annotated[str, HOW_COMPUTED] = "auto"
    precision: PrecisionChoice = "float32"

    @field_validator("precision")
    @classmethod
    def _check_precision(cls, precision: PrecisionChoice) -> PrecisionChoice:
        if precision == "auto" and not cls.chooses_precision:
            raise ValueError("this backend chooses no precision; use float32")
        return precision


class LazyCotangents(Mapping[str, "Tensor"]):
    """Cotangents by layer, each of which a pullback may remove with `take`.

    The caller keeps no reference to them, so that the memory of a cotangent is free once it has
    been taken and used. The `pending` ones are computed when they are first accessed.
    """

    def __init__(
        self,
        known: Mapping[str, Tensor],
        pending: Mapping[str, Callable[[], Tensor]] = MappingProxyType({}),
    ) -> None:
        self._known, self._pending = dict(known), dict(pending)

    def take(self, layer: str) -> Tensor:
        """Remove and return the layer's cotangent."""
        cotangent = self[layer]
        del self._known[layer]
        return cotangent

    def __getitem__(self, layer: str) -> Tensor:
        if layer in self._pending:
            self._known[layer] = self._pending.pop(layer)()
        return self._known[layer]

    def __contains__(self, layer: object) -> bool:
        return layer in self._known or layer in self._pending

    def __iter__(self) -> Iterator[str]:
        return iter([*self._known, *self._pending])

    def __len__(self) -> int:
        return len(self._known) + len(self._pending)


class FeatureBackend(ABC):
    """A backbone that is ready to run for a fixed set of layers.

    Images are (N, 3, H, W), float32, RGB, sRGB-encoded, nominally in [0, 1] (values outside are
    allowed: an optimizer may pass through them); normalisation belongs to the backbone. They may be
    on any device. A backend has no access to the losses, keeps no state between calls (returned
    tensors stay unchanged, and several pullbacks may be open), and does not modify its inputs.

    A wrong call raises a StylectlError; it neither crashes nor guesses silently: BackendError for
    an image of another shape or type, or for use after `close`, UsageError for a layer that the
    backend was not created for. `check_image`, `check_layers` and `checked_pullback` are these
    checks, and `stylectl.testing.BackendSuite` tests this contract.
    """

    layers: tuple[str, ...]
    device: torch.device
    #: The precision that it has chosen for ``auto``; None if its options name one.
    chosen_precision: Precision | None = None
    #: How the backend runs, beside the device, where users should know it; kept in the record.
    details: Mapping[str, str] = MappingProxyType({})
    #: Whether its work can be recorded as a CUDA graph: all of it is queued on torch's current
    #: stream, and no computed value is read on the host.
    recordable: bool = False
    #: Memory that `vjp` keeps of the network until its pullback ends, in units of the activations
    #: of all of the backbone's layers up to the deepest that is used; for the choice of tiles. The
    #: default is that of automatic differentiation, where a layer is kept before and after its
    #: rectifier. Temporary arrays are counted in addition.
    memory_factor: float = 2.6

    @abstractmethod
    def features(self, image: Tensor, layers: Collection[str] | None = None) -> Features:
        """Return the activations of exactly `layers`, without gradients.

        `layers` are some of the backend's (default: all). Raises BackendError and UsageError as
        stated for the class.
        """

    @abstractmethod
    def vjp(self, image: Tensor) -> tuple[Features, Pullback]:
        """Return the activations of all layers, and the pullback of their cotangents to the pixels.

        Raises BackendError as stated for the class.
        """

    def prepare(self, sizes: Sequence[tuple[int, int]]) -> None:  # noqa: B027
        """Prepare for images of `sizes`; called before a run.

        `sizes` are (height, width), the most frequent last. Meant for runtimes that compile for
        sizes. Images of other sizes may follow, and must work.
        """

    def close(self) -> None:  # noqa: B027 - most backends hold nothing that needs closing
        """Free what the backend holds; may be called again.

        Using the backend afterwards raises BackendError; a pullback that is still open works, or
        raises it too.
        """

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def precision_of(backend: FeatureBackend, options: BackendOptions) -> Precision:
    """Return the precision that an open backend with these options computes in."""
    return backend.chosen_precision or cast(Precision, options.precision)
