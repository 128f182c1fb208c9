"""Flags of the settings of a video, made from the table in core/job/options/video.py."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

import typer

from ...core.errors import UsageError
from ...core.job.options.text import key_values
from ...core.job.options.video import VIDEO_OPTIONS, VideoOption
from ...core.validation import Text
from .options import flag_of, optional_flag, with_flags

_PANEL = "The video"


def with_video_settings(function: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the flags of a video's settings.

    The command gets the values that were set as its argument `settings`: texts, which the types of
    `VideoSettings` parse.
    """
    flags = [_flag(option) for option in VIDEO_OPTIONS.values()]
    return with_flags(function, flags, "settings", _read_all)


def _read_all(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: _read(name, value) for name, value in values.items() if value}


def _flag(option: VideoOption) -> inspect.Parameter:
    info = typer.Option(
        flag_of(option.name),
        metavar=option.metavar or None,
        help=option.help,
        rich_help_panel=_PANEL,
    )
    return optional_flag(option.name, str if option.metavar else bool, info)


def _read(name: str, value: Any) -> Any:
    if name == "flow":
        chosen, *options = value.split(":")
        if not chosen:
            raise UsageError("`flow` names an estimator, as in flow=dis:preset=fast")
        return {"name": chosen, **dict(key_values(f"flow={chosen}", options))}
    return value if value is True else Text(value)
