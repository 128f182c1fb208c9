"""The plan: all that a job names, looked up, validated and spelled out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel

from ..attribution import attributed_to
from ..interfaces.backbone import Backbone, LayerInfo
from ..interfaces.backend import BackendOptions, FeatureBackend
from ..interfaces.optimizer import Initializer, Optimizer
from ..interfaces.specs import BackendSpec
from ..job.halves import determining_values
from ..job.model import Job
from ..job.tables import CHOICES
from .terms import PlannedTerm


@dataclass(frozen=True)
class Plan:
    """What a run needs. `job` has every option of every choice spelled out; `network` names the
    backend and its backbone in messages, `initializer_label` the initialiser; `models` are the
    option models of the job's choices, by the job's key (for a loss term: ``terms``) and the
    choice's name."""

    job: Job
    backbone: Backbone
    backend: BackendSpec
    backend_options: BackendOptions
    network: str
    terms: tuple[PlannedTerm, ...]
    initializer: Initializer
    initializer_label: str
    optimizer: Optimizer
    models: Mapping[tuple[str, str], type[BaseModel]]

    @property
    def layers(self) -> tuple[str, ...]:
        """The network's layers that the terms read, in order of depth."""
        wanted = {layer for planned in self.terms for layer in planned.term.layers}
        return tuple(info.name for info in self.backbone.layers if info.name in wanted)

    @property
    def layer_infos(self) -> tuple[LayerInfo, ...]:
        """Of `layers`."""
        return tuple(info for info in self.backbone.layers if info.name in self.layers)

    @property
    def deepest(self) -> LayerInfo:
        """The deepest of `layers`."""
        return self.layer_infos[-1]

    @property
    def stride(self) -> int:
        """The largest of those layers', in image pixels."""
        return max(info.stride for info in self.layer_infos)

    def open_backend(self) -> FeatureBackend:
        """The backend, ready to run the plan's layers. Raises what `BackendSpec.create` may raise,
        and PluginError."""
        with attributed_to(self.network):
            return self.backend.create(self.backbone, self.layers, self.backend_options)

    def determining(self, table: Mapping[str, Any]) -> dict[str, Any]:
        """The half of a job's plain values that determines the result; what is not in the table has
        its default. The table is this plan's, or one written by an earlier version."""
        values = determining_values(Job, table)
        for key in CHOICES:
            if key in values:
                values[key] = self._determining_choice(key, values[key])
        if "terms" in values:
            values["terms"] = [self._determining_choice("terms", term) for term in values["terms"]]
        return values

    def _determining_choice(self, key: str, choice: Mapping[str, Any]) -> dict[str, Any]:
        model = self.models.get((key, choice["name"]))
        return dict(choice) if model is None else determining_values(model, choice)
