"""`parametrize_with_checks` makes a test of each check, some of which may be expected to fail."""

from __future__ import annotations

from pathlib import Path
from unittest import SkipTest

import pytest
from stylectl import UsageError
from stylectl.testing import Check, parametrize_with_checks

PLUGIN_TESTS = """
import torch
from stylectl import IMAGE_LAYER, LossTerm, LossTermSpec, NoOptions
from stylectl.testing import loss_term_checks, parametrize_with_checks

class {name}(LossTerm):
    layers = (IMAGE_LAYER,)
    reads = frozenset()

    def __init__(self, arguments): ...

    def bind(self, references):
        return lambda features: {loss}

TERM = LossTermSpec(
    name="mine", summary="", create={name}, options=NoOptions, layers_from="image"
)

@parametrize_with_checks(
    loss_term_checks(TERM, ignores_positions=True), expected_failures={expected}
)
def test_contract(check, tmp_path):
    check.run(tmp_path)
"""


def outcomes(pytester: pytest.Pytester, loss: str, expected: dict[str, str]) -> dict[str, int]:
    pytester.makepyfile(PLUGIN_TESTS.format(name="Mine", loss=loss, expected=expected))
    return pytester.runpytest_inprocess("-p", "no:cacheprovider").parseoutcomes()


@pytest.fixture
def _no_cuda(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)


@pytest.mark.usefixtures("_no_cuda")
def test_each_check_is_a_test_and_what_does_not_apply_is_skipped(pytester: pytest.Pytester) -> None:
    # Neither a StatisticsTerm, nor a term of regions, nor a machine with CUDA.
    made = outcomes(pytester, "features[IMAGE_LAYER].square().mean()", {})
    assert made == {"passed": 6, "skipped": 3}


@pytest.mark.usefixtures("_no_cuda")
def test_one_wrong_thing_is_one_failure(pytester: pytest.Pytester) -> None:
    loss = "features[IMAGE_LAYER][..., 0].square().mean()"
    assert outcomes(pytester, loss, {}) == {"passed": 5, "skipped": 3, "failed": 1}
    reason = {"positions_do_not_matter": "it reads one column"}
    assert outcomes(pytester, loss, reason) == {"passed": 5, "skipped": 3, "xfailed": 1}


@pytest.mark.usefixtures("_no_cuda")
def test_an_expected_failure_that_passes_fails(pytester: pytest.Pytester) -> None:
    made = outcomes(pytester, "features[IMAGE_LAYER].square().mean()", {"changes_nothing": "?"})
    assert made == {"passed": 5, "skipped": 3, "failed": 1}


def test_an_unknown_name_is_an_error() -> None:
    def skip(folder: Path) -> None:
        raise SkipTest("never applies")

    check = Check("mine", "tiles_add_up", skip)
    with pytest.raises(UsageError, match="did you mean tiles_add_up"):
        parametrize_with_checks([check], {"tiles_add_app": "?"})
