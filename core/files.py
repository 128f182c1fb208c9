"""Asking the file system about paths that come from users."""

from __future__ import annotations

import os
from pathlib import Path


def status_of(path: Path) -> os.stat_result | None:
    """What is at the path, or None: also for paths that no file can have."""
    try:
        return path.stat()
    except (OSError, ValueError):
        return None
