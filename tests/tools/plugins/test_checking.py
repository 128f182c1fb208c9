from __future__ import annotations

from types import ModuleType

import pytest
import torch
from stylectl.core.deprecation import StylectlDeprecationWarning
from stylectl.plugins.manager import load_plugins
from stylectl.tools.plugins.checking import Check, check_plugin

HEAD = """
import torch
from pydantic import BaseModel, ConfigDict
from stylectl import *
"""

TERM = """
class Darkness(LossTerm):
    layers = (IMAGE_LAYER,)
    reads = frozenset()

    def __init__(self, arguments):
        print("made")

    def bind(self, references):
        return lambda features: {loss}

@hookimpl
def stylectl_loss_terms():
    yield LossTermSpec(name="darkness", summary="", create=Darkness, layers_from="image")
"""

WRITER = """
class Bytes(Writer):
    def __init__(self, arguments):
        {create}

    def write(self, request):
        result, path = request.result, request.path
        {write}

@hookimpl
def stylectl_writers():
    yield WriterSpec(name="bytes", summary="", suffixes=("{suffix}",), create=Bytes)
"""

BACKEND = """
class Plain(FeatureBackend):
    def __init__(self, arguments):
        if arguments.options.device != "auto":
            raise BackendError("no such device")
        {create}
        self.layers, self.device = arguments.layers, torch.device("cpu")
        self.trunk = arguments.backbone.trunk(self.layers)

    def check(self, image):
        check_image(image)
        if len(image) > 1:
            raise BackendError("one image at a time")
        if self.trunk is None:
            raise BackendError("closed")

    def features(self, image, layers=None):
        layers = self.layers if layers is None else layers
        check_layers(layers, self.layers)
        self.check(image)
        with torch.no_grad():
            return self.trunk(image, layers)

    def vjp(self, image):
        self.check(image)
        leaf = image.detach().requires_grad_()
        features = self.trunk(leaf)

        def pullback(cotangents):
            if not cotangents:
                return torch.zeros_like(image)
            outputs = [features[name] for name in cotangents]
            return {factor} * torch.autograd.grad(outputs, leaf, list(cotangents.values()))[0]

        plain = {{name: value.detach() for name, value in features.items()}}
        return plain, checked_pullback(plain, pullback)

    def close(self):
        self.trunk = None

@hookimpl
def stylectl_backends():
    yield BackendSpec(name="plain", summary="", create=Plain)
"""


@pytest.fixture(autouse=True)
def built_in_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STYLECTL_PLUGINS", "")
    monkeypatch.delenv("STYLECTL_PLUGINS_DIR", raising=False)


def checked(source: str, *others: str) -> list[Check]:
    modules = []
    for name, text in {"mine": source, **dict(zip("abc", others, strict=False))}.items():
        module = ModuleType(name)
        exec(HEAD + text, vars(module))
        modules.append(module)
    plugins = load_plugins(extra=modules)
    (record,) = [record for record in plugins.records if record.name == "mine"]
    return list(check_plugin(record, plugins))


def outcomes(checks: list[Check]) -> list[tuple[str, str]]:
    return [(check.subject, check.outcome) for check in checks]


def test_a_good_term_passes_and_prints_nothing_on_stdout(
    capsys: pytest.CaptureFixture[str],
) -> None:
    checks = checked(TERM.format(loss="features[IMAGE_LAYER].square().mean()"))
    assert outcomes(checks)[0] == ("plugin", "ok")
    assert {check.what: check.outcome for check in checks[1:]} == {
        "keeps the contract": "ok",
        "changes nothing": "ok",
        "gradient is right": "ok",
        "float32 agrees": "ok",
        "black images are finite": "ok",
        "tiles add up": "note",
        "regions confine": "note",
        "runs on cuda": "ok" if torch.cuda.is_available() else "note",
    }
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "made" in captured.err


@pytest.mark.parametrize(
    ("loss", "word"),
    [
        ("features[IMAGE_LAYER].square().mean().detach()", "grad"),
        ("1 / 0", "ZeroDivisionError"),
        ("exit('\\x1b[2Jno')", "SystemExit: .x1b"),
    ],
)
def test_a_bad_term_fails_with_a_reason_in_one_line(loss: str, word: str) -> None:
    check = next(each for each in checked(TERM.format(loss=loss)) if each.outcome == "failed")
    assert word.replace(".x1b", r"\x1b") in check.remark
    assert check.remark.isprintable()


@pytest.mark.parametrize(
    ("source", "word"), [("1 / 0", "ZeroDivisionError"), ("", "no function in it is marked")]
)
def test_what_the_host_finds_is_reported(source: str, word: str) -> None:
    # A module that fails at import cannot be given; its hook fails instead.
    hook = f"@hookimpl\ndef stylectl_writers():\n    {source}\n" if source else ""
    check = checked(hook)[-1]
    assert check.outcome == "failed"
    assert word in check.remark


def test_what_is_deprecated_is_said_once_and_with_the_plugins_name() -> None:
    former = TERM.replace("self, arguments", "self, layers, options")
    with pytest.warns(
        StylectlDeprecationWarning, match=r"the plugin mine \(.*LossTermSpec"
    ) as said:
        checked(former.format(loss="features[IMAGE_LAYER].square().mean()"))
    assert len(said) == 1


def test_a_name_that_another_plugin_has_fails() -> None:
    term = TERM.format(loss="features[IMAGE_LAYER].square().mean()")
    (failed,) = [check for check in checked(term, term) if check.outcome == "failed"]
    assert "claimed by both" in failed.remark


def test_a_writer_is_checked_and_its_shared_suffixes_are_noted() -> None:
    write = "from PIL import Image; Image.new('RGB', (1, 1)).save(path)"
    good = WRITER.format(create="pass", write=write, suffix=".png")
    checks = checked(good)
    # Its suffix is another's, and no function reads its files back.
    assert [check.outcome for check in checks] == ["ok", "note", "ok", "ok", "note"]
    assert "-o bytes:out.png chooses this one" in checks[1].remark
    silent = WRITER.format(create="pass", write="pass", suffix=".bytes")
    assert "failed" in {check.outcome for check in checked(silent)}


def test_a_writer_without_what_it_needs_is_not_checked() -> None:
    check = checked(
        WRITER.format(create="raise UsageError('pip install x')", write="pass", suffix=".bytes")
    )[-1]
    assert (check.outcome, check.remark) == ("note", "not checked: pip install x")


def test_an_option_without_a_default_is_noted() -> None:
    source = TERM.format(loss="0").replace(
        'layers_from="image"', 'layers_from="image", options=Options'
    )
    options = (
        "class Options(BaseModel):\n"
        '    model_config = ConfigDict(frozen=True, extra="forbid")\n'
        "    colors: int\n"
    )
    check = checked(options + source)[-1]
    assert (check.outcome, check.remark) == (
        "note",
        "not checked: the option 'colors' has no default",
    )


def test_a_backend_has_a_line_for_each_test_of_the_suite() -> None:
    checks = checked(BACKEND.format(create="pass", factor=1))
    assert len(checks) > 15
    (recordable,) = [check for check in checks if check.outcome != "ok"]
    assert recordable.remark == "not checked: it does not claim to be recordable"
    checks.remove(recordable)
    (batch,) = [check for check in checks if check.remark]
    assert "batch" in batch.what
    assert batch.remark == "where its suite states batches = False"


def test_a_wrong_gradient_fails() -> None:
    checks = checked(BACKEND.format(create="pass", factor=1.01))
    failed = [check.what for check in checks if check.outcome == "failed"]
    assert "gradients are those of float64" in failed


def test_a_backend_that_this_machine_lacks_is_not_checked() -> None:
    checks = checked(BACKEND.format(create="raise BackendError('no such chip')", factor=1))
    assert {check.outcome for check in checks[1:]} == {"note"}
    assert checks[-1].remark == "not checked: no such chip"


def test_a_listener_is_noted() -> None:
    checks = checked("@hookimpl\ndef stylectl_step(event):\n    pass\n")
    assert outcomes(checks) == [("plugin", "ok"), ("hook stylectl_step", "note")]
