"""``--writer NAME:KEY=VALUE``: settings of writers."""

from __future__ import annotations

from typing import Any

from ...core.errors import UsageError
from ...core.job.options.text import key_values


def read_writers(texts: list[str]) -> dict[str, dict[str, Any]]:
    """Parse texts ``NAME:KEY=VALUE:...`` into the settings of writers, by name.

    The values stay texts, which the writers' option models read. Raises UsageError for a writer
    that is named twice.
    """
    writers: dict[str, dict[str, Any]] = {}
    for text in texts:
        name, *settings = text.split(":")
        if name in writers:
            raise UsageError(f"--writer {name} is given twice: put its settings into one")
        writers[name] = dict(key_values(f"writer={name}", settings))
    return writers
