"""`stylectl judge` as a user calls it."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

Program = Callable[..., subprocess.CompletedProcess[str]]
BESIDE = ("--content", "sample:photo", "--style", "sample:painting")


def test_scores_are_a_table_and_json(program: Program, tmp_path: Path) -> None:
    table = program("judge", "sample:photo", *BESIDE, "--size", "128", folder=tmp_path)
    assert table.returncode == 0, table.stderr
    lines = table.stdout.splitlines()
    assert lines[0].split()[-3:] == ["photo", "painting", "better"]
    assert [line.split()[0] for line in lines[1:4]] == ["gram", "effectiveness", "cfsd"]
    assert lines[-1] == "compared at 128x85 px"
    shown = program("judge", "sample:photo", *BESIDE, "--size", "128", "--json", folder=tmp_path)
    record = json.loads(shown.stdout)
    assert record["size"] == [128, 85]
    assert record["scores"]["edges"]["results"] == [1.0]
    for score in record["scores"].values():
        assert score["results"][0] == pytest.approx(score["content"])


def test_a_page_is_written_and_votes_are_ranked(program: Program, tmp_path: Path) -> None:
    (tmp_path / "contest" / "cat").mkdir(parents=True)
    for name in ("a", "b"):
        Image.new("RGB", (32, 32), "red").save(tmp_path / "contest" / "cat" / f"{name}.png")
    wrote = program("judge", "--page", "contest", "-o", "vote.html", folder=tmp_path)
    assert wrote.stdout == "wrote vote.html: 1 pairs, 1 comparisons\n"
    assert (tmp_path / "vote.html").stat().st_size > 1000
    head = "pair,left,right,preferred\n"
    (tmp_path / "one.csv").write_text(f"{head}cat,a,b,left\ncat,b,a,left\n")
    (tmp_path / "two.csv").write_text(f"{head}cat,a,b,left\ncat,a,b,left\n")
    files = ("one.csv", "two.csv")
    ranked = program("judge", "--votes", *files, folder=tmp_path).stdout.splitlines()
    assert ranked[1].split()[:4] == ["a", "4", "3", "+0.55"]
    record = json.loads(program("judge", "--votes", *files, "--json", folder=tmp_path).stdout)
    assert [method["method"] for method in record["methods"]] == ["a", "b"]
    assert record["regularised"] is False


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "name one or more results"),
        (("a.png", "--content", "b.png"), "--style"),
        (("missing.png", *BESIDE), "missing.png: no such file"),
        (("sample:photo", *BESIDE, "--size", "20"), "--size 20"),
        (("sample:photo", *BESIDE, "-o", "x.html"), "--output has no effect without --page"),
        (("--page", "contest"), "-o vote.html"),
        (("--page", "contest", "-o", "x.html", "--style", "a.png"), "--style has no effect"),
        (("--votes", "v.csv", "--size", "20"), "--size has no effect with --votes"),
        (("--votes", "v.csv"), "v.csv: no such table of votes"),
    ],
)
def test_wrong_usage_is_explained(
    arguments: tuple[str, ...], message: str, program: Program, tmp_path: Path
) -> None:
    ran = program("judge", *arguments, folder=tmp_path)
    assert ran.returncode == 2
    assert message in " ".join(ran.stderr.split())
    assert "Traceback" not in ran.stderr
