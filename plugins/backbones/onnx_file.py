"""Backbone from an ONNX file of the user."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from ...core.errors import BackendError, UsageError, WeightsError
from ...core.interfaces.backbone import Backbone
from ...core.interfaces.specs import BackboneSpec
from ...core.job.paths import JobPath
from .. import hooks
from .default_layers import default_layers
from .onnx.inspection import PREPROCESSING_KEY, inspect
from .onnx.model import OnnxPreprocessing, image_model
from .onnx.reading import read_onnx

if TYPE_CHECKING:
    from ...core.interfaces.trunk import Trunk


class OnnxFileOptions(BaseModel):
    """Options of the backbone `onnx`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: Annotated[str, JobPath] = Field(description="path of the .onnx file")
    preprocessing: OnnxPreprocessing | None = Field(
        default=None,
        description="what the network expects, if the file does not state it: caffe (BGR, 0-255, "
        "less the mean), torchvision (RGB, normalised), none (RGB, 0-1)",
    )


class OnnxFile(Backbone):
    """ONNX model, whose layers are its 4-D values of floating-point numbers.

    `path` is the file. It has no trunk, since PyTorch cannot run it.
    """

    def __init__(self, options: OnnxFileOptions) -> None:
        """Read the file's layers.

        Raises UsageError for a missing file, WeightsError for one that cannot be used.
        """
        self.path = Path(options.model)
        self.name = f"onnx:{options.model}"
        if self.path.suffix.lower() != ".onnx":
            raise UsageError(f"backbone onnx: {options.model!r} is not a file in .onnx")
        inspection = inspect(self.path, options.model)
        maps = inspection.maps
        self._maps, self.layers, self.aliases = maps, maps.layers, {}
        self.unusable = maps.unusable
        content, style = default_layers(maps.stages)
        self.default_content_layers, self.default_style_layers = content, style
        self._beside = inspection.beside
        self._preprocessing = _agreed_preprocessing(inspection.preprocessing, options)

    @property
    def files(self) -> Sequence[str]:
        """Paths of the files beside the model's that have weights of it."""
        return [(self.path.parent / name).as_posix() for name, _ in self._beside]

    @property
    def preprocessing(self) -> OnnxPreprocessing:
        """Preprocessing that the network expects.

        Raises UsageError when neither the file nor the job states it.
        """
        if self._preprocessing is None:
            raise UsageError(
                f"{self.path}: the file does not state the images it expects; set `preprocessing` "
                "to caffe (BGR, 0-255), torchvision (RGB, normalised) or none (RGB, 0-1)"
            )
        return self._preprocessing

    def onnx_model(self, layers: Collection[str]) -> bytes | None:
        """See Backbone.onnx_model."""
        source = str(self.path)
        model = read_onnx(self.path, source)
        extracted = image_model(model, self.path, source, self._maps, layers, self.preprocessing)
        return bytes(extracted.SerializeToString())

    def trunk(self, layers: Collection[str]) -> Trunk:
        """Raise BackendError, since an ONNX file has no torch module."""
        raise BackendError(f"{self.name}: PyTorch cannot run an ONNX file; `backend=onnx` can")


def _agreed_preprocessing(stated: str | None, options: OnnxFileOptions) -> OnnxPreprocessing | None:
    """Return the preprocessing that the file or the job states; None if neither does.

    Raises UsageError if they differ, and WeightsError for an unknown one in the file.
    """
    if stated is None:
        return options.preprocessing
    if stated not in ("caffe", "torchvision", "none"):
        raise WeightsError(f"{options.model}: its {PREPROCESSING_KEY} {stated!r} is unknown")
    if options.preprocessing not in (None, stated):
        raise UsageError(
            f"{options.model}: the file needs preprocessing {stated}, not {options.preprocessing}"
        )
    return stated  # type: ignore[return-value]


@hooks.backbones
def backbones() -> Iterable[BackboneSpec[Any]]:
    """Yield the backbone `onnx`."""
    yield BackboneSpec(
        name="onnx",
        summary="an ONNX file: onnx:network.onnx",
        create=lambda arguments: OnnxFile(arguments.options),
        options=OnnxFileOptions,
    )
