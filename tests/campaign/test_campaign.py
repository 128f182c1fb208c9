"""A few attempts of each kind, always the same ones; `make campaign` makes others, for longer."""

from __future__ import annotations

import sys

import pytest

if sys.platform != "linux":
    pytest.skip("the campaign forks its processes, and reads /proc", allow_module_level=True)

from stylectl.tests.campaign.kinds import KINDS, attempted, report
from stylectl.tests.campaign.place import places

_SEED = 1


@pytest.mark.subprocess
@pytest.mark.slow
def test_nothing_is_lost_and_nothing_is_silently_wrong() -> None:
    print(f"seed {_SEED}")
    faults = []
    with places() as opened:  # it takes seconds to start, and serves all kinds
        for name, kind in KINDS.items():
            for number in range(kind.few):
                attempt = attempted(name, _SEED, number, opened)
                faults += [report(name, _SEED, number, attempt, fault) for fault in attempt.faults]
    assert not faults, "\n".join(faults)
