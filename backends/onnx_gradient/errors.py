"""Why a graph has no backward graph."""

from __future__ import annotations

from ...core.errors import BackendError


class NoGradientError(BackendError):
    """A graph that cannot be differentiated; the message names the operator, the node and why."""
