"""Flags of a job's options, made from the table in core/job/options/table.py."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer
import typer.core

from ...core.errors import UsageError
from ...core.job.options.names import FORMER_NAMES, under_current_names
from ...core.job.options.option import Listed, Option
from ...core.job.options.table import OPTIONS

if TYPE_CHECKING:
    from ...core.planning.registry import Registry

_STYLE_MAP = typer.Option(
    metavar="PAINTING_MAP",
    help="With --regions: the map of each further style image.",
    rich_help_panel=OPTIONS["regions"].panel,
)


def with_job_options(*names: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Return a decorator that gives a command the flags of the options `names` (default: all).

    The command gets their values, in the form that `build_job` takes, as its argument `options`.
    """
    chosen = [OPTIONS[name] for name in names] if names else list(OPTIONS.values())

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        flags = [_parameter(option) for option in chosen if not option.is_argument]
        flags += [
            optional_flag(former, str, typer.Option(flag_of(former), hidden=True))
            for former, name in FORMER_NAMES.items()
            if OPTIONS[name] in chosen
        ]
        if "regions" in [option.name for option in chosen]:
            flags.append(optional_flag("style_map", list[str], _STYLE_MAP))

        return with_flags(function, flags, "options", read_flags)

    return decorate


def with_flags(
    function: Callable[..., Any],
    flags: Sequence[inspect.Parameter],
    argument: str,
    read: Callable[[Mapping[str, Any]], Mapping[str, Any]],
) -> Callable[..., Any]:
    """Return a command with `flags` in place of an `argument`, which gets what `read` returns.

    `read` gets the values of all flags by their names, None for those that were not set.
    """
    signature = inspect.signature(function, eval_str=True)
    arguments = [
        parameter for parameter in signature.parameters.values() if parameter.name != argument
    ]

    def command(**values: Any) -> Any:
        flag_values = {flag.name: values.pop(flag.name) for flag in flags}
        return function(**values, **{argument: read(flag_values)})

    parameters = [
        parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY) for parameter in (*arguments, *flags)
    ]
    command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    command.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    command.__doc__, command.__name__ = function.__doc__, function.__name__
    return command


def read_flags(values: Mapping[str, Any]) -> dict[str, Any]:
    """Read the options from flags' values, without those that were not set.

    Raises UsageError for values that cannot be read.
    """
    set_values = under_current_names({name: value for name, value in values.items() if value})
    maps = set_values.pop("style_map", [])
    if maps and "regions" not in set_values:
        raise UsageError("`style_map` has no effect without `regions`")
    options = {name: _read(OPTIONS[name], value) for name, value in set_values.items()}
    if maps:
        options["regions"] = [*options["regions"], *maps]
    return options


def flag_of(name: str) -> str:
    """Return the flag of an option: ``--style-weight`` for ``style_weight``."""
    return "--" + name.replace("_", "-")


class JobCommand(typer.core.TyperCommand):
    """Command whose help lists the installed names that its options choose from."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Add the names and defaults to the help texts. See click.Command.format_help."""
        listed: dict[str, Listed] = {
            option.name: option.lists for option in OPTIONS.values() if option.lists is not None
        }
        listed["preset"] = "presets"
        from ...plugins.manager import load_plugins

        registry = load_plugins().registry
        names, defaults = _installed_names(registry), default_values(registry)
        for parameter in self.params:
            if not isinstance(parameter, typer.core.TyperOption):
                continue
            kind, text = listed.get(parameter.name or ""), parameter.help or ""
            if kind is not None:
                text = f"{text.rstrip('.')}: {', '.join(names[kind])}."
            option = OPTIONS.get(parameter.name or "")
            from_table = option is not None and option.help == parameter.help
            if parameter.name in defaults and from_table and parameter.default is None:
                text += f" Default: {defaults[parameter.name]}."
            parameter.help = text
        super().format_help(ctx, formatter)


def default_values(registry: Registry) -> dict[str, str]:
    """Return the values of options that have one in the default job, as text."""
    from ...core.job.model import Job
    from ...core.planning.planner import make_plan

    table = make_plan(Job.from_preset(), registry).job.as_table()
    values = {option.name: option.place.get(table) for option in OPTIONS.values()}
    return {
        name: f"{value:g}" if isinstance(value, float) else str(value)
        for name, value in values.items()
        if isinstance(value, str | int | float)
        and not isinstance(value, bool)
        and not OPTIONS[name].is_argument
    }


def _parameter(option: Option) -> inspect.Parameter:
    name = flag_of(option.name)
    info = typer.Option(
        name,
        metavar=None if option.is_switch else option.metavar,
        help=option.help,
        rich_help_panel=option.panel,
    )
    if option.is_switch:
        return optional_flag(option.name, bool, info)
    if option.count == 2:
        return optional_flag(option.name, tuple[str, str], info)
    return optional_flag(option.name, list[str] if option.repeats else str, info)


def optional_flag(name: str, kind: Any, info: Any) -> inspect.Parameter:
    """Return a flag that is None if it is not set; `info` is what `typer.Option` returns."""
    annotation = Annotated[kind | None, info]
    return inspect.Parameter(
        name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=annotation
    )


def _read(option: Option, value: Any) -> Any:
    if option.repeats:
        return [option.read_one(option.name, text) for text in value]
    if option.is_switch or option.count > 1:
        return list(value) if isinstance(value, tuple) else value
    return option.read(option.name, value)


def _installed_names(registry: Registry) -> dict[Listed, list[str]]:
    """Return the installed names, by kind."""
    return {
        "presets": [spec.name for spec in registry.presets],
        "optimizers": [spec.name for spec in registry.optimizers],
        "inits": [spec.name for spec in registry.initializers if spec.name != "file"],
        "parametrizations": [spec.name for spec in registry.parametrizations],
        "backends": [spec.name for spec in registry.backends],
        "backbones": [spec.name for spec in registry.backbones],
        "terms": [spec.name for spec in registry.terms],
    }
