"""`stylectl judge`: scores of results, and votes of people on them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ...core.errors import UsageError
from ..console import shared_flags
from ..console.messages import print_problems
from ..console.printing import print_json, print_line

if TYPE_CHECKING:
    from ..judge.judging import Judgement
    from ..votes.bradley_terry import Ranking

_SIZE = 512
_PAGE = "A page for votes"


def command(
    results: Annotated[
        list[str] | None,
        typer.Argument(metavar="RESULT...", help="One or more results, as image files."),
    ] = None,
    content: Annotated[
        str | None, typer.Option(metavar="PHOTO", help="The content image of the results.")
    ] = None,
    style: Annotated[
        str | None, typer.Option(metavar="PAINTING", help="The style image of the results.")
    ] = None,
    size: Annotated[
        int | None,
        typer.Option(
            metavar="PIXELS",
            help=f"Long side at which pictures are compared, or shown. Default: {_SIZE}.",
        ),
    ] = None,
    page: Annotated[
        Path | None,
        typer.Option(
            parser=shared_flags.path_of,
            metavar="DIR",
            help="Write a page for votes on DIR/PAIR/METHOD.png; content.* and style.* in a "
            "subfolder are shown beside.",
            rich_help_panel=_PAGE,
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            parser=shared_flags.path_of,
            metavar="FILE",
            help="The page, an HTML file.",
            rich_help_panel=_PAGE,
        ),
    ] = None,
    votes: Annotated[
        Path | None,
        typer.Option(
            parser=shared_flags.path_of,
            metavar="CSV",
            help="Rank methods by the votes of a page; further files may follow.",
            rich_help_panel=_PAGE,
        ),
    ] = None,
    as_json: shared_flags.PlainAsJson = False,
) -> None:
    """Score results beside their photograph and their painting.

    The scores of the photograph and of the painting themselves are the bounds: a copy of the
    photograph keeps all content and has no style.
    """
    others = {"content": content, "style": style, "size": size, "page": page, "output": output}
    if votes is not None:
        _check_unused("--votes", others)
        _rank([votes, *map(Path, results or [])], as_json)
    elif page is not None:
        _check_unused("--page", {"RESULT": results, "content": content, "style": style})
        if output is None:
            raise UsageError("--page: name the page that is written, as in -o vote.html")
        _write_page(page, output, _SIZE if size is None else size, as_json)
    else:
        if output is not None:
            raise UsageError("--output has no effect without --page")
        if not results or content is None or style is None:
            raise UsageError(
                "name one or more results, and with --content and --style the images that they "
                "were made from"
            )
        _judge(results, content, style, _SIZE if size is None else size, as_json)


def _check_unused(mode: str, values: Mapping[str, Any]) -> None:
    """Raise UsageError for a value that has no effect in this mode."""
    for name, value in values.items():
        if value is not None and value != []:
            flag = name if name.isupper() else f"--{name}"
            raise UsageError(f"{flag} has no effect with {mode}")


def _judge(results: list[str], content: str, style: str, size: int, as_json: bool) -> None:
    from ..api.judge import judge

    judgement = judge(results, content=content, style=style, size=size)
    print_problems(judgement.notices)
    if as_json:
        record = asdict(judgement)
        scores = record.pop("scores")
        print_json({**record, "scores": {score.pop("name"): score for score in scores}})
    else:
        _print_scores(judgement)


def _print_scores(judgement: Judgement) -> None:
    names = [Path(result).name for result in judgement.results]
    if len(set(names)) < len(names):
        names = list(judgement.results)
    rows = [
        (
            score.name,
            *(_number(value) for value in (*score.results, score.content, score.style)),
            score.better,
        )
        for score in judgement.scores
    ]
    _print_table(("score", *names, "photo", "painting", "better"), rows)
    width, height = judgement.size
    print_line(f"compared at {width}x{height} px")


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def _write_page(folder: Path, output: Path, size: int, as_json: bool) -> None:
    from ..votes.contest import read_contest
    from ..votes.page import write_page

    if size < 1:
        raise UsageError(f"--size {size}: must be a number of pixels")
    entries = read_contest(folder)
    count = write_page(entries, output, size)
    if as_json:
        print_json({"page": str(output), "pairs": len(entries), "comparisons": count})
    else:
        print_line(f"wrote {output}: {len(entries)} pairs, {count} comparisons")


def _rank(files: list[Path], as_json: bool) -> None:
    from ..votes.bradley_terry import rank
    from ..votes.table import read_votes

    ranking = rank(read_votes(files))
    if as_json:
        print_json({"methods": asdict(ranking)["strengths"], "regularised": ranking.regularised})
    else:
        _print_ranking(ranking)


def _print_ranking(ranking: Ranking) -> None:
    rows = [
        (
            strength.method,
            str(strength.votes),
            f"{strength.wins:g}",
            f"{strength.strength:+.2f}",
            f"{strength.low:+.2f} to {strength.high:+.2f}",
        )
        for strength in ranking.strengths
    ]
    _print_table(("method", "votes", "wins", "strength", "95 %"), rows)
    if ranking.regularised:
        print_line(
            "Some methods won, or lost, every vote against the others: a tie was added to each "
            "pair of methods that met, without which the strengths would be infinite."
        )


def _print_table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> None:
    """Print a table with its first column to the left; names of files may have several lines."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    from ...core.shown import one_line

    table = Table(box=None, pad_edge=False)
    for number, name in enumerate(head):
        justify = "right" if number else "left"
        table.add_column(escape(one_line(name)), justify=justify, overflow="fold")  # type: ignore[arg-type]
    for row in rows:
        table.add_row(*(escape(one_line(cell)) for cell in row))
    Console(emoji=False, highlight=False).print(table)
