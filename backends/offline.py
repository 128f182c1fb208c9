"""ONNX Runtime without its telemetry: everything else imports it from here.

The official builds since 1.31 write an identifier of the machine and a queue of events into the
user's cache folder, and send them to Microsoft, unless the variable below is set before the library
is loaded (Privacy.md of onnxruntime, "Disabling Telemetry"). Processes that are started later
inherit the variable.
"""

from __future__ import annotations

import os
from typing import Any


def switch_off_telemetry() -> None:
    """Switch off the telemetry of an ONNX Runtime that this process loads later."""
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"


def import_onnxruntime() -> Any:
    """Return the package `onnxruntime`, with its telemetry switched off."""
    switch_off_telemetry()
    import onnxruntime

    # For builds that do not know the variable: those of Windows before 1.31.
    onnxruntime.disable_telemetry_events()
    return onnxruntime
