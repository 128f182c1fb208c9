"""mypy finds the mistakes of a plugin: misspelt hooks, wrong types, options that do not match."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

#: A plugin; each line with a mistake ends with a comment that mypy's message must match.
PLUGIN = """
from collections.abc import Iterator

from pydantic import BaseModel, ConfigDict
from stylectl import (
    IMAGE_LAYER,
    Loss,
    LossTerm,
    LossTermArguments,
    LossTermSpec,
    NoOptions,
    References,
    RunFinished,
    StepDone,
    Writer,
    WriterArguments,
    WriteRequest,
    WriterSpec,
    hooks,
)


class Options(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")
    level: float = 0.5


class Darkness(LossTerm):
    layers = (IMAGE_LAYER,)
    reads = frozenset()

    def __init__(self, arguments: LossTermArguments[Options]) -> None:
        self.level = arguments.options.level
        self.gray = arguments.options.gray  # "Options" has no attribute "gray"

    def bind(self, references: References) -> Loss:
        return lambda features: (features[IMAGE_LAYER] - self.level).square().mean()


class Text(Writer):
    def __init__(self, arguments: WriterArguments[NoOptions]) -> None: ...

    def write(self, request: WriteRequest) -> None:
        request.path.write_text(request.result)  # incompatible type "Result"


@hooks.loss_terms
def right() -> Iterator[LossTermSpec[Options]]:
    yield LossTermSpec(
        name="dark", summary="", create=Darkness, options=Options, layers_from="image"
    )


@hooks.loss_term  # has no attribute "loss_term"
def misspelt() -> Iterator[LossTermSpec[Options]]:
    yield from right()


@hooks.writers  # Value of type variable "Writers"
def another_type() -> Iterator[LossTermSpec[Options]]:
    yield from right()


@hooks.step
def on_step(event: StepDone) -> None: ...


@hooks.step  # Value of type variable "OnStep"
def another_event(event: RunFinished) -> None: ...


other_options = LossTermSpec(
    name="dark",
    summary="",
    create=Darkness,  # incompatible type
    options=NoOptions,
    layers_from="image",
)
no_options = LossTermSpec(  # Missing named argument "options"
    name="dark", summary="", create=Darkness, layers_from="image"
)
"""


@pytest.mark.slow
@pytest.mark.subprocess
def test_mypy_finds_each_mistake_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "plugin.py").write_text(PLUGIN)
    source = Path(__file__).parent.parent.parent
    (tmp_path / "path").mkdir()
    (tmp_path / "path" / "stylectl").symlink_to(source, target_is_directory=True)
    done = subprocess.run(
        [
            *(sys.executable, "-m", "mypy", "--strict", "--follow-imports=silent"),
            *("--config-file=", "--cache-dir", str(tmp_path / "cache"), "plugin.py"),
        ],
        cwd=tmp_path,
        env={"MYPYPATH": str(tmp_path / "path"), "PATH": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    found = re.findall(r"^plugin\.py:(\d+): error: (.*?)  \[", done.stdout, re.MULTILINE)
    mistakes = {
        number: line.partition("  # ")[2]
        for number, line in enumerate(PLUGIN.splitlines(), start=1)
        if "  # " in line
    }
    assert {int(number) for number, _ in found} == set(mistakes), done.stdout + done.stderr
    for number, mistake in mistakes.items():
        assert any(int(line) == number and mistake in message for line, message in found), mistake
