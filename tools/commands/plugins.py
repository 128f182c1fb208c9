"""Commands `stylectl plugins`: write, check, list, install and uninstall plugins."""

from __future__ import annotations

import re
import shlex
import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ...core.errors import PluginError, UsageError
from ...core.shown import one_line
from ..console import shared_flags
from ..console.messages import with_flags
from ..console.printing import print_json, print_line
from ..plugins.template import DEFAULT, Kind, write_plugin

if TYPE_CHECKING:
    from ..plugins.checking import Check
    from ..plugins.pip import Change

#: Longest name of a plugin, from which those of files are made.
_LONGEST = 64

app = typer.Typer(help="Write, check, list, install and uninstall plugins.", no_args_is_help=True)

Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask for confirmation.")]


@app.command("new")
def new(
    name: Annotated[str, typer.Argument(help="Such as pastel: makes stylectl-plugin-pastel.")],
    kind: Annotated[
        list[Kind] | None,
        typer.Option(
            help=f"What it contributes; may be given several times. Default: {', '.join(DEFAULT)}."
        ),
    ] = None,
) -> None:
    """Write a plugin to start from, with tests, in a new folder here."""
    if not re.fullmatch(r"[a-z][a-z0-9]*(-[a-z0-9]+)*", name):
        raise UsageError(
            f"{name!r}: a plugin's name begins with a lower-case letter, and has lower-case "
            "letters and digits, with single hyphens between them"
        )
    if len(name) > _LONGEST:
        raise UsageError(f"a plugin's name has at most {_LONGEST} characters")
    _check_free(name)
    folder = write_plugin(name, kind or DEFAULT)
    print_line(f"wrote {folder}")
    print_line(f"next: pip install -e './{folder}[test]' && pytest {folder}")


@app.command("list")
def list_plugins(
    no_plugin: shared_flags.PlainNoPlugin = None,
    plugins_dir: shared_flags.PlainPluginsDir = None,
    as_json: shared_flags.PlainAsJson = False,
) -> None:
    """List the plugins, with their states and contributions, as stylectl list plugins does."""
    from . import listing

    listing.command(
        listing.Kind.PLUGINS, no_plugin=no_plugin, plugins_dir=plugins_dir, as_json=as_json
    )


@app.command("check")
def check(
    name: Annotated[str, typer.Argument(help="The plugin, as in stylectl plugins list.")],
    plugins_dir: shared_flags.PlainPluginsDir = None,
    as_json: shared_flags.PlainAsJson = False,
) -> int:
    """Check one plugin, and each of its contributions with the checks of stylectl.testing.

    The contributions are checked with their default options. Exits with 1 if a check fails.
    """
    from dataclasses import asdict

    from ...plugins.finding import find_plugins, named_plugin
    from ...plugins.folders import plugin_folders
    from ...plugins.manager import load_plugins
    from ..plugins.checking import check_plugin

    folders = plugins_dir or []
    plugin = named_plugin(name, find_plugins(folders=plugin_folders(folders)[0]))
    plugins = load_plugins(folders=folders)
    (record,) = [record for record in plugins.records if record.name == plugin.name]
    checks = []
    if not as_json:
        print_line(f"{record.name} ({record.origin})")
    for outcome in check_plugin(record, plugins):
        checks.append(outcome)
        if not as_json:
            print_line(_in_words(outcome))
    counts = {
        word: sum(outcome.outcome == word for outcome in checks)
        for word in ("ok", "failed", "note")
    }
    if as_json:
        table = {"name": record.name, "from": record.origin, "ok": counts["failed"] == 0}
        print_json({**table, "checks": [asdict(outcome) for outcome in checks]})
    else:
        print_line(", ".join(f"{count} {word}" for word, count in counts.items()))
    return 1 if counts["failed"] else 0


@app.command("install")
def install(
    name: Annotated[
        str,
        typer.Argument(
            help="A plugin (pastel), its distribution ('stylectl-plugin-pastel>=1.2'), or the "
            "path of a wheel or a project."
        ),
    ],
    yes: Yes = False,
) -> int:
    """Install a plugin with pip, in this environment.

    Says what it is about to do, and asks for confirmation.
    """
    from ..plugins import pip

    change = pip.installation(name)
    before = {row["name"]: row for row in pip.plugins_of_a_new_process()}
    if not _changed(change, yes):
        return 1
    rows = pip.plugins_of_a_new_process()
    brought = [
        row
        for row in rows
        if (row["distribution"] and row["distribution"] == change.distribution)
        or row != before.get(row["name"])
    ]
    if not brought:
        raise PluginError(
            f"pip has installed {name}, but no plugin came with it: it has no entry point in the "
            "group stylectl"
            if change.distribution
            else f"pip has installed {name}; stylectl plugins list shows no new plugin"
        )
    for row in brought:
        print_line(one_line(f"{row['name']} ({row['from']}), {row['state']}"))
        for contribution in row["brings"]:
            print_line(f"  {one_line(contribution)}")
    return 0 if all(row["state"] == "loaded" for row in brought) else 1


@app.command("uninstall")
def uninstall(
    name: Annotated[str, typer.Argument(help="A plugin, or its distribution.")],
    yes: Yes = False,
) -> int:
    """Remove the distribution of a plugin with pip, from this environment.

    Says what it is about to do, and asks for confirmation.
    """
    from ..plugins import pip

    change = pip.uninstallation(name)
    if not _changed(change, yes):
        return 1
    rows = pip.plugins_of_a_new_process()
    if any(row["distribution"] == change.distribution for row in rows):
        raise PluginError(f"{change.distribution} is still there, perhaps in a second place")
    print_line(f"removed {change.distribution}")
    return 0


def _changed(change: Change, yes: bool) -> bool:
    """Say what pip will do, ask, and do it; return False if the user refuses."""
    from ..plugins import pip

    pip.check_environment()
    print_line(f"{change.summary}. The command:")
    print_line(f"  {shlex.join(change.command)}")
    if not yes:
        if not sys.stdin.isatty():
            raise UsageError("nothing is changed: there is no terminal to ask; add --yes")
        if not typer.confirm("Continue?"):
            print_line("nothing is changed")
            return False
    pip.run(change, lambda line: print_line(f"  {line}"))
    return True


def _in_words(check: Check) -> str:
    remark = f": {check.remark}" if check.remark else ""
    line = with_flags(f"{check.subject}: {check.what}{remark}")
    return f"{check.outcome:6} " + one_line(line, 500)


def _check_free(name: str) -> None:
    """Raise UsageError for the name of an existing plugin, or of a contribution."""
    from ...plugins.finding import find_plugins
    from ...plugins.folders import plugin_folders
    from ...plugins.manager import load_plugins

    registry = load_plugins().registry
    taken: dict[str, Any] = {
        **{spec.name: table.label(spec.name) for table in registry.tables for spec in table},
        **{
            plugin.short_name: f"the plugin {plugin.name} ({plugin.origin})"
            for plugin in find_plugins(folders=plugin_folders()[0])
        },
    }
    if name in taken:
        raise UsageError(f"{name!r}: the name is taken by {taken[name]}; choose another")
