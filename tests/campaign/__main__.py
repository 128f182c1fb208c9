"""The whole campaign: ``python -m stylectl.tests.campaign``, or ``make campaign``.

The exit code is 1 if a file was lost, or if there was a traceback, a hang or anything else wrong.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from random import SystemRandom

from .judge import Attempt
from .kinds import KINDS, attempted, report
from .place import places

_COLUMNS = ("tried", "finished", "failed", "refused", "stopped", "kills")
_FAULTS = ("lost", "traceback", "hang", "wrong")


def main() -> int:
    """Make attempts, print a table of them, and return the exit code."""
    arguments = _parser().parse_args()
    seed = arguments.seed if arguments.seed is not None else SystemRandom().randrange(10**6)
    print(f"seed {seed}", flush=True)
    counts: dict[str, Counter[str]] = {}
    with places() as opened:
        for kind, number in _wanted(arguments, counts):
            attempt = attempted(kind, seed, number, opened)
            if arguments.case or arguments.verbose:
                print(f"{kind}:{number} {attempt.end}: {attempt.what!a}\n  {attempt.message!a}")
            for line in attempt.notes:
                print(f"{kind}: {line}", flush=True)
            for fault in attempt.faults:
                print(report(kind, seed, number, attempt, fault), flush=True)
            _count(counts.setdefault(kind, Counter()), attempt)
    _print_table(counts)
    return int(any(count[fault] for count in counts.values() for fault in _FAULTS))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m stylectl.tests.campaign")
    parser.add_argument("--seed", type=int, help="seed of all attempts; by default a new one")
    parser.add_argument("--minutes", type=float, default=20, help="how long attempts are made")
    parser.add_argument(
        "--kinds",
        nargs="+",
        choices=list(KINDS),
        default=[name for name, kind in KINDS.items() if kind.share],
        help="kinds of attempts; by default all but resume, which takes minutes",
    )
    parser.add_argument("--case", help="a single attempt, as kind:number")
    parser.add_argument("--verbose", action="store_true", help="print every attempt")
    return parser


def _wanted(
    arguments: argparse.Namespace, counts: Mapping[str, Counter[str]]
) -> Iterator[tuple[str, int]]:
    """Yield the kinds and numbers of attempts, each kind by its share of the time."""
    if arguments.case:
        kind, _, number = arguments.case.partition(":")
        yield kind, int(number)
        return
    until = time.monotonic() + 60 * arguments.minutes
    spent = dict.fromkeys(arguments.kinds, 0.0)
    while time.monotonic() < until:
        kind = min(spent, key=lambda kind: spent[kind] / max(KINDS[kind].share, 1))
        started = time.monotonic()
        yield kind, counts[kind]["tried"] if kind in counts else 0
        spent[kind] += time.monotonic() - started


def _count(count: Counter[str], attempt: Attempt) -> None:
    count["tried"] += 1
    count[attempt.end] += 1
    count["kills"] += attempt.kills
    count.update(fault.kind for fault in attempt.faults)


def _print_table(counts: Mapping[str, Counter[str]]) -> None:
    _print_row("", [*_COLUMNS, "files lost", "tracebacks", "hangs", "wrong"])
    total = sum(counts.values(), Counter[str]())
    for kind, count in [*counts.items(), ("all", total)]:
        _print_row(kind, [count[column] for column in (*_COLUMNS, *_FAULTS)])


def _print_row(name: str, cells: Sequence[object]) -> None:
    print(f"{name:10}" + "".join(f"{cell:>11}" for cell in cells))


if __name__ == "__main__":
    sys.exit(main())
