"""The ONNX Runtime backend: the exported backbone, with its gradient in ONNX or in torch."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Literal

import onnx
import torch
from torch import Tensor

from ...core.errors import BackendError
from ...core.interfaces.backbone import Backbone
from ...core.interfaces.backend import FeatureBackend, Features, Precision, Pullback, precision_of
from ...core.interfaces.contract import check_image, check_layers, checked_pullback
from ...core.machine.malloc import collect_and_return_memory
from ..accuracy.network_check import NetworkCheck, Origin
from ..disk_cache import cache_limit, code_hash, key_of, trim
from ..offline import import_onnxruntime
from ..onnx_export.export import IMAGE
from ..onnx_export.widening import WidenedFile, has_halves
from ..onnx_gradient import cotangent_name
from ..pytorch import converted
from ..pytorch.backend import TorchBackend
from ..pytorch.converted import ConvertedBackbone, converter_version
from ..pytorch.options import TorchOptions
from .loading import Loader
from .models import Models, cache_folder, open_models
from .options import OnnxOptions
from .providers.finding import automatic_precision_of, find_place
from .providers.place import Place
from .refusals import Trial
from .session import Session, to_onnx, to_torch
from .tensorrt import ShapeRange, shape_ranges
from .vjp import NativeVjp

onnxruntime = import_onnxruntime()


class OnnxBackend(FeatureBackend):
    """A backbone in ONNX Runtime.

    `gradient` states what computes the vjp, and `gradient_reason` why: "native" is a second ONNX
    model, whose inputs are values that the first has computed; "torch" is the torch backend, on
    the same weights. ONNX Runtime and torch share the memory of the tensors that they exchange.
    """

    gradient: Literal["native", "torch"]
    gradient_reason: str

    def __init__(self, backbone: Backbone, layers: Sequence[str], options: OnnxOptions) -> None:
        """Open the backbone's models.

        Raises BackendError when the device, the precision, or a native gradient that the options
        require is not available.
        """
        if options.precision == "auto":
            self.chosen_precision = automatic_precision_of(options.device)
            options = options.model_copy(update={"precision": self.chosen_precision})
        precision = precision_of(self, options)
        limit = cache_limit()
        self._named = partial(_named, backbone.name)
        self._place = placement = find_place(options.device, precision)
        self.device, self.layers = placement.device, tuple(layers)
        self._half = precision == "fp16"
        self._models_open = ExitStack()
        self._models = models = self._models_open.enter_context(
            open_models(
                backbone,
                self.layers,
                half=placement.half,
                on_cpu=placement.on_cpu,
                convolution=options.convolution,
            )
        )
        self.gradient, self.gradient_reason = _gradient_choice(options, models)
        self._torch = self._torch_backend(backbone, options) if self.gradient == "torch" else None
        self._smallest_side = backbone.deepest(self.layers).smallest_side
        with self._named():
            self._load({})
        self._check = NetworkCheck(
            backbone.name,
            self._smallest_side,
            restricted=models.from_file,
            origin=partial(_origin, backbone, self.layers, precision, placement),
            precision=precision,
            native=self.gradient == "native",
            folder=cache_folder() / "checked",
            key=key_of(
                models.key,
                placement,
                self._refusals,
                _name_of(self.device),
                *_versions(),
                _code(),
            ),
        )
        self._checked = False
        if not placement.compiles:
            self._checked = self._check_network()
            self._models_open.close()
        trim(cache_folder(), limit)
        self.details = {
            "onnxruntime": onnxruntime.__version__,
            **({"provider": placement.title} if placement.title else {}),
            **({"on_the_cpu": self._refusals} if self._refusals else {}),
            "gradient": self.gradient,
            "gradient_because": self.gradient_reason,
            **({"onnx2pytorch": converter_version()} if self._torch and models.from_file else {}),
        }
        collect_and_return_memory()

    def features(self, image: Tensor, layers: Collection[str] | None = None) -> Features:
        """See FeatureBackend.features."""
        wanted = self.layers if layers is None else tuple(layers)
        check_layers(wanted, self.layers)
        check_image(image)
        with self._named():
            values = self._forward.run({IMAGE: to_onnx(image.to(self.device))}, wanted)
        return {layer: to_torch(value) for layer, value in values.items()}

    def vjp(self, image: Tensor) -> tuple[Features, Pullback]:
        """See FeatureBackend.vjp."""
        check_image(image)
        with self._named():
            features, pullback = self._vjp(image.to(self.device))
        return features, self._named()(checked_pullback(features, pullback))

    def prepare(self, sizes: Sequence[tuple[int, int]]) -> None:
        """See FeatureBackend.prepare."""
        if self._place.compiles:
            ranges = shape_ranges(onnx.load(self._models.forward), sizes)
            cotangents = {cotangent_name(layer): ranges[layer] for layer in self.layers}
            with self._named():
                self._load(ranges | cotangents)
        if not self._checked:  # a network that is compiled for sizes, or takes no others
            self._checked = self._check_network([min(sizes)])

    def close(self) -> None:
        """See FeatureBackend.close."""
        self._models_open.close()
        for evaluator in self._open:
            evaluator.close()

    def _check_network(self, sizes: Sequence[tuple[int, int]] = ()) -> bool:
        try:
            return self._check.once(self, sizes)
        except BaseException:
            self.close()
            raise

    def _torch_backend(self, backbone: Backbone, options: OnnxOptions) -> TorchBackend:
        torch_options = TorchOptions(
            device=str(self.device),
            precision=options.precision,
            convolution=options.convolution,
        )
        from_file, reason = self._models.from_file, self._models.reason
        origin = ConvertedBackbone(backbone) if from_file else backbone
        try:
            return TorchBackend(origin, self.layers, torch_options)
        except BackendError as error:
            named = from_file and self.gradient_reason == reason
            advice = "; layers that do not depend on this node need none" if named else ""
            raise BackendError(
                f"gradient by torch ({self.gradient_reason}): {error}{advice}"
            ) from None

    def _load(self, ranges: Mapping[str, ShapeRange]) -> None:
        loader = Loader(self._place, self._models.key, self._models.fresh)
        native, self._refusals = self.gradient == "native", ""
        backward: Session | None = None
        if self._place.title:
            trial = Trial(loader, self._models, self.layers, self._half, self._smallest_side)
            tried = trial.load(native=native)
            self._forward, backward, self._refusals = tried.forward, tried.backward, tried.refusals
        else:
            self._forward = loader.session(self._models.forward, ranges)
            if native and self._models.backward:
                backward = loader.session(self._models.backward, ranges)
        self._open: list[Session | TorchBackend] = [self._forward]
        self._vjp: Callable[[Tensor], tuple[Features, Pullback]]
        if self._torch:
            self._open.append(self._torch)
            self._vjp = self._torch.vjp
        elif backward:
            self._open.append(backward)
            self._vjp = NativeVjp(self._forward, backward, self.layers, self._half)


@contextmanager
def _named(network: str) -> Iterator[None]:
    """Raise ONNX Runtime's errors with the network's name, which contains that of a file."""
    try:
        yield
    except BackendError as error:
        raise BackendError(f"{network}: {error}") from None


def _origin(
    backbone: Backbone, layers: Sequence[str], precision: Precision, place: Place
) -> Origin | None:
    """Open the network in float32 on the CPU; return None if the backend itself is that.

    An ONNX file whose numbers are halves is compared as if it were run in halves.
    """
    serialized = backbone.onnx_model(layers)
    if serialized is None:
        direct = TorchOptions(device="cpu", precision="float32", convolution="direct")
        return Origin(TorchBackend(backbone, layers, direct), precision)
    file = OnnxOptions(device="cpu", precision="float32")
    model = onnx.ModelProto.FromString(serialized)
    if precision == "float32" and has_halves(model):
        return Origin(OnnxBackend(WidenedFile(backbone, model), layers, file), "fp16")
    if precision != "float32" or place.title:
        return Origin(OnnxBackend(backbone, layers, file), precision)
    return None


def _name_of(device: torch.device) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type


def _code() -> str:
    """Return the hash of the code that runs the models, which a check is one of."""
    return code_hash(*sorted(Path(__file__).parent.rglob("*.py")), Path(converted.__file__))


def _versions() -> tuple[str, ...]:
    return onnxruntime.__version__, torch.__version__, converter_version()


def _gradient_choice(
    options: OnnxOptions, models: Models
) -> tuple[Literal["native", "torch"], str]:
    """Return what computes the gradient, and why."""
    if options.gradient == "torch":
        return "torch", "requested"
    if models.backward:
        covered = "every operator of the network has a gradient rule"
        return "native", "requested" if options.gradient == "native" else covered
    if options.gradient == "native":
        raise BackendError(f"{models.reason}; use `gradient=torch`")
    return "torch", models.reason
