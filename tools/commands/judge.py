"""`stylectl judge`: scores of results."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ...core.errors import UsageError
from ..console import shared_flags
from ..console.printing import print_json

if TYPE_CHECKING:
    from ..judge.judging import Judgement


def command(
    results: Annotated[
        list[str], typer.Argument(metavar="RESULT...", help="One or more image files.")
    ],
    content: Annotated[
        str | None, typer.Option(metavar="PHOTO", help="The content image of the results.")
    ] = None,
    style: Annotated[
        str | None, typer.Option(metavar="PAINTING", help="The style image of the results.")
    ] = None,
    size: Annotated[
        int, typer.Option(metavar="PIXELS", help="Long side at which they are compared.")
    ] = 512,
    as_json: shared_flags.PlainAsJson = False,
) -> None:
    """Score results beside their photograph and their painting.

    The scores of the photograph and of the painting themselves are the bounds: a copy of the
    photograph keeps all content and has no style.
    """
    if content is None or style is None:
        raise UsageError("--content and --style are required: results are judged beside both")
    from ..api.judge import judge

    judgement = judge(results, content=content, style=style, size=size)
    if as_json:
        print_json(_record(judgement))
    else:
        _print(judgement)


def _record(judgement: Judgement) -> dict[str, Any]:
    record = asdict(judgement)
    scores = record.pop("scores")
    return {**record, "scores": {score.pop("name"): score for score in scores}}


def _print(judgement: Judgement) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    from ...core.shown import one_line

    columns = ["score", *judgement.results, "photo", "painting", "better"]
    table = Table(*(escape(one_line(column)) for column in columns), box=None, pad_edge=False)
    for score in judgement.scores:
        values = [*score.results, score.content, score.style]
        cells = ["-" if value is None else f"{value:.3f}" for value in values]
        table.add_row(score.name, *cells, score.better)
    width, height = judgement.size
    console = Console(emoji=False)
    console.print(table)
    console.print(f"compared at {width}x{height} px", highlight=False)
