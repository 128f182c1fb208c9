"""For plugin authors' tests: tiny networks, fixed images, and checks of what a plugin brings.

    from stylectl.testing import BackendSuite, check_backbone, check_loss_term, check_writer
    from stylectl.testing import check_initializer, check_optimizer

The checks raise AssertionError that says what is wrong; they need no particular test runner.
`BackendSuite` is for pytest.
"""

from __future__ import annotations

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
    "painting",
    "photo",
    "result",
]
