"""The plan: all that a job names, looked up, validated and spelled out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..attribution import attributed_to
from ..interfaces.backbone import Backbone, LayerInfo
from ..interfaces.backend import BackendOptions, FeatureBackend
from ..interfaces.optimizer import Initializer, Optimizer, Parametrization
from ..interfaces.specs import BackendArguments, BackendSpec
from ..job.choices import Choice
from ..job.halves import determining_values
from ..job.model import Job
from ..job.paths import OptionModels, option_paths
from ..job.tables import CHOICES
from .terms import PlannedTerm


@dataclass(frozen=True)
class Plan:
    """A job with all that it names looked up, validated and spelled out.

    - `job`: has every option of every choice spelled out.
    - `network`: names the backend and its backbone in messages.
    - `initializer_label`, `parametrization_label`: name these in messages.
    - `models`: the option models of the job's choices, by the job's key (for a loss term:
      ``terms``) and the choice's name.
    """

    job: Job
    backbone: Backbone
    backend: BackendSpec[Any]
    backend_options: BackendOptions
    network: str
    terms: tuple[PlannedTerm, ...]
    initializer: Initializer
    initializer_label: str
    optimizer: Optimizer
    parametrization: Parametrization
    parametrization_label: str
    models: OptionModels

    @property
    def files(self) -> list[str]:
        """Paths of the files that the job reads beside its images, such as a network's."""
        images = self.job.input_paths
        of_options = [path for path in option_paths(self.job, self.models) if path not in images]
        return list(dict.fromkeys([*of_options, *self.backbone.files]))

    @property
    def layers(self) -> tuple[str, ...]:
        """Layers of the backbone that the terms read, in order of depth."""
        read = {layer for planned in self.terms for layer in planned.term.layers}
        return tuple(info.name for info in self.backbone.layers if info.name in read)

    @property
    def layer_infos(self) -> tuple[LayerInfo, ...]:
        """Names, channels and geometry of `layers`."""
        return tuple(info for info in self.backbone.layers if info.name in self.layers)

    @property
    def deepest(self) -> LayerInfo:
        """Deepest of `layers`."""
        return self.layer_infos[-1]

    @property
    def stride(self) -> int:
        """Largest stride of `layers`, in image pixels."""
        return max(info.stride for info in self.layer_infos)

    def open_backend(self) -> FeatureBackend:
        """Open the backend for the plan's layers.

        Raises what `BackendSpec.create` may raise, and PluginError.
        """
        with attributed_to(self.network):
            return self.backend.create(
                BackendArguments(
                    backbone=self.backbone, layers=self.layers, options=self.backend_options
                )
            )

    def determining(self, table: Mapping[str, Any]) -> dict[str, Any]:
        """Return the half of a job's plain values that determines the result.

        Where this plan leaves the precision to the backend (``auto``), none is part of it.
        A value that is not in the table has its default. The table is this plan's, or one that an
        earlier version wrote.
        """
        values = determining_values(Job, table)
        for key in CHOICES:
            if key in values:
                choice = values[key]
                plain = choice.model_dump() if isinstance(choice, Choice) else choice  # a default
                values[key] = self._determining_choice(key, plain)
        if "terms" in values:
            values["terms"] = [self._determining_choice("terms", term) for term in values["terms"]]
        return values

    def _determining_choice(self, key: str, choice: Mapping[str, Any]) -> dict[str, Any]:
        model = self.models.get((key, choice["name"]))
        values = dict(choice) if model is None else determining_values(model, choice)
        if key == "backend" and self.backend_options.precision == "auto":
            values.pop("precision", None)
        return values
