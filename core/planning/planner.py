"""The planner, which makes a plan from a job and the registry."""

from __future__ import annotations

from pydantic import BaseModel

from ..attribution import attributed_to
from ..errors import UsageError
from ..interfaces.optimizer import Optimizer
from ..interfaces.specs import InitializerSpec
from ..interfaces.terms import IMAGE_LAYER
from ..job.choices import Choice, JobPlugins
from ..job.model import Job
from ..optimizers.checked import CheckedOptimizer
from ..validation import M, validated
from .backbones import Backbones
from .checks import check_changes, check_colors, check_regions, check_texture, without_effect
from .plan import Plan
from .preview import previewed
from .registry import Registry
from .requirements import check_installed, stated_requirements
from .seamless import check_wraps, wrapping_choice
from .terms import plan_term
from .weights.strength import balances


def make_plan(job: Job, registry: Registry, backbones: Backbones | None = None) -> Plan:
    """Make the plan of a job.

    Plans that share `backbones` create each backbone once. The plan's job states the installed
    plugins that it uses. Raises UsageError for a required plugin that is not installed, unknown
    names, bad options, and options without an effect, and PluginError for a plugin that breaks its
    contract.
    """
    check_installed(job.plugins.require, registry)
    backbones = backbones or Backbones(registry)
    backend = registry.backends.get(job.backend.name)
    backend_options = validated(backend.options, job.backend.options, f"backend {backend.name}")
    choice = job.backbone
    if job.seamless:
        choice = wrapping_choice(choice, backbones.spec(choice.name))
    backbone, backbone_options = backbones.get(choice)
    if job.seamless:
        check_wraps(backbone)
    initializer = _chosen_options(job.init, _initializer(job.init.name, registry).options, "init")
    parametrization_spec = registry.parametrizations.get(job.parametrization.name)
    parametrization = _chosen_options(
        job.parametrization, parametrization_spec.options, "parametrization"
    )
    optimizer = _optimizer(job, registry, pixels=parametrization.are_pixels)
    planned = [plan_term(choice, registry, backbone, job) for choice in job.terms]
    if job.preview:
        growing = {choice.name for choice, planned_term in planned if planned_term.term.grows}
        return make_plan(previewed(job, growing), registry, backbones)
    if job.content is None:
        check_texture(planned, job.init.name, initializer)
    chosen = tuple(choice for choice, _ in planned if choice.weight > 0)
    terms = tuple(term for _, term in planned if term.weight > 0)
    if not any(layer != IMAGE_LAYER for term in terms for layer in term.term.layers):
        raise UsageError("nothing to minimise: no loss term with a weight reads the network")
    check_changes(terms, optimizer, job.optimizer.name)
    random = initializer.random or any(registry.terms.get(choice.name).random for choice in chosen)
    unused = without_effect(
        job,
        random,
        balanced=balances(term.term for term in terms),
        motifs=any(term.has_motifs for term in terms),
    )
    check_regions(job, terms)
    check_colors(job, terms)
    # Every default that has an effect is set by name, so that it is printed.
    unused |= {"plugins"}
    settings = {name: getattr(job, name) for name in Job.model_fields if name not in unused}
    choices = {"backend": backend_options, "backbone": backbone_options}
    choices |= {"init": initializer, "optimizer": optimizer, "parametrization": parametrization}
    spelled_out = {key: getattr(job, key).with_options(options) for key, options in choices.items()}
    labels = registry.backends.label(backend.name), registry.backbones.label(job.backbone.name)
    models: dict[tuple[str, str], type[BaseModel]] = {
        (key, getattr(job, key).name): type(options) for key, options in choices.items()
    }
    models |= {("terms", term.name): registry.terms.get(term.name).options for term in chosen}
    if required := stated_requirements(job.plugins.require, models, registry):
        settings["plugins"] = JobPlugins(require=required)
    return Plan(
        job=Job(**{**settings, **spelled_out, "terms": chosen}),
        backbone=backbone,
        backend=backend,
        backend_options=backend_options,
        network=" with ".join(labels),
        terms=terms,
        initializer=initializer,
        initializer_label=registry.initializers.label(job.init.name),
        optimizer=CheckedOptimizer(
            optimizer=optimizer, label=registry.optimizers.label(job.optimizer.name)
        ),
        parametrization=parametrization,
        parametrization_label=registry.parametrizations.label(job.parametrization.name),
        models=models,
    )


def _initializer(name: str, registry: Registry) -> InitializerSpec:
    try:
        return registry.initializers.get(name)
    except UsageError as error:
        raise error.reworded(f"{error} For a file, write ./{name}") from None


def _optimizer(job: Job, registry: Registry, *, pixels: bool) -> Optimizer:
    """Return the chosen optimizer, changed for gradients without values, and for parameters."""
    spec = registry.optimizers.get(job.optimizer.name)
    optimizer = _chosen_options(job.optimizer, spec.options, "optimizer")
    with attributed_to(registry.optimizers.label(job.optimizer.name)):
        if job.normalize_gradients:
            optimizer = optimizer.without_values()
        return optimizer if pixels else optimizer.without_pixels()


def _chosen_options(choice: Choice, model: type[M], kind: str) -> M:
    """Return the validated options of a choice.

    Inherited options that have their default do not count as set.
    """
    options = validated(model, choice.options, f"{kind} {choice.name}")
    for name in choice.inherited:
        if getattr(options, name) == model.model_fields[name].default:
            options.model_fields_set.discard(name)
    return options
