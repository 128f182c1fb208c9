"""The API reference is whole, and its examples run."""

from __future__ import annotations

import doctest
import re
from pathlib import Path

import pytest
import stylectl
from stylectl.docs.public_names import REFERENCE, documentation, problems

PAGES = sorted(REFERENCE.glob("*.md"))


def blocks(page: Path) -> str:
    """The page's Python sessions, as one."""
    return "".join(re.findall(r"^```pycon\n(.*?)^```$", page.read_text(), re.MULTILINE | re.DOTALL))


def test_every_public_name_is_in_the_reference_and_documented() -> None:
    assert list(problems()) == []


def test_a_name_without_documentation_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    def undocumented() -> None: ...

    monkeypatch.setattr(stylectl, "undocumented", undocumented, raising=False)
    monkeypatch.setattr(stylectl, "__all__", [*stylectl.__all__, "undocumented"])
    assert [problem for problem in problems() if "stylectl.undocumented " in problem] == list(
        problems()
    )
    assert len(list(problems())) == 2


def test_a_type_alias_is_documented_by_the_comment_above_it() -> None:
    assert documentation(stylectl, "IMAGE_LAYER").startswith("The pixels themselves")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_page_has_an_example(page: Path) -> None:
    assert page.stem == "index" or blocks(page) or "hookspecs.stylectl_" in page.read_text()


@pytest.mark.parametrize(
    "page", [page for page in PAGES if blocks(page)], ids=lambda page: page.stem
)
def test_the_examples_of_a_page_run(
    page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STYLECTL_PLUGINS", "")
    monkeypatch.chdir(tmp_path)
    examples = doctest.DocTestParser().get_doctest(blocks(page), {}, page.stem, str(page), 0)
    shown: list[str] = []
    results = doctest.DocTestRunner().run(examples, out=shown.append)
    assert results.failed == 0, "".join(shown)
