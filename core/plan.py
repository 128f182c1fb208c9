"""From a job to a plan: everything that the job names, looked up, validated and spelled out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from .backbone import Backbone
from .backend import BackendOptions
from .errors import UsageError, did_you_mean
from .initial import INITIALIZERS, Initializer
from .job import Choice, Job, TermChoice
from .optimizers import OPTIMIZERS, Optimizer
from .registry import Registry
from .specs import BackendSpec, LossTermSpec
from .terms import IMAGE_LAYER, LossTerm
from .validation import M, validated


@dataclass(frozen=True)
class PlannedTerm:
    """A term of the objective, created but not yet bound."""

    name: str
    weight: float
    term: LossTerm


@dataclass(frozen=True)
class Plan:
    """What a run needs. `job` has every option of every choice spelled out."""

    job: Job
    backbone: Backbone
    backend: BackendSpec
    backend_options: BackendOptions
    terms: tuple[PlannedTerm, ...]
    initializer: Initializer
    optimizer: Optimizer

    @property
    def layers(self) -> tuple[str, ...]:
        """The network's layers that the terms read, in order of depth."""
        wanted = {layer for planned in self.terms for layer in planned.term.layers}
        return tuple(info.name for info in self.backbone.layers if info.name in wanted)


def make_plan(job: Job, registry: Registry) -> Plan:
    """Raises UsageError for unknown names, bad options, and options without an effect."""
    backend = registry.backends.get(job.backend.name)
    backend_options = validated(backend.options, job.backend.options, f"backend {backend.name}")
    network = registry.backbones.get(job.backbone.name)
    backbone_options = validated(network.options, job.backbone.options, f"backbone {network.name}")
    backbone = network.create(backbone_options)
    initializer = _chosen(job.init, INITIALIZERS, "init")
    optimizer = _chosen(job.optimizer, OPTIMIZERS, "optimizer")
    planned = [_planned(choice, registry, backbone) for choice in job.terms]
    chosen = [choice for choice, _ in planned if choice.weight > 0]
    terms = tuple(term for _, term in planned if term.weight > 0)
    if not any(layer != IMAGE_LAYER for each in terms for layer in each.term.layers):
        raise UsageError("nothing to paint by: no loss term with a weight reads the network")
    random = initializer.random or any(registry.terms.get(choice.name).random for choice in chosen)
    if "seed" in job.model_fields_set and not random:
        raise UsageError(
            f"seed has no effect: nothing is random when init is {job.init.name!r}; "
            "leave it out, or start from content+noise"
        )
    # Every default is set by name, so that it is printed; the seed only where it counts.
    settings = {name: getattr(job, name) for name in Job.model_fields if name != "seed" or random}
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
    return Plan(complete, backbone, backend, backend_options, terms, initializer, optimizer)


def _chosen(choice: Choice, table: Mapping[str, type[M]], kind: str) -> M:
    if choice.name not in table:
        raise UsageError(f"unknown {kind} {choice.name!r}; {did_you_mean(choice.name, table)}")
    return validated(table[choice.name], choice.options, f"{kind} {choice.name}")


def _planned(
    choice: TermChoice, registry: Registry, backbone: Backbone
) -> tuple[TermChoice, PlannedTerm]:
    """The term, and the choice with its layers under their own names and all options' values."""
    spec = registry.terms.get(choice.name)
    owner = f"loss term {spec.name} ({registry.terms.origin(spec.name)})"
    options = validated(spec.options, choice.options, owner)
    layers = _layers(spec, choice, backbone)
    spelled_out = {"name": choice.name, "weight": choice.weight, "layers": layers or None}
    used = {name: weight for name, weight in layers.items() if weight > 0}
    if layers and not used:
        raise UsageError(f"loss term {spec.name}: the weights of its layers are all zero")
    return (
        TermChoice.model_validate({**spelled_out, **options.model_dump(exclude_none=True)}),
        PlannedTerm(choice.name, choice.weight, spec.create(used, options)),
    )


def _layers(spec: LossTermSpec, choice: TermChoice, backbone: Backbone) -> dict[str, float]:
    if spec.layers_from == "image":
        if choice.layers is not None:
            raise UsageError(f"loss term {spec.name}: layers has no effect, it looks at the pixels")
        return {}
    if choice.layers is None:
        names = (
            backbone.default_content_layers
            if spec.layers_from == "content"
            else backbone.default_style_layers
        )
        return {name: 1 / len(names) for name in names}
    layers: dict[str, float] = {}
    for name, weight in choice.layers.items():
        own_name = name if name == IMAGE_LAYER else backbone.canonical(name)
        if own_name in layers:
            raise UsageError(f"loss term {spec.name}: the layer {own_name} is named twice")
        layers[own_name] = weight
    return layers
