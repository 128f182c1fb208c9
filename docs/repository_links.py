"""Sphinx extension: links to files of the repository lead to their pages on the site.

The pages of docs/ link to such files by their paths, so that the links also work where the pages
are read as plain files. A link to a file that has no page offers the file as a download.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sphinx.application import Sphinx

#: File, as docs/ links to it -> its page.
PAGES = {
    "../CHANGELOG.md": "changelog.md",
    "../CONTRIBUTING.md": "contributing.md",
    "../NOTICE": "notice.md",
    "../README.md": "index.md",
    "../plugins/hookspecs.py": "reference/hooks.md",
}


def setup(app: Sphinx) -> dict[str, bool]:
    """Connect the extension to the build."""
    app.connect("source-read", _relink)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def _relink(_app: Sphinx, _name: str, source: list[str]) -> None:
    for file, page in PAGES.items():
        source[0] = source[0].replace(f"]({file}", f"]({page}")
