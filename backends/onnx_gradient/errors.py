"""The error for a graph that cannot be differentiated."""

from __future__ import annotations

from ...core.errors import BackendError


class NoGradientError(BackendError):
    """Error for a graph that cannot be differentiated: names the operator, the node, the reason."""
