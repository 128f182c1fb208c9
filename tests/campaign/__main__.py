"""The whole campaign: ``python -m stylectl.tests.campaign``, or ``make campaign``.

The exit code is 1 if a file was lost, or if there was a traceback, a hang or anything else wrong.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from random import SystemRandom

from . import long_run
from .attempts import attempted, report
from .judge import Attempt
from .kinds import KINDS
from .place import Places, places

_COLUMNS = ("tried", "finished", "failed", "refused", "stopped", "kills")
_FAULTS = ("lost", "traceback", "hang", "wrong")


def main() -> int:
    """Run the campaign, print its table, and return the exit code."""
    arguments = _parser().parse_args()
    seed = arguments.seed if arguments.seed is not None else SystemRandom().randrange(10**6)
    print(f"seed {seed}", flush=True)
    counts = {kind: Counter[str]() for kind in KINDS}
    with places() as opened:
        for kind, number in _wanted(arguments, counts):
            attempt = attempted(kind, seed, number, opened)
            if arguments.case or arguments.verbose:
                print(f"{kind}:{number} {attempt.end}: {attempt.what!a}\n  {attempt.message!a}")
            _count(counts[kind], attempt)
            for fault in attempt.faults:
                print(report(kind, seed, number, attempt, fault), flush=True)
        if arguments.long:
            counts["512 px"] = Counter()
            _long(opened, seed, counts["512 px"])
    _print_table(counts)
    return int(any(count[fault] for count in counts.values() for fault in _FAULTS))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="make campaign", description=__doc__)
    parser.add_argument("--seed", type=int, help="of all attempts; without it, a new one")
    parser.add_argument("--minutes", type=float, default=20, help="how long attempts are made")
    parser.add_argument("--kinds", default="", help=f"some of {','.join(KINDS)}, with commas")
    parser.add_argument("--case", help="one attempt, as kind:number")
    parser.add_argument("--verbose", action="store_true", help="print every attempt")
    parser.add_argument("--long", action="store_true", help="also the run of 512 px")
    return parser


def _wanted(arguments: argparse.Namespace, counts: dict[str, Counter[str]]) -> Iterator[tuple[str, int]]:
    """Yield the kinds and numbers of attempts, each kind by its share of the time."""
    if arguments.case:
        kind, _, number = arguments.case.partition(":")
        yield kind, int(number)
        return
    kinds = arguments.kinds.split(",") if arguments.kinds else list(KINDS)
    until = time.monotonic() + 60 * arguments.minutes
    spent = dict.fromkeys(kinds, 0.0)
    while time.monotonic() < until:
        kind = min(kinds, key=lambda kind: spent[kind] / KINDS[kind].share)
        started = time.monotonic()
        yield kind, counts[kind]["tried"]
        spent[kind] += time.monotonic() - started


def _count(count: Counter[str], attempt: Attempt) -> None:
    count["tried"] += 1
    count[attempt.end] += 1
    count["kills"] += attempt.kills
    count.update(fault.kind for fault in attempt.faults)


def _long(opened: Places, seed: int, count: Counter[str]) -> None:
    with opened.place() as place:
        attempt, lines = long_run.attempt(seed, place)
    print("\n".join(lines))
    _count(count, attempt)
    for fault in attempt.faults:
        print(f"{fault.kind}: {fault.text}")


def _print_table(counts: dict[str, Counter[str]]) -> None:
    _print_row("", [*_COLUMNS, "files lost", "tracebacks", "hangs", "wrong"])
    for kind, count in counts.items():
        _print_row(kind, [count[column] for column in (*_COLUMNS, *_FAULTS)])
    total = sum(counts.values(), Counter[str]())
    _print_row("all", [total[column] for column in (*_COLUMNS, *_FAULTS)])


def _print_row(name: str, cells: Sequence[object]) -> None:
    print(f"{name:10}" + "".join(f"{cell:>11}" for cell in cells))


if __name__ == "__main__":
    sys.exit(main())
