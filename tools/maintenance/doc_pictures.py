"""For maintainers: make the pictures of the documentation, by the commands that its pages show.

    python -m stylectl.tools.maintenance.doc_pictures [--all] [PAGE.md ...]

runs, in the order of the page, each `stylectl run` and `stylectl sweep` of its plain blocks that
writes into docs/images, in the repository's root. Pictures that are there are skipped, unless with
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
    """A picture of a page: the words of its command after `stylectl`, and its file, relative to
    the repository's root."""

    arguments: tuple[str, ...]
    output: Path


def pictures(page: Path) -> list[Picture]:
    """Those that the page's commands write into docs/images, in its order."""
    fenced = re.findall(r"^```(\w*)\n(.*?)^```$", page.read_text(), re.MULTILINE | re.DOTALL)
    found = []
    for line in (
        "".join(block for language, block in fenced if not language)
        .replace("\\\n", " ")
        .splitlines()
    ):
        arguments = shlex.split(line)[1:] if re.match("stylectl (run|sweep) ", line) else []
        if "-o" in arguments:
            output = Path(arguments[arguments.index("-o") + 1])
            if output.is_relative_to(_FOLDER):
                found.append(Picture(tuple(arguments), output))
    return found


def main() -> None:
    """Make what is missing, or everything; exits with 1 if a command failed."""
    parser = argparse.ArgumentParser(description="Make the pictures of the documentation.")
    parser.add_argument("pages", nargs="*", type=Path, default=PAGES, metavar="PAGE.md")
    parser.add_argument("--all", action="store_true", help="those that are there, too")
    given = parser.parse_args()
    wanted = {each.output: each for page in given.pages for each in pictures(page)}
    missing = [each for each in wanted.values() if given.all or not (ROOT / each.output).exists()]
    failed = [each for each in missing if not _make(each)]
    for each in failed:
        print(f"not made: {each.output}", file=sys.stderr)
    sys.exit(1 if failed else 0)


def _make(picture: Picture) -> bool:
    print("stylectl", shlex.join(picture.arguments), flush=True)
    # Sums in another order are rounded differently, and the steps of a run amplify that until it
    # can be seen. With one thread, pictures do not depend on the number of cores.
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    cells = ROOT / picture.output.with_name(f"{picture.output.stem}-cells")
    shutil.rmtree(cells, ignore_errors=True)
    command = [sys.executable, "-m", "stylectl", *picture.arguments]
    done = subprocess.run(command, cwd=ROOT, env=environment, check=False)
    shutil.rmtree(cells, ignore_errors=True)
    return done.returncode == 0


if __name__ == "__main__":
    main()
