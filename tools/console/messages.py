"""Messages of the core, with options written as flags of the command line."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable

from ...core.job.options.names import FORMER_NAMES
from ...core.job.options.table import OPTIONS
from ...core.job.options.video import VIDEO_OPTIONS
from ...core.shown import escaped

#: Flags beside those of a job's options.
_OTHER_FLAGS = (
    *FORMER_NAMES,
    *("preset", "no_plugin", "plugins_dir", "writer", "output", "style_map", "cell_size", "option"),
    *("opset", "dtype", "scale", "set"),
    *("checkpoint", "checkpoint_every", "save_every"),
    *VIDEO_OPTIONS,
    *("work", "contact_sheet", "report"),
)

#: An option in backticks, with or without a value: `style_weight`, `size=512`, `optimizer.history`.
_OPTION = re.compile(r"`([a-z][a-z0-9_]*(?:\.[\w-]+)?)(?:=([^`]*))?`")


def print_problems(problems: Iterable[str]) -> None:
    """Print the problems of the plugins on stderr, each on a line.

    Printed before a job is planned, since they may be why it names something unknown.
    """
    for problem in problems:
        sys.stderr.write(f"stylectl: {with_flags(problem)}\n")


def with_flags(message: str) -> str:
    """Return a message with its options written as flags.

    `style_size=0.5` becomes ``--style-size 0.5``; a key of a choice or a loss term, which has no
    flag of its own, becomes ``--set optimizer.history=20``; a switch, `deinterlace=True`,
    becomes ``--deinterlace``. Control characters, which a file's name or a plugin's message may
    have, are escaped.
    """

    def flag(match: re.Match[str]) -> str:
        name, value = match[1], match[2]
        if "." not in name and name not in OPTIONS and name not in _OTHER_FLAGS:
            return match[0]
        if "." in name:
            return f"--set {name}" if value is None else f"--set {name}={value}"
        dashed = "--" + name.replace("_", "-")
        return dashed if value in (None, "True") else f"{dashed} {value}"

    return escaped(_OPTION.sub(flag, message))
