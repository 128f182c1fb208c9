"""Test kits for plugin authors: tiny networks, fixed images, and checks of contributions.

    from stylectl.testing import BackendSuite, parametrize_with_checks
    from stylectl.testing import backbone_checks, loss_term_checks, writer_checks

`parametrize_with_checks` makes a pytest test of each check. `check_loss_term` and its siblings run
all checks of a contribution, and raise AssertionError; they work with any test runner.
`BackendSuite` is for pytest.
"""

from __future__ import annotations

from .plugins.manager import load_plugins
from .plugins.testing.backbones import backbone_checks, check_backbone
from .plugins.testing.backend_case import BackendTolerance
from .plugins.testing.backend_suite import BackendSuite
from .plugins.testing.checks import Check, parametrize_with_checks
from .plugins.testing.network import KinkedBackbone, TinyBackbone
from .plugins.testing.optimizers import (
    check_initializer,
    check_optimizer,
    initializer_checks,
    optimizer_checks,
)
from .plugins.testing.parametrizations import check_parametrization, parametrization_checks
from .plugins.testing.pictures import painting, photo, result
from .plugins.testing.terms import check_loss_term, loss_term_checks
from .plugins.testing.writers import check_writer, writer_checks

__all__ = [
    "BackendSuite",
    "BackendTolerance",
    "Check",
    "KinkedBackbone",
    "TinyBackbone",
    "backbone_checks",
    "check_backbone",
    "check_initializer",
    "check_loss_term",
    "check_optimizer",
    "check_parametrization",
    "check_writer",
    "initializer_checks",
    "load_plugins",
    "loss_term_checks",
    "optimizer_checks",
    "painting",
    "parametrization_checks",
    "parametrize_with_checks",
    "photo",
    "result",
    "writer_checks",
]
