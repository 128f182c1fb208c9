"""Job files of other programs, and hostile ones."""

from __future__ import annotations

import json
import tomllib
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from stylectl.core.errors import UsageError
from stylectl.core.job.model import Job
from stylectl.core.outputs.record import read_job_file
from stylectl.core.planning.job_files import make_job
from stylectl.core.planning.registry import Registry
from stylectl.plugins.manager import load_plugins


@pytest.fixture(scope="module")
def registry() -> Registry:
    return load_plugins().registry


def job_file(folder: Path, text: str, encoding: str = "utf-8") -> dict[str, Any]:
    path = folder / "job.toml"
    path.write_bytes(text.encode(encoding))
    return read_job_file(path).here({})


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_a_job_file_that_windows_programs_wrote_is_read(tmp_path: Path, encoding: str) -> None:
    assert job_file(tmp_path, 'size = 96\ncolor = "style"', encoding)["size"] == 96


@pytest.mark.parametrize("path", [r"C:\Users\me\sea.jpg", r"D:\photos\sea.jpg", r"..\x\sea.jpg"])
def test_backslashes_in_double_quotes_get_advice(tmp_path: Path, path: str) -> None:
    with pytest.raises(UsageError, match="single quotes"):
        job_file(tmp_path, f'size = 96\ncontent = "{path}"')
    assert job_file(tmp_path, f"content = '{path}'")["content"].endswith(path)


def test_backslashes_that_toml_takes_for_escapes_get_advice(tmp_path: Path) -> None:
    from stylectl.core.images.decoding import read_image

    table = job_file(tmp_path, r'content = "C:\temp\new.jpg"')
    with pytest.raises(UsageError, match="single quotes"):
        read_image(table["content"])


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("seed = 0x" + "f" * 5000, "seed"),
        ("size = " + "9" * 310, "size"),
        ("size = [" + "9" * 310 + ", 3]", "size"),
        ("style_size = " + "9" * 310, "style_size"),
        ("[[terms]]\nname = 'style'\nweight = 1" + "0" * 310, "weight"),
        ("[[terms]]\nname = 'style'\nlayers = " + "[" * 40 + "]" * 40, "terms"),
        ("seed = 1" + "0" * 5000, "seed"),
        ("content = " + "[" * 900 + "]" * 900, "content"),
        ("content = ['a']", "content"),
        ("content_mask = [['a']]", "content_mask"),
        ("styles = [['a']]", "styles"),
        ("styles = 'a'", "styles"),
        ("backend = ['torch']", "backend"),
        ("init = []", "init"),
        ("color = ['style']", "color"),
        ("preset = ['draft']", "preset"),
        ("max_memory = [1]", "max_memory"),
        ("regions = ['a']", "regions"),
        ("regions = { content = ['a'], styles = 'b' }", "regions"),
        ("scales = [1]", "scales"),
        ("scales = '" + "9" * 5000 + "'", "scales"),
        ("strength = nan", "strength"),
    ],
)
@pytest.mark.parametrize("suffix", [".toml", ".json"])
def test_values_that_no_job_has_are_wrong_usage_with_the_key(
    tmp_path: Path, registry: Registry, text: str, key: str, suffix: str
) -> None:
    path = tmp_path / f"job{suffix}"
    path.write_text(text)
    if suffix == ".json":
        try:
            values = tomllib.loads(text)
        except (ValueError, RecursionError):
            return  # JSON has no such value either
        if key == "seed":
            values = {"seed": 10**4000}  # JSON has no hexadecimal numbers
        path.write_text(json.dumps({"job": values, "format": 2}))
    with pytest.raises(UsageError) as caught:
        make_job({}, registry, read_job_file(path))
    assert key in str(caught.value)
    assert len(str(caught.value)) < 1000


PLAIN_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=20)
    | st.integers().map(lambda number: number * 10**400),
    lambda values: (
        st.lists(values, max_size=3) | st.dictionaries(st.text(max_size=8), values, max_size=3)
    ),
    max_leaves=6,
)
KEYS = st.sampled_from([*Job.model_fields, "preset", "no_such_key"])


@settings(max_examples=300, deadline=None)
@given(st.dictionaries(KEYS, PLAIN_VALUES, max_size=4))
def test_any_record_is_a_job_or_wrong_usage(
    tmp_path_factory: pytest.TempPathFactory, registry: Registry, values: dict[str, Any]
) -> None:
    path = tmp_path_factory.mktemp("record") / "job.json"
    path.write_text(json.dumps({"job": values, "format": 2}, ensure_ascii=True))
    with suppress(UsageError):
        make_job({}, registry, read_job_file(path))
