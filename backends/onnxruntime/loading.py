"""The loading of models: optimised or compiled for the device and providers that run them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import onnx

from ...core.errors import BackendError
from .models import cache_folder
from .optimized import optimized
from .providers.known import known_provider
from .providers.nvidia import provider_library
from .providers.place import ON_CPU, Place
from .session import Session
from .tensorrt import ShapeRange, version_of, with_engines


@dataclass(frozen=True)
class Loader:
    """A loader of models; their optimised and compiled forms are kept on disk.

    `place` is the device with its providers. `key` identifies the models. Models that are `fresh`
    are run as they are: making them has taken its time, and the next run may optimise them.
    """

    place: Place
    key: str
    fresh: bool

    def session(self, model: Path, ranges: Mapping[str, ShapeRange]) -> Session:
        """Return the model, ready to run; for TensorRT, compiled for inputs in these ranges.

        Raises BackendError when ONNX Runtime cannot load the model.
        """
        if self.place.compiles:
            return self._compiled(model, ranges)
        if self.place.title:
            return self._elsewhere(model)
        if self.fresh:
            return Session(model, self.place.providers, self.place.device)
        folder = cache_folder() / "optimized"
        try:
            with optimized(model, self.key, self.place.providers, folder) as file:
                return Session(file, self.place.providers, self.place.device)
        except BackendError:  # no room for the optimised model, or it was deleted just now
            return Session(model, self.place.providers, self.place.device)

    def on_cpu(self, model: Path) -> Session:
        """Return a model that the place's provider refuses, ready to run on the CPU.

        Raises BackendError when ONNX Runtime cannot load it.
        """
        return replace(self, place=ON_CPU).session(model, {})

    def _elsewhere(self, model: Path) -> Session:
        """Return the model on a provider whose compiled form of it cannot be kept."""
        (name, options), *others = self.place.providers
        known = known_provider(name)
        if known is not None:
            graph = onnx.load(model, load_external_data=False).graph
            options = {**options, **known.graph_options(graph)}
        providers = ((name, options), *others)
        return Session(model, providers, self.place.device, self.place.hardware)

    def _compiled(self, model: Path, ranges: Mapping[str, ShapeRange]) -> Session:
        inputs = onnx.load(model).graph.input
        input_ranges = {value.name: ranges[value.name] for value in inputs if value.name in ranges}
        try:
            providers = with_engines(
                self.place.providers,
                cache_folder() / "engines",
                f"{self.key} {model.name}",
                version_of(provider_library("tensorrt")),
                input_ranges,
            )
        except OSError as error:
            raise BackendError(
                f"TensorRT's engines cannot be kept in {cache_folder()} ({error.strerror}); "
                "use `device=cuda`"
            ) from None
        try:
            return Session(model, providers, self.place.device)
        except BackendError:
            if not input_ranges:
                raise
        # If TensorRT does not support a part of the model, CUDA runs it. Sizes at the borders of
        # the parts are not known beforehand: then TensorRT compiles for the sizes that occur.
        return self._compiled(model, {})
