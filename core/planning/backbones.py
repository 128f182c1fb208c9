"""Creation of the backbones that jobs choose by name."""

from __future__ import annotations

import json
from typing import Any

from pydantic import BaseModel

from ..attribution import attributed_to
from ..errors import PluginError, UsageError
from ..interfaces.backbone import Backbone
from ..interfaces.specs import BackboneArguments, BackboneSpec
from ..job.choices import Choice
from ..validation import validated
from .registry import Registry


class Backbones:
    """Backbones that jobs choose, each created once: tracing a network takes seconds."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._created: dict[str, tuple[Backbone, BaseModel]] = {}

    def spec(self, name: str) -> BackboneSpec[Any]:
        """Return the spec of a backbone.

        Raises UsageError for an unknown name.
        """
        table = self._registry.backbones
        try:
            return table.get(name)
        except UsageError as error:
            families = [
                f"{spec.name}:MODEL" for spec in table if "model" in spec.options.model_fields
            ]
            hint = f"; there is also {', '.join(families)}" if families else ""
            raise UsageError(f"{error}{hint}") from None

    def get(self, choice: Choice) -> tuple[Backbone, BaseModel]:
        """Return the chosen backbone and its validated options.

        Raises UsageError and PluginError.
        """
        spec = self.spec(choice.name)
        options = validated(spec.options, choice.options, f"backbone {choice.name}")
        key = json.dumps([choice.name, options.model_dump(mode="json")], sort_keys=True)
        if key not in self._created:
            label = self._registry.backbones.label(choice.name)
            self._created[key] = create_backbone(spec, options, label), options
        return self._created[key]


def create_backbone(spec: BackboneSpec[Any], options: BaseModel, label: str) -> Backbone:
    """Create the backbone of `spec`; `label` names it in messages.

    Raises PluginError if `spec.create` fails or returns no Backbone, and for default layers that
    the backbone does not have.
    """
    with attributed_to(label):
        backbone = spec.create(BackboneArguments(options=options))
    if not isinstance(backbone, Backbone):
        raise PluginError(f"{label} must be a Backbone, not {backbone!r}")
    defaults = {*backbone.default_content_layers, *backbone.default_style_layers}
    if unknown := sorted(defaults - {info.name for info in backbone.layers}):
        raise PluginError(
            f"{label} has no layer {unknown[0]!r}, which is one of its default layers"
        )
    return backbone
