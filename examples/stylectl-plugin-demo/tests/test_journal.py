"""The listener: the lines that a run appends to its file."""

from pathlib import Path

import pytest
import stylectl


def test_each_run_appends_its_steps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    journal = tmp_path / "losses.csv"
    monkeypatch.setenv("DEMO_JOURNAL", str(journal))
    for _ in range(2):
        stylectl.run(size=48, iterations=3, scales=1)
    lines = journal.read_text().splitlines()
    # Step 0 is the starting point.
    assert [line.split(",")[1] for line in lines] == 2 * ["step", "0", "1", "2", "3"]
    first, last = (float(line.split(",")[3]) for line in (lines[1], lines[4]))
    assert last < first
