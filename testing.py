"""For plugin authors' tests: a tiny network, fixed images, and checks of what a plugin brings.

    from stylectl.testing import check_backbone, check_loss_term, check_writer

The checks raise AssertionError that says what is wrong; they need no particular test runner.
"""

from __future__ import annotations

from .plugins.testing.backbones import check_backbone
from .plugins.testing.network import TinyBackbone
from .plugins.testing.pictures import painting, photo, result
from .plugins.testing.terms import check_loss_term
from .plugins.testing.writers import check_writer

__all__ = [
    "TinyBackbone",
    "check_backbone",
    "check_loss_term",
    "check_writer",
    "painting",
    "photo",
    "result",
]
