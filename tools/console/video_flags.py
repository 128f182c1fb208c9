"""Flags of the settings of a video, made from the table in core/job/options/video.py."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Annotated, Any

import typer

from ...core.errors import UsageError
from ...core.job.options.text import key_values
from ...core.job.options.video import VIDEO_OPTIONS, VideoOption
from ...core.validation import Text

_PANEL = "The video"


def with_video_settings(function: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the flags of a video's settings.

    The command gets the values that were set as its argument `settings`: texts, which the types of
    `VideoSettings` parse.
    """
    signature = inspect.signature(function, eval_str=True)
    arguments = [
        parameter for parameter in signature.parameters.values() if parameter.name != "settings"
    ]
    flags = [_flag(option) for option in VIDEO_OPTIONS.values()]

    def command(**values: Any) -> Any:
        given = {flag.name: values.pop(flag.name) for flag in flags}
        settings = {name: _read(name, value) for name, value in given.items() if value}
        return function(**values, settings=settings)

    parameters = [
        parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY) for parameter in (*arguments, *flags)
    ]
    command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    command.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    command.__doc__, command.__name__ = function.__doc__, function.__name__
    return command


def _flag(option: VideoOption) -> inspect.Parameter:
    info = typer.Option(
        "--" + option.name.replace("_", "-"),
        metavar=option.metavar or None,
        help=option.help,
        rich_help_panel=_PANEL,
    )
    kind = str if option.metavar else bool
    return inspect.Parameter(
        option.name,
        inspect.Parameter.KEYWORD_ONLY,
        default=None,
        annotation=Annotated[kind | None, info],
    )


def _read(name: str, value: Any) -> Any:
    if name == "flow":
        chosen, *options = value.split(":")
        if not chosen:
            raise UsageError("`flow` names an estimator, as in flow=dis:preset=fast")
        return {"name": chosen, **dict(key_values(f"flow={chosen}", options))}
    return value if value is True else Text(value)
