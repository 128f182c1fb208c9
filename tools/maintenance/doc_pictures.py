"""Maintainer script: make the images of the documentation, by the commands on its pages.

    python -m stylectl.tools.maintenance.doc_pictures [--all] [PAGE.md ...]

runs each `stylectl run` and `stylectl sweep` in a page's plain blocks that writes into docs/images,
in the order of the page and in the repository's root. Images that exist are skipped, unless with
`--all`, which takes half an hour of one core.
"""

from __future__ import annotations

import argparse
import os
import re
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
PAGES = (ROOT / "docs" / "gallery.md", ROOT / "docs" / "controls.md")
_FOLDER = Path("docs", "images")


@dataclass(frozen=True)
class Picture:
    """Image of a page: its command's words after `stylectl`, and its file.

    The file is relative to the repository's root.
    """

    arguments: tuple[str, ...]
    output: Path


def pictures(page: Path) -> list[Picture]:
    """Return the images that a page's commands write into docs/images, in the page's order."""
    fenced = re.findall(r"^```(\w*)\n(.*?)^```$", page.read_text(), re.MULTILINE | re.DOTALL)
    written = []
    for line in (
        "".join(block for language, block in fenced if not language)
        .replace("\\\n", " ")
        .splitlines()
    ):
        arguments = shlex.split(line)[1:] if re.match("stylectl (run|sweep) ", line) else []
        if "-o" in arguments:
            output = Path(arguments[arguments.index("-o") + 1])
            if output.is_relative_to(_FOLDER):
                written.append(Picture(tuple(arguments), output))
    return written


def main() -> None:
    """Make the missing images, or all of them; exit with 1 if a command failed."""
    parser = argparse.ArgumentParser(description="Make the images of the documentation.")
    parser.add_argument("pages", nargs="*", type=Path, default=PAGES, metavar="PAGE.md")
    parser.add_argument("--all", action="store_true", help="also make images that exist")
    arguments = parser.parse_args()
    by_output = {picture.output: picture for page in arguments.pages for picture in pictures(page)}
    missing = [
        picture
        for picture in by_output.values()
        if arguments.all or not (ROOT / picture.output).exists()
    ]
    failed = [picture for picture in missing if not _make(picture)]
    for picture in failed:
        print(f"not made: {picture.output}", file=sys.stderr)
    sys.exit(1 if failed else 0)


def _make(picture: Picture) -> bool:
    print("stylectl", shlex.join(picture.arguments), flush=True)
    # Sums in another order are rounded differently, and the steps of a run amplify that until it is
    # visible. With one thread, results do not depend on the number of cores.
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    cells = ROOT / picture.output.with_name(f"{picture.output.stem}-cells")
    shutil.rmtree(cells, ignore_errors=True)
    command = [sys.executable, "-m", "stylectl", *picture.arguments]
    completed = subprocess.run(command, cwd=ROOT, env=environment, check=False)
    shutil.rmtree(cells, ignore_errors=True)
    return completed.returncode == 0


if __name__ == "__main__":
    main()
