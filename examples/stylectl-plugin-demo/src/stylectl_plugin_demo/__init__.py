"""Hooks of the plugin; the entry point in pyproject.toml names this module.

They are imported whenever stylectl loads its plugins, so these modules import slow packages where
they are used.
"""

from .backend import backends
from .filters import backbones
from .journal import run_started, step
from .palette import loss_terms
from .swatches import writers

__all__ = [
    "backbones",
    "backends",
    "loss_terms",
    "run_started",
    "step",
    "writers",
]
