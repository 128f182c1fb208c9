"""From a job to a plan: everything that the job names, looked up, validated and spelled out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pydantic import BaseModel

from .backbone import Backbone
from .backend import BackendOptions, FeatureBackend
from .blame import blaming
from .cotangents import Cotangents, normalized_cotangents, plain_cotangents
from .errors import PluginError, UsageError, did_you_mean
from .initial import INITIALIZERS, Initializer
from .job import Choice, Job, TermChoice
from .optimizers import OPTIMIZERS, Optimizer
from .preview import previewed
from .registry import Registry
from .seamless import check_wraps, wrapping_choice
from .specs import BackboneSpec, BackendSpec, LossTermSpec
from .strength import balances, factor
from .terms import IMAGE_LAYER, LossTerm
from .validation import M, validated


@dataclass(frozen=True)
class PlannedTerm:
    """A term of the objective, created but not yet bound; `weight` has the job's strength in it,
    `label` is what messages call it, `shares` are its layers' weights within it."""

    name: str
    weight: float
    term: LossTerm
    label: str
    shares: Mapping[str, float]


@dataclass(frozen=True)
class Plan:
    """What a run needs. `job` has every option of every choice spelled out; `network` is what
    messages call the backend and its backbone; `cotangents` joins the terms' gradients."""

    job: Job
    backbone: Backbone
    backend: BackendSpec
    backend_options: BackendOptions
    network: str
    terms: tuple[PlannedTerm, ...]
    initializer: Initializer
    optimizer: Optimizer
    cotangents: Cotangents

    @property
    def layers(self) -> tuple[str, ...]:
        """The network's layers that the terms read, in order of depth."""
        wanted = {layer for planned in self.terms for layer in planned.term.layers}
        return tuple(info.name for info in self.backbone.layers if info.name in wanted)

    @property
    def stride(self) -> int:
        """The largest of those layers', in image pixels."""
        return max(info.stride for info in self.backbone.layers if info.name in self.layers)

    def open_backend(self) -> FeatureBackend:
        """The backend, ready to run the plan's layers. Raises what `BackendSpec.create` may raise,
        and PluginError."""
        with blaming(self.network):
            return self.backend.create(self.backbone, self.layers, self.backend_options)


def make_plan(job: Job, registry: Registry) -> Plan:
    """Raises UsageError for unknown names, bad options, and options without an effect, and
    PluginError for a plugin that breaks its contract."""
    backend = registry.backends.get(job.backend.name)
    backend_options = validated(backend.options, job.backend.options, f"backend {backend.name}")
    choice = job.backbone
    if job.seamless:
        choice = wrapping_choice(choice, _backbone_spec(choice.name, registry))
    backbone, backbone_options = make_backbone(choice, registry)
    if job.seamless:
        check_wraps(backbone)
    initializer = _chosen(job.init, INITIALIZERS, "init")
    optimizer = _chosen(job.optimizer, OPTIMIZERS, "optimizer")
    if job.normalize_gradients:
        optimizer = optimizer.without_values()
    planned = [_planned(choice, registry, backbone, job.strength) for choice in job.terms]
    if job.preview:
        growing = {choice.name for choice, each in planned if each.term.grows}
        return make_plan(previewed(job, growing), registry)
    if job.content is None:
        _check_texture(planned, job.init.name, initializer)
    chosen = [choice for choice, _ in planned if choice.weight > 0]
    terms = tuple(term for _, term in planned if term.weight > 0)
    if not any(layer != IMAGE_LAYER for each in terms for layer in each.term.layers):
        raise UsageError("nothing to paint by: no loss term with a weight reads the network")
    random = initializer.random or any(registry.terms.get(choice.name).random for choice in chosen)
    unused = _without_effect(job, random, balances(each.term for each in terms))
    _check_places(job, terms)
    _check_colors(job, terms)
    # Every default is set by name, so that it is printed, unless it is without effect.
    settings = {name: getattr(job, name) for name in Job.model_fields if name not in unused}
    complete = Job(
        **{
            **settings,
            "backend": job.backend.with_options(backend_options),
            "backbone": job.backbone.with_options(backbone_options),
            "init": job.init.with_options(initializer),
            "optimizer": job.optimizer.with_options(optimizer),
            "terms": tuple(chosen),
        }
    )
    labels = registry.backends.label(backend.name), registry.backbones.label(job.backbone.name)
    return Plan(
        job=complete,
        backbone=backbone,
        backend=backend,
        backend_options=backend_options,
        network=" with ".join(labels),
        terms=terms,
        initializer=initializer,
        optimizer=optimizer,
        cotangents=normalized_cotangents if job.normalize_gradients else plain_cotangents,
    )


def _without_effect(job: Job, random: bool, balanced: bool) -> set[str]:
    """The job's keys that would change nothing. Raises UsageError if one of them was set."""
    reasons = {}
    if not random:
        reasons["seed"] = (
            f"nothing is random when init is {job.init.name!r}; "
            "leave it out, or start from content+noise"
        )
    if not balanced:
        reasons["strength"] = (
            "it weighs terms that bring the style against terms that keep the content, and the job "
            "has only one kind; change a term's own weight"
        )
    for key, reason in reasons.items():
        if key in job.model_fields_set:
            raise UsageError(f"{key} has no effect: {reason}")
    return set(reasons)


def _check_texture(
    planned: Sequence[tuple[TermChoice, PlannedTerm]], init: str, initializer: Initializer
) -> None:
    """Raises UsageError for what needs a content image."""
    for _, each in planned:
        if "content" in each.term.reads:
            raise UsageError(
                f"{each.label} compares with a content image, and a texture has none: leave it out"
            )
    if initializer.shows_content:
        raise UsageError(
            f"init: a texture has no content image, so that it cannot start from {init}; start "
            "from noise, style, or an image file"
        )


def _check_places(job: Job, terms: Sequence[PlannedTerm]) -> None:
    """Raises UsageError when a mask has no effect, or is more than a term can heed."""
    confined = {"styles": job.confines_styles, "content": job.content_mask is not None}
    for what, mask in (("styles", "a style's mask"), ("content", "content_mask")):
        readers = [each for each in terms if what in each.term.reads]
        if not confined[what]:
            continue
        if not readers:
            raise UsageError(f"{mask} has no effect: no loss term reads the {what}")
        for each in readers:
            # Sums are taken over the styles' regions alone, in a term that reads both.
            if not each.term.regional or (what == "content" and "styles" in each.term.reads):
                raise UsageError(
                    f"the loss term {each.name} cannot be confined to a region; "
                    "leave out the mask or the term"
                )


def _check_colors(job: Job, terms: Sequence[PlannedTerm]) -> None:
    reads_styles = any("styles" in each.term.reads for each in terms)
    if job.color in ("histogram", "covariance") and not reads_styles and job.init.name != "style":
        raise UsageError(f"color {job.color!r} has no effect: no loss term reads the styles")


def make_backbone(choice: Choice, registry: Registry) -> tuple[Backbone, BaseModel]:
    """The chosen backbone and its options. Raises UsageError and PluginError as `make_plan`."""
    spec = _backbone_spec(choice.name, registry)
    options = validated(spec.options, choice.options, f"backbone {choice.name}")
    return create_backbone(spec, options, registry.backbones.label(choice.name)), options


def _backbone_spec(name: str, registry: Registry) -> BackboneSpec:
    try:
        return registry.backbones.get(name)
    except UsageError as error:
        many = [
            f"{spec.name}:MODEL"
            for spec in registry.backbones
            if "model" in spec.options.model_fields
        ]
        raise UsageError(
            f"{error} There is also {', '.join(many)}" if many else str(error)
        ) from None


def create_backbone(spec: BackboneSpec, options: BaseModel, label: str) -> Backbone:
    """Raises PluginError when what `spec` creates is no backbone."""
    with blaming(label):
        backbone = spec.create(options)
    if not isinstance(backbone, Backbone):
        raise PluginError(f"{label} must be a Backbone, not {backbone!r}")
    defaults = {*backbone.default_content_layers, *backbone.default_style_layers}
    if unknown := sorted(defaults - {info.name for info in backbone.layers}):
        raise PluginError(
            f"{label} has no layer {unknown[0]!r}, which is one of its default layers"
        )
    return backbone


def _chosen(choice: Choice, table: Mapping[str, type[M]], kind: str) -> M:
    if choice.name not in table:
        raise UsageError(f"unknown {kind} {choice.name!r}; {did_you_mean(choice.name, table)}")
    return validated(table[choice.name], choice.options, f"{kind} {choice.name}")


def _planned(
    choice: TermChoice, registry: Registry, backbone: Backbone, strength: float
) -> tuple[TermChoice, PlannedTerm]:
    """The term, and the choice with its layers under their own names and all options' values."""
    spec = registry.terms.get(choice.name)
    label = registry.terms.label(spec.name)
    options = validated(spec.options, choice.options, label)
    layers = _layers(spec, choice, backbone)
    spelled_out = {"name": choice.name, "weight": choice.weight, "layers": layers or None}
    used = {name: weight for name, weight in layers.items() if weight > 0}
    if layers and not used:
        raise UsageError(f"loss term {spec.name}: the weights of its layers are all zero")
    with blaming(label):
        term = spec.create(used, options)
    check_term(term, backbone, label)
    return (
        TermChoice.model_validate({**spelled_out, **options.model_dump(exclude_none=True)}),
        PlannedTerm(choice.name, choice.weight * factor(term, strength), term, label, used),
    )


def check_term(term: object, backbone: Backbone, label: str) -> None:
    """Raises PluginError for what is no LossTerm, or asks for layers that there are not."""
    if not isinstance(term, LossTerm):
        raise PluginError(f"{label} must be a LossTerm, not {term!r}")
    layers, reads = getattr(term, "layers", None), getattr(term, "reads", None)
    if not isinstance(layers, tuple) or not isinstance(reads, frozenset):
        raise PluginError(f"{label} must set `layers`, a tuple, and `reads`, a frozenset")
    known = {IMAGE_LAYER, *(info.name for info in backbone.layers)}
    if unknown := sorted(map(str, {*layers} - known)):
        raise PluginError(
            f"{label} asks for the layer {unknown[0]!r}, which {backbone.name} does not have"
        )


def _layers(spec: LossTermSpec, choice: TermChoice, backbone: Backbone) -> dict[str, float]:
    if spec.layers_from == "image":
        if choice.layers is not None:
            raise UsageError(f"loss term {spec.name}: layers has no effect, it looks at the pixels")
        return {}
    if choice.layers is None:
        return default_layers(spec, backbone)
    layers: dict[str, float] = {}
    for name, weight in choice.layers.items():
        own_name = name if name == IMAGE_LAYER else backbone.canonical(name)
        if own_name in layers:
            raise UsageError(f"loss term {spec.name}: the layer {own_name} is named twice")
        layers[own_name] = weight
    return layers


def default_layers(spec: LossTermSpec, backbone: Backbone) -> dict[str, float]:
    """What a term is given when the job names no layers: the backbone's default ones, without those
    that are too shallow for it, with shares that add up to 1."""
    from_content = spec.layers_from == "content"
    every = backbone.default_content_layers if from_content else backbone.default_style_layers
    strides = {info.name: info.stride for info in backbone.layers}
    deep = {name: share for name, share in every.items() if strides[name] >= spec.least_stride}
    chosen = deep or every
    total = sum(chosen.values())
    return {name: share / total for name, share in chosen.items()}
