"""Looking up and making backbones."""

from __future__ import annotations

import json

from pydantic import BaseModel

from ..attribution import attributed_to
from ..errors import PluginError, UsageError
from ..interfaces.backbone import Backbone
from ..interfaces.specs import BackboneSpec
from ..job.choices import Choice
from ..validation import validated
from .registry import Registry


class Backbones:
    """Makes the backbones that jobs choose, each one once: tracing a network takes seconds."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._made: dict[str, tuple[Backbone, BaseModel]] = {}

    def spec(self, name: str) -> BackboneSpec:
        """Raises UsageError for an unknown name."""
        table = self._registry.backbones
        try:
            return table.get(name)
        except UsageError as error:
            many = [f"{spec.name}:MODEL" for spec in table if "model" in spec.options.model_fields]
            more = f" There is also {', '.join(many)}" if many else ""
            raise UsageError(f"{error}{more}") from None

    def get(self, choice: Choice) -> tuple[Backbone, BaseModel]:
        """The chosen backbone and its validated options. Raises UsageError and PluginError."""
        spec = self.spec(choice.name)
        options = validated(spec.options, choice.options, f"backbone {choice.name}")
        key = json.dumps([choice.name, options.model_dump(mode="json")], sort_keys=True)
        if key not in self._made:
            label = self._registry.backbones.label(choice.name)
            self._made[key] = create_backbone(spec, options, label), options
        return self._made[key]


def create_backbone(spec: BackboneSpec, options: BaseModel, label: str) -> Backbone:
    """Make a backbone. Raises PluginError when what `spec` creates is none."""
    with attributed_to(label):
        backbone = spec.create(options)
    if not isinstance(backbone, Backbone):
        raise PluginError(f"{label} must be a Backbone, not {backbone!r}")
    defaults = {*backbone.default_content_layers, *backbone.default_style_layers}
    if unknown := sorted(defaults - {info.name for info in backbone.layers}):
        raise PluginError(
            f"{label} has no layer {unknown[0]!r}, which is one of its default layers"
        )
    return backbone
