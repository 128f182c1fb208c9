"""Conditions of a run: all on which the bits of its result depend."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from ..interfaces.backend import FeatureBackend
from ..job.halves import how_computed
from ..job.paths import is_in_file_system, map_paths
from ..machine.processor import processor_name
from ..planning.plan import Plan
from ..planning.registry import Registry
from ..sizes.tiles import Tilers

#: Sections of plain values.
Conditions = dict[str, dict[str, Any]]

#: Distributions whose code computes in every run; a backend has the version of its runtime among
#: its details.
_DISTRIBUTIONS = ("stylectl", "torch", "numpy", "pillow")

#: What the sections are in messages; a value of `job` is an option.
_WORDS = {"inputs": "the file", "plugins": "the plugin of"}


def planned_conditions(plan: Plan, registry: Registry) -> Conditions:
    """Return the conditions that are known when a job is planned.

    The contents of files are not among them.
    """
    job = map_paths(plan.job.as_table(), _absolute, plan.models)
    options = plan.backend_options
    computed = options.model_dump(include={*how_computed(type(options))} - {"device"})
    machine = {
        "threads": torch.get_num_threads(),
        "processor": processor_name(),
        "instructions": torch.backends.cpu.get_cpu_capability(),
    }
    return _plain(
        {
            "job": plan.determining(job),
            "versions": {name: version(name) for name in _DISTRIBUTIONS},
            "plugins": _origins(plan, registry),
            "machine": machine,
            "options": computed,
        }
    )


def opened_conditions(
    hashes: Mapping[str, str], backend: FeatureBackend, tilers: Sequence[Tilers]
) -> Conditions:
    """Return the further conditions, which are known when the backend is open.

    `hashes` are the SHA-256 of the files that the job names, by their paths in it.
    """
    device = backend.device
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else ""
    chosen = {"precision": backend.chosen_precision} if backend.chosen_precision else {}
    return _plain(
        {
            "inputs": {_absolute(path): sha256 for path, sha256 in hashes.items()},
            "backend": {"device": f"{device.type} {name}".strip(), **chosen, **backend.details},
            "tiles": {f"tiles of scale {n}": asdict(tiler) for n, tiler in enumerate(tilers, 1)},
        }
    )


def differences(before: Conditions, now: Conditions) -> list[str]:
    """Return, in words, where `before` differs from the sections of `now`."""
    changes = []
    for section, values in now.items():
        former = before.get(section, {})
        for key in sorted({*values, *former}):
            old, new = former.get(key), values.get(key)
            if old != new:
                changes.append(_in_words(section, key, old, new))
    return changes


def _in_words(section: str, key: str, old: object, new: object) -> str:
    if section == "job":
        return f"`{key}`"
    name = f"{_WORDS[section]} {key}" if section in _WORDS else key
    if section in ("versions", "machine", "backend", "options"):
        return f"{name} ({'none' if old is None else old}, now {'none' if new is None else new})"
    return name


def _plain(conditions: Conditions) -> Conditions:
    """Return the conditions as JSON gives them back: with lists for tuples."""
    plain: Conditions = json.loads(json.dumps(conditions))
    return plain


def _absolute(path: str) -> str:
    return str(Path(path).resolve()) if is_in_file_system(path) else path


def _origins(plan: Plan, registry: Registry) -> dict[str, str]:
    """Return the plugins, with their versions, that contribute what the job names."""
    job = plan.job
    origins = {
        f"the optimizer {job.optimizer.name}": registry.optimizers.origin(job.optimizer.name),
        f"the initialiser {job.init.name}": registry.initializers.origin(job.init.name),
        f"the parametrisation {job.parametrization.name}": registry.parametrizations.origin(
            job.parametrization.name
        ),
        f"the backbone {job.backbone.name}": registry.backbones.origin(job.backbone.name),
        f"the backend {job.backend.name}": registry.backends.origin(job.backend.name),
    }
    terms = {f"the loss term {term.name}": registry.terms.origin(term.name) for term in plan.terms}
    return origins | terms
