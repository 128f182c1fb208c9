"""Maintainer script: the tables of options in docs/commands.md.

    python -m stylectl.tools.maintenance.option_tables

writes them into the page, between its two markers.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from ...core.job.options.option import Option
from ...core.job.options.table import OPTIONS
from ...plugins.manager import load_plugins
from ..console.options import default_values, flag_of

PAGE = Path(__file__).parents[2] / "docs" / "commands.md"
BEGIN, END = "<!-- options: begin -->", "<!-- options: end -->"

#: Options that are arguments instead of flags.
_ARGUMENTS = {"content": "PHOTO", "styles": "PAINTING..."}


def main() -> None:
    """Write the tables into the page."""
    PAGE.write_text(with_tables(PAGE.read_text("utf-8")), "utf-8")


def with_tables(page: str) -> str:
    """Return the page with its tables up to date."""
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{tables()}{END}{after}"


def tables() -> str:
    """Return a table in Markdown for each panel of the help."""
    panels = dict.fromkeys(option.panel for option in OPTIONS.values())
    return "".join("\n".join(_table(panel)) + "\n\n" for panel in panels)


def _table(panel: str) -> Iterator[str]:
    defaults = default_values(load_plugins().registry)
    yield f"| {panel} | name | default | |"
    yield "| --- | --- | --- | --- |"
    for option in OPTIONS.values():
        if option.panel == panel:
            link = f" [More]({option.see})" if option.see else ""
            default = defaults.get(option.name, "")
            yield f"| `{_flag(option)}` | `{option.name}` | {default} | {option.help}{link} |"


def _flag(option: Option) -> str:
    if option.is_argument:
        return _ARGUMENTS[option.name]
    value = "" if option.is_switch else f" {option.metavar}".replace("|", r"\|")
    return flag_of(option.name) + value


if __name__ == "__main__":
    main()
