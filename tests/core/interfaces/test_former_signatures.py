"""The signatures of version 0.1 work, with warnings."""

from __future__ import annotations

import warnings
from typing import Any

import pytest
from pydantic import BaseModel, ConfigDict
from stylectl import (
    BackboneArguments,
    LossTermArguments,
    LossTermSpec,
    NoOptions,
    StylectlDeprecationWarning,
    Writer,
    WriterArguments,
    WriteRequest,
)
from stylectl.core.attribution import labelled

#: Without types, as a plugin may be.
FORMER_WRITERS = """
class Former(Writer):
    def write(self, result, snapshots, path, record):
        written.append((result, snapshots, path, record))

class Twice(Former):
    def write(self, result, snapshots, path, record):
        super().write(result, snapshots, path, record)
        written.append("again")
"""


class Options(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")
    level: float = 0.5


def create_of_spec(create: Any) -> Any:
    """Return the `create` of a loss term's spec that was made with `create`."""
    return LossTermSpec(
        name="ink", summary="", create=create, options=NoOptions, layers_from="style"
    ).create


def test_a_create_of_two_arguments_gets_both() -> None:
    with pytest.warns(StylectlDeprecationWarning, match=r"create\(layers, options\)"):
        create = create_of_spec(lambda layers, options: (layers, options))
    arguments = LossTermArguments(layers={"a": 1.0}, options=NoOptions())
    assert create(arguments) == ({"a": 1.0}, NoOptions())


@pytest.mark.parametrize("create", [lambda arguments: arguments, lambda *arguments: arguments[0]])
def test_a_create_of_one_argument_gets_it_without_a_warning(create: Any) -> None:
    arguments = LossTermArguments(layers={}, options=NoOptions())
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert create_of_spec(create)(arguments) is arguments


@pytest.mark.parametrize("kind", [BackboneArguments, WriterArguments])
def test_a_field_of_the_options_can_be_read_from_the_arguments(kind: Any) -> None:
    arguments = kind(options=Options(level=0.25))
    with (
        labelled("the plugin ink (ink 1.0)"),
        pytest.warns(StylectlDeprecationWarning, match=r"^the plugin ink \(ink 1\.0\) uses create"),
    ):
        assert arguments.level == 0.25
    with pytest.raises(AttributeError, match="nothing"):
        _ = arguments.nothing


def test_a_writer_of_four_arguments_gets_them_also_by_super() -> None:
    names: dict[str, Any] = {"Writer": Writer, "written": []}
    with pytest.warns(
        StylectlDeprecationWarning, match=r"write\(result, snapshots, path, record\)"
    ):
        exec(FORMER_WRITERS, names)
    fields: dict[str, Any] = {"result": 1, "snapshots": 2, "path": 3, "record": 4}
    names["Twice"]().write(WriteRequest(**fields))
    assert names["written"] == [(1, 2, 3, 4), "again"]
