"""Generated values of options and job files are read or refused, and never misread."""

from __future__ import annotations

from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path

import pytest
import typer
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from stylectl.core.errors import StylectlError
from stylectl.core.job.options.table import OPTIONS
from stylectl.core.job.paths import is_elsewhere
from stylectl.tests.campaign.inputs.jobs import TEXTS, VALUES, good_job, toml_bytes
from stylectl.tests.campaign.inputs.options import DOTTED, NUMBERS, WORDS
from stylectl.tools.cli import app

#: A test's folder serves all of its examples, which write the same file anew.
_SETTINGS = settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
_TEXTS = st.one_of(st.sampled_from([*TEXTS, *NUMBERS, *WORDS]), st.text(max_size=30))
_KEYS = st.sampled_from(sorted([*OPTIONS, *DOTTED]))


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def printed_job(*arguments: str) -> str | None:
    """Return the job that a run would paint; None if it is refused."""
    with redirect_stdout(StringIO()) as stdout:
        try:
            code = app(["run", "--print-job", *arguments], standalone_mode=False)
        except (StylectlError, typer.TyperException):
            return None
    assert code == 0
    return stdout.getvalue()


@_SETTINGS
@given(st.lists(st.tuples(_KEYS, _TEXTS), min_size=1, max_size=3))
@example([("size", "9" * 5000)])
def test_settings_are_read_or_refused(pairs: list[tuple[str, str]]) -> None:
    job = printed_job(*[part for key, text in pairs for part in ("--set", f"{key}={text}")])
    # Paths on other machines, and of devices, are taken from an option and not from a file.
    if not any(is_elsewhere(text, Path.cwd()) for _, text in pairs):
        again(job)


@_SETTINGS
@given(st.sampled_from(sorted(good_job())), VALUES)
@example("size", 10**310)
def test_job_files_are_read_or_refused(key: str, value: object) -> None:
    job = {**good_job(), key: value}
    Path("job.toml").write_bytes(toml_bytes(job))
    again(printed_job("--job", "job.toml"))


def again(job: str | None) -> None:
    """Check that a printed job is read as the same job."""
    if job is not None:
        Path("printed.toml").write_text(job, "utf-8")
        assert printed_job("--job", "printed.toml") == job
