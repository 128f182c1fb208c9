"""ONNX files as torch modules, converted by the library onnx2pytorch.

It is the extra `convert`. An operator that it does not know makes it raise an error.
"""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Collection, Sequence
from importlib import metadata

import onnx
from torch import Tensor, nn

from ...core.attribution import is_out_of_memory
from ...core.errors import BackendError
from ...core.interfaces.backbone import Backbone
from ...core.interfaces.trunk import Trunk
from ...core.shown import error_line

#: The library, a distribution and a module.
_LIBRARY = "onnx2pytorch"


def converter_version() -> str:
    """Return the library's version, "" if it is not installed."""
    try:
        return metadata.version(_LIBRARY)
    except metadata.PackageNotFoundError:
        return ""


class ConvertedBackbone(Backbone):
    """A backbone that is an ONNX model, with a trunk made from it."""

    def __init__(self, backbone: Backbone) -> None:
        self.name, self.layers, self.aliases = backbone.name, backbone.layers, backbone.aliases
        self.default_content_layers = backbone.default_content_layers
        self.default_style_layers = backbone.default_style_layers
        self._file = backbone

    def trunk(self, layers: Collection[str]) -> Trunk:
        """Convert the model.

        Raises BackendError without the library, or for a model that it cannot convert.
        """
        serialized = self._file.onnx_model(layers)
        if serialized is None:
            raise BackendError(f"the backbone {self.name} is no ONNX model")
        model = onnx.ModelProto.FromString(serialized)
        try:
            library = importlib.import_module(_LIBRARY)
        except ModuleNotFoundError:
            raise BackendError(
                "PyTorch runs an ONNX file only after conversion: `pip install 'stylectl[convert]'`"
            ) from None
        except Exception as error:  # of a torchvision that is compiled for another torch
            raise BackendError(
                f"onnx2pytorch, or torchvision for it, cannot be imported ({error_line(error)})"
            ) from None
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                network: nn.Module = library.ConvertModel(model)
        except Exception as error:  # of any kind, for what it does not know
            if is_out_of_memory(error):
                raise
            raise BackendError(f"onnx2pytorch cannot convert it ({error_line(error)})") from None
        return _ConvertedTrunk(network, [output.name for output in model.graph.output], self.name)


class _ConvertedTrunk(Trunk):
    """Trunk of a converted network with the outputs `layers`, which is always run as a whole."""

    def __init__(self, network: nn.Module, layers: Sequence[str], name: str) -> None:
        super().__init__()
        self.network, self.layers, self._name = network, tuple(layers), name
        self.eval().requires_grad_(False)

    def forward(self, image: Tensor, layers: Collection[str] | None = None) -> dict[str, Tensor]:
        """See Trunk.forward. Raises BackendError if the converted network fails."""
        try:
            outputs = self.network(image)
        except Exception as error:
            if is_out_of_memory(error):
                raise
            raise BackendError(
                f"{self._name}: as converted by onnx2pytorch, it fails ({error_line(error)})"
            ) from None
        values = [outputs] if isinstance(outputs, Tensor) else outputs
        activations = dict(zip(self.layers, values, strict=True))
        return {name: activations[name] for name in self.layers if layers is None or name in layers}
