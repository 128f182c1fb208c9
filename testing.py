"""Test kits for plugin authors: tiny networks, fixed images, and checks of contributions.

    from stylectl.testing import BackendSuite, check_backbone, check_loss_term, check_writer
    from stylectl.testing import check_initializer, check_optimizer

The checks raise AssertionError with what is wrong; they work with any test runner.
`BackendSuite` is for pytest.
"""

from __future__ import annotations

from .plugins.manager import load_plugins
from .plugins.testing.backbones import check_backbone
from .plugins.testing.backend_case import BackendTolerance
from .plugins.testing.backend_suite import BackendSuite
from .plugins.testing.network import KinkedBackbone, TinyBackbone
from .plugins.testing.optimizers import check_initializer, check_optimizer
from .plugins.testing.pictures import painting, photo, result
from .plugins.testing.terms import check_loss_term
from .plugins.testing.writers import check_writer

__all__ = [
    "BackendSuite",
    "BackendTolerance",
    "KinkedBackbone",
    "TinyBackbone",
    "check_backbone",
    "check_initializer",
    "check_loss_term",
    "check_optimizer",
    "check_writer",
    "load_plugins",
    "painting",
    "photo",
    "result",
]
