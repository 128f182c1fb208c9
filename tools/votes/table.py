"""Votes as CSV: pair, left, right, preferred."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from ...core.errors import UsageError
from ...core.files import read_file, text_of

_COLUMNS = ["pair", "left", "right", "preferred"]
_MOST_BYTES = 64 * 2**20

Side = Literal["left", "right", "none"]


@dataclass(frozen=True)
class Vote:
    """One vote: the methods on both sides, and the side that was preferred."""

    left: str
    right: str
    preferred: Side


def read_votes(paths: Sequence[Path]) -> list[Vote]:
    """Return the votes of some files. Raises UsageError for a file that is no table of votes."""
    votes = [vote for path in paths for vote in _votes_of(path)]
    if not votes:
        raise UsageError(f"{paths[0]}: no vote in it")
    return votes


def _votes_of(path: Path) -> list[Vote]:
    data = read_file(path, _MOST_BYTES, "table of votes")
    try:
        rows = list(csv.reader(io.StringIO(text_of(data), newline=""), strict=True))
    except (ValueError, csv.Error) as error:
        raise UsageError(f"{path}: not CSV in UTF-8 ({error})") from None
    if not rows or rows[0] != _COLUMNS:
        raise UsageError(f"{path}: no table of votes; its first line is {','.join(_COLUMNS)}")
    return [_vote(path, number, row) for number, row in enumerate(rows[1:], start=2) if row]


def _vote(path: Path, number: int, row: Sequence[str]) -> Vote:
    if len(row) != len(_COLUMNS) or row[3] not in get_args(Side):
        raise UsageError(f"{path}: row {number} is no vote: {','.join(_COLUMNS)}")
    _, left, right, preferred = row
    if left == right:
        raise UsageError(f"{path}: row {number} compares {left!r} with itself")
    return Vote(left, right, preferred)  # type: ignore[arg-type]  # checked above
