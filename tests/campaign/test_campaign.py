"""A few attempts of each kind, always the same ones; `make campaign` makes others, for longer."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest

if sys.platform != "linux":
    pytest.skip("the campaign forks its processes, and reads /proc", allow_module_level=True)

from stylectl.tests.campaign.attempts import attempted, report
from stylectl.tests.campaign.kinds import KINDS
from stylectl.tests.campaign.place import Places, places

pytestmark = [pytest.mark.subprocess, pytest.mark.slow]

_SEED = 1


@pytest.fixture(scope="module")
def opened() -> Iterator[Places]:
    with places() as opened:
        yield opened


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_is_lost_and_nothing_is_silently_wrong(kind: str, opened: Places) -> None:
    print(f"seed {_SEED}")
    faults = []
    for number in range(KINDS[kind].few):
        attempt = attempted(kind, _SEED, number, opened)
        faults += [report(kind, _SEED, number, attempt, fault) for fault in attempt.faults]
    assert not faults, "\n".join(faults)
