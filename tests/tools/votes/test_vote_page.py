"""The page for votes, as a file and in a browser, and the table that it saves."""

from __future__ import annotations

import base64
import csv
import html
import io
import json
import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path

import pytest
from PIL import Image
from stylectl.core.errors import UsageError
from stylectl.tools.votes.contest import read_contest
from stylectl.tools.votes.page import write_page
from stylectl.tools.votes.table import Vote, read_votes

#: Names that would open a script, or end a cell of CSV, were they not escaped.
BAD, QUOTED = "<!--<script>alert(1)&'", 'b, "quoted"'


class Page(HTMLParser):
    """Tags with their attributes, and the text of each script."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attributes)))
        if tag == "script":
            self.scripts.append("")

    def handle_data(self, data: str) -> None:
        if self.tags and self.tags[-1][0] == "script":
            self.scripts[-1] += data


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "contest"
    for pair, methods in {"one": (BAD, QUOTED), "two": (BAD, QUOTED, "c")}.items():
        (folder / pair).mkdir(parents=True)
        for number, method in enumerate(methods):
            color = (60 * number, 100, 50)
            Image.new("RGB", (120, 80), color).save(folder / pair / f"{method}.png")
    Image.new("RGB", (400, 300), "blue").save(folder / "one" / "content.jpg")
    return folder


@pytest.fixture
def page(folder: Path) -> str:
    assert write_page(read_contest(folder), folder.parent / "vote.html", 100) == 4
    return (folder.parent / "vote.html").read_text("utf-8")


def test_the_page_loads_nothing_and_escapes_names(page: str) -> None:
    parsed = Page(page)
    assert len(parsed.scripts) == 2
    for tag, attributes in parsed.tags:
        assert tag not in ("link", "iframe", "base", "object")
        assert "onerror" not in attributes
        for name in ("src", "href"):
            assert name not in attributes
    policy = next(a["content"] for t, a in parsed.tags if t == "meta" and "http-equiv" in a)
    assert policy is not None
    assert policy.startswith("default-src 'none'; img-src data:;")
    assert not re.search(r"https?://", page)


def test_the_page_has_all_pairs_of_methods_and_their_pictures(page: str) -> None:
    contest = json.loads(Page(page).scripts[0])
    methods = [(c["pair"], *sorted(c["methods"])) for c in contest["comparisons"]]
    assert sorted(methods) == sorted(
        [
            ("one", *sorted([BAD, QUOTED])),
            ("two", *sorted([BAD, QUOTED])),
            ("two", *sorted([BAD, "c"])),
            ("two", *sorted([QUOTED, "c"])),
        ]
    )
    first = next(c for c in contest["comparisons"] if c["pair"] == "one")
    assert first["style"] is None
    assert first["content"] is not None
    assert len(contest["pictures"]) == 6
    assert all(picture.startswith("data:image/jpeg;base64,") for picture in contest["pictures"])


def test_no_name_of_a_method_is_shown(page: str) -> None:
    before_data = page.split('<script type="application/json"')[0]
    assert "quoted" not in before_data


def test_the_page_shows_pictures_no_larger_than_asked(page: str) -> None:
    contest = json.loads(Page(page).scripts[0])
    for uri in contest["pictures"]:
        image = Image.open(io.BytesIO(base64.b64decode(uri.split(",")[1])))
        assert max(image.size) <= 100


@pytest.mark.skipif(shutil.which("chromium") is None, reason="needs chromium")
def test_votes_in_a_browser_give_a_table_that_is_read(page: str, tmp_path: Path) -> None:
    """Votes by buttons and keys, one of them taken back; the table is put into the title."""
    script = """<script>
    document.getElementById("left").click();
    document.getElementById("right").click();
    document.dispatchEvent(new KeyboardEvent("keydown", {key: "u"}));
    document.dispatchEvent(new KeyboardEvent("keydown", {key: "ArrowRight"}));
    document.dispatchEvent(new KeyboardEvent("keydown", {key: "n"}));
    document.dispatchEvent(new KeyboardEvent("keydown", {key: "A"}));
    document.dispatchEvent(new KeyboardEvent("keydown", {key: "b"}));
    const table = document.createElement("pre");
    table.id = "table";
    table.textContent = JSON.stringify([csv(), document.getElementById("done").hidden,
      document.getElementById("count").textContent, document.getElementById("save").href]);
    document.body.append(table);
    </script></body>"""
    file = tmp_path / "voting.html"
    file.write_text(page.replace("</body>", script), "utf-8")
    dumped = subprocess.run(
        [
            *("chromium", "--headless", "--no-sandbox", "--disable-gpu", "--dump-dom"),
            *(f"--user-data-dir={tmp_path / 'profile'}", file.as_uri()),
        ],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    ).stdout
    (found,) = re.findall(r'<pre id="table">(.*?)</pre>', dumped, re.DOTALL)
    text, is_unfinished, count, link = json.loads(html.unescape(found))
    assert not is_unfinished
    assert count == "4 of 4"
    assert link.startswith("blob:")
    rows = list(csv.DictReader(io.StringIO(text, newline="")))
    assert [row["preferred"] for row in rows] == ["left", "right", "none", "left"]
    table = tmp_path / "votes.csv"
    table.write_bytes(text.encode())
    read = read_votes([table, table])
    assert len(read) == 8
    assert {method for vote in read for method in (vote.left, vote.right)} == {BAD, QUOTED, "c"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no table of votes"),
        ("pair,left,right\r\n", "no table of votes"),
        ("pair,left,right,preferred\r\n", "no vote in it"),
        ("pair,left,right,preferred\r\np,a,b,both\r\n", "row 2 is no vote"),
        ("pair,left,right,preferred\r\np,a,b\r\n", "row 2 is no vote"),
        ("pair,left,right,preferred\r\np,a,a,left\r\n", "row 2 compares 'a' with itself"),
        ('pair,left,right,preferred\r\np,"a,b,left\r\n', "not CSV"),
    ],
)
def test_a_file_that_is_no_table_of_votes_is_refused(
    text: str, message: str, tmp_path: Path
) -> None:
    (tmp_path / "votes.csv").write_bytes(text.encode())
    with pytest.raises(UsageError, match=message):
        read_votes([tmp_path / "votes.csv"])


def test_bytes_that_are_no_text_are_refused(tmp_path: Path) -> None:
    (tmp_path / "votes.csv").write_bytes(b"\x80\x81")
    with pytest.raises(UsageError, match="not CSV in UTF-8"):
        read_votes([tmp_path / "votes.csv"])


def test_a_table_that_a_spreadsheet_saved_is_read(tmp_path: Path) -> None:
    """With a byte order mark, plain line breaks and an empty line."""
    (tmp_path / "v.csv").write_bytes(b"\xef\xbb\xbfpair,left,right,preferred\np,a,b,none\n\n")
    assert read_votes([tmp_path / "v.csv"]) == [Vote("a", "b", "none")]


def test_folders_without_a_contest_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no such folder"):
        read_contest(tmp_path / "missing")
    with pytest.raises(UsageError, match="no subfolder in it"):
        read_contest(tmp_path)
    (tmp_path / "pair").mkdir()
    image = Image.new("RGB", (8, 8))
    image.save(tmp_path / "pair" / "a.png")
    image.save(tmp_path / "pair" / "content.png")
    with pytest.raises(UsageError, match="two methods or more, and has 1"):
        read_contest(tmp_path)
    image.save(tmp_path / "pair" / "a.jpg")
    with pytest.raises(UsageError, match=r"a\.jpg and a\.png have one name"):
        read_contest(tmp_path)


def test_the_page_never_replaces_a_picture(folder: Path) -> None:
    entries = read_contest(folder)
    with pytest.raises(UsageError, match="would overwrite an input"):
        write_page(entries, folder / "two" / "c.png", 100)
