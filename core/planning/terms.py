"""Loss terms of a plan, created from the job's choices, with their layers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..attribution import attributed_to
from ..errors import PluginError, UsageError
from ..interfaces.backbone import Backbone
from ..interfaces.specs import LossTermArguments, LossTermSpec
from ..interfaces.terms import IMAGE_LAYER, LossTerm
from ..job.choices import TermChoice
from ..job.model import Job
from ..validation import validated
from .registry import Registry
from .weights import motifs, strength


@dataclass(frozen=True)
class PlannedTerm:
    """A term of the objective, created but not yet bound.

    - `weight`: includes the factor of the job's strength.
    - `label`: names the term in messages.
    - `layer_weights`: the layers' weights within the term, with the factors of the job's motifs.
    - `has_motifs`: whether the job's motifs can scale them.
    """

    name: str
    weight: float
    term: LossTerm
    label: str
    layer_weights: Mapping[str, float]
    has_motifs: bool


def plan_term(
    choice: TermChoice, registry: Registry, backbone: Backbone, job: Job
) -> tuple[TermChoice, PlannedTerm]:
    """Create a term; return its choice spelled out, and the term.

    The choice has the layers under their canonical names and the values of all options; the term
    has the job's strength and motifs in its weights. Raises UsageError and PluginError.
    """
    spec = registry.terms.get(choice.name)
    label = registry.terms.label(spec.name)
    options = validated(spec.options, choice.options, label)
    layers = _layers(spec, choice, backbone)
    spelled_out = {"name": choice.name, "weight": choice.weight, "layers": layers or None}
    layer_weights = {name: weight for name, weight in layers.items() if weight > 0}
    if layers and not layer_weights:
        raise UsageError(f"loss term {spec.name}: the weights of its layers are all zero")
    has_motifs = spec.layers_from == "style" and motifs.scales_any(layer_weights, backbone)
    if has_motifs:
        layer_weights = motifs.scaled(layer_weights, backbone, job.motifs)
        if not layer_weights:
            raise UsageError(
                f"loss term {spec.name}: `motifs={job.motifs:g}` leaves out all of its layers; "
                "name shallower ones as well, or take a larger number"
            )
    with attributed_to(label):
        term = spec.create(LossTermArguments(layers=layer_weights, options=options))
    check_term(term, backbone, label)
    weight = choice.weight * strength.factor(term, job.strength)
    return (
        TermChoice.model_validate({**spelled_out, **options.model_dump(exclude_none=True)}),
        PlannedTerm(choice.name, weight, term, label, layer_weights, has_motifs),
    )


def check_term(term: object, backbone: Backbone, label: str) -> None:
    """Check that `term` is a LossTerm, and that the backbone has its layers.

    Raises PluginError.
    """
    if not isinstance(term, LossTerm):
        raise PluginError(f"{label} must be a LossTerm, not {term!r}")
    layers, reads = getattr(term, "layers", None), getattr(term, "reads", None)
    if not isinstance(layers, tuple) or not isinstance(reads, frozenset):
        raise PluginError(f"{label} must set `layers`, a tuple, and `reads`, a frozenset")
    turns = term.style_turns
    if not isinstance(turns, tuple) or not turns or not {*turns} <= {0, 1, 2, 3}:
        raise PluginError(f"{label}: `style_turns` must be a tuple of quarter turns, 0 to 3")
    known = {IMAGE_LAYER, *(info.name for info in backbone.layers)}
    if unknown := sorted(map(str, {*layers} - known)):
        raise PluginError(
            f"{label} needs the layer {unknown[0]!r}, which {backbone.name} does not have"
        )


def _layers(spec: LossTermSpec[Any], choice: TermChoice, backbone: Backbone) -> dict[str, float]:
    if spec.layers_from == "image":
        if choice.layers is not None:
            raise UsageError(
                f"loss term {spec.name}: layers has no effect, it reads only the pixels"
            )
        return {}
    if choice.layers is None:
        return default_layers(spec, backbone)
    layers: dict[str, float] = {}
    for name, weight in choice.layers.items():
        canonical_name = name if name == IMAGE_LAYER else backbone.canonical(name)
        if canonical_name in layers:
            raise UsageError(f"loss term {spec.name}: the layer {canonical_name} is named twice")
        layers[canonical_name] = weight
    return layers


def default_layers(spec: LossTermSpec[Any], backbone: Backbone) -> dict[str, float]:
    """Return the default layers of a term, with weights that add up to 1.

    They are the backbone's default layers without those that are too shallow for the term (of a
    stride under `least_stride`), or all of them if all are.
    """
    from_content = spec.layers_from == "content"
    defaults = backbone.default_content_layers if from_content else backbone.default_style_layers
    strides = {info.name: info.stride for info in backbone.layers}
    deep = {name: weight for name, weight in defaults.items() if strides[name] >= spec.least_stride}
    chosen = deep or defaults
    total = sum(chosen.values())
    return {name: weight / total for name, weight in chosen.items()}
