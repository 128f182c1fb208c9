"""Hooks of the plugin; the entry point in pyproject.toml names this module.

They are imported whenever stylectl loads its plugins, so these modules import slow packages where
they are used.
"""

from .backend import stylectl_backends
from .filters import stylectl_backbones
from .journal import stylectl_run_started, stylectl_step
from .palette import stylectl_loss_terms
from .swatches import stylectl_writers

__all__ = [
    "stylectl_backbones",
    "stylectl_backends",
    "stylectl_loss_terms",
    "stylectl_run_started",
    "stylectl_step",
    "stylectl_writers",
]
