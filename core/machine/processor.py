"""The name of this machine's processor."""

from __future__ import annotations

import platform


def processor_name() -> str:
    """Return the name of the processor as its maker writes it, else its architecture."""
    try:
        with open("/proc/cpuinfo") as file:  # noqa: PTH123
            for line in file:
                key, _, value = line.partition(":")
                if key.strip() == "model name":
                    return value.strip()
    except OSError:  # not Linux
        pass
    return platform.processor() or platform.machine()
