"""What a plugin may do wrong: each is an error that names it, and no picture is lost."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import stylectl
from PIL import Image
from stylectl import PluginError, StylectlError, UsageError
from stylectl.core.errors import NumericalError
from stylectl.core.interfaces.events import Event, Notice, StepDone
from stylectl.plugins.manager import load_plugins

Install = Callable[..., str]

#: How messages call the plugin that the tests install.
ORIGIN = r"plugin bad \(stylectl-bad 1\.2\)"

HEAD = """
import numpy as np
import torch
from torch import nn
from stylectl import *
from stylectl import BackboneSpec, LossTermSpec, WriterSpec, hookimpl
"""

TERM = (
    HEAD
    + """
class Term(LossTerm):
    layers = {layers}
    reads = frozenset()
    calls = 0
    def __init__(self, arguments):
        {create}
    def bind(self, references):
        {bind}
        return self.loss
    def loss(self, features):
        Term.calls += 1
        image = features["image"]
        return {loss}

@hookimpl
def stylectl_loss_terms():
    yield LossTermSpec(name="bad", summary="", create=Term, layers_from="image")
"""
)

GOOD = {"layers": '("image",)', "create": "pass", "bind": "pass", "loss": "image.mean()"}


#: Fails only when it is differentiated.
BACKWARD = """
class Backward(torch.autograd.Function):
    @staticmethod
    def forward(ctx, image):
        return image.clone()

    @staticmethod
    def backward(ctx, gradient):
        raise KeyError("x")
"""


def term(**changes: str) -> str:
    return TERM.format(**(GOOD | changes))


def paint(folder: Path, **options: Any) -> stylectl.Result:
    small: dict[str, Any] = {"size": 32, "iterations": 4, "scales": 1, "device": "cpu"}
    return stylectl.run(**(small | {"output": folder / "out.png"} | options))


@pytest.mark.parametrize(
    "source",
    [
        "@hookimpl\ndef stylectl_loss_terms():\n    return None\n",
        "@hookimpl\ndef stylectl_loss_terms():\n    pass\n",
        "@hookimpl\ndef stylectl_loss_terms():\n    return {'bad': 1}\n",
        "@hookimpl\ndef stylectl_loss_terms():\n    return LossTermSpec(name='bad', size=3)\n",
        "@hookimpl\ndef stylectl_previews():\n    return []\n",
    ],
    ids=["None", "nothing", "a dict", "an unknown field", "a newer hook"],
)
def test_a_wrong_answer_is_told_of_and_the_rest_works(
    install: Install, tmp_path: Path, source: str
) -> None:
    install(HEAD + source, "bad")
    (problem,) = load_plugins().problems
    assert problem.startswith("the plugin bad (stylectl-bad 1.2) is left out: ")
    heard: list[Event] = []
    paint(tmp_path, on_event=heard.append)
    assert Notice(problem) in heard
    assert (tmp_path / "out.png").exists()


def test_a_newer_hook_is_said_to_be_one(install: Install) -> None:
    install(HEAD + "@hookimpl\ndef stylectl_previews():\n    return []\n", "bad")
    (problem,) = load_plugins().problems
    assert "stylectl_previews" in problem
    assert "another stylectl than" in problem


def test_a_name_in_vain_is_told_of(install: Install, monkeypatch: pytest.MonkeyPatch) -> None:
    install(term(), "good")
    monkeypatch.setenv("STYLECTL_PLUGINS", "god")
    (problem,) = load_plugins().problems
    assert problem == "STYLECTL_PLUGINS: no plugin 'god'; did you mean good?"


def test_a_built_in_plugin_is_not_suggested_for_the_list_of_installed_ones(
    install: Install, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(term(), "good")
    monkeypatch.setenv("STYLECTL_PLUGINS", "jpg")
    (problem,) = load_plugins().problems
    assert "jpeg" not in problem


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("return LossTermSpec(**SPEC)", "must return or yield LossTermSpec objects, such as a"),
        ("return [LossTermSpec(**SPEC)] * 2", "contributes the loss term 'bad' twice"),
    ],
    ids=["no list", "one name twice"],
)
def test_what_is_wrong_with_an_answer_is_said(install: Install, body: str, words: str) -> None:
    spec = "SPEC = {'name': 'bad', 'summary': '', 'create': object, 'layers_from': 'image'}\n"
    install(f"{HEAD}{spec}@hookimpl\ndef stylectl_loss_terms():\n    {body}\n", "bad")
    (problem,) = load_plugins().problems
    assert words in problem


def test_a_loss_term_without_a_name_is_asked_for_it(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="a loss term is a table with its name, such as "):
        paint(tmp_path, term=[{"weight": 2.0}])


@pytest.mark.parametrize(
    ("source", "kind", "complaint"),
    [
        (term(loss="image"), PluginError, "scalar"),
        (term(loss="image.detach().mean()"), PluginError, "requires_grad=False"),
        (term(loss="3.0"), PluginError, r"3\.0"),
        (term(loss="image.mean() * float('nan')"), NumericalError, "nan"),
        (term(loss="(image - image).sum().sqrt()"), NumericalError, "gradient"),
        (term(loss="image[9]"), PluginError, "IndexError"),
        (term(loss="exit('no')"), PluginError, "SystemExit: no"),
        (
            term(loss="Backward.apply(image).mean()") + BACKWARD,
            PluginError,
            "gradient of.*KeyError",
        ),
        (term(layers='("image", "relu9_9")'), PluginError, "relu9_9"),
        (term(layers="5"), PluginError, "layers"),
        (term(create="raise KeyError('x')"), PluginError, "KeyError"),
        (term(bind="raise KeyError('x')"), PluginError, "KeyError"),
        (term(bind="return 5"), PluginError, "5"),
        (term().replace("create=Term", "create=print"), PluginError, "None|print|TypeError"),
    ],
)
def test_a_bad_term_is_named_with_its_plugin(
    install: Install, tmp_path: Path, source: str, kind: type[StylectlError], complaint: str
) -> None:
    install(source, "bad")
    with pytest.raises(kind, match=ORIGIN) as caught:
        paint(tmp_path, term=["bad"])
    assert caught.match(complaint)
    assert caught.value.exit_code in (1, 2)


def test_a_term_that_fails_on_the_way_loses_no_picture(install: Install, tmp_path: Path) -> None:
    install(term(loss="image.mean() if Term.calls < 4 else image[9]"), "bad")
    with pytest.raises(PluginError, match=ORIGIN):
        paint(tmp_path, term=["bad"], output=[tmp_path / "out.png", tmp_path / "out.jpg"])
    for name in ("out.png", "out.jpg"):
        with Image.open(tmp_path / name) as image:
            assert max(image.size) == 32


def test_a_term_that_turns_nan_on_the_way_loses_no_picture(
    install: Install, tmp_path: Path
) -> None:
    install(term(loss="image.mean() * (1 if Term.calls < 4 else float('nan'))"), "bad")
    with pytest.raises(NumericalError, match=ORIGIN):
        paint(tmp_path, term=["bad"])
    assert (tmp_path / "out.png").exists()


def test_wrong_options_of_a_term_name_term_and_plugin(install: Install, tmp_path: Path) -> None:
    install(term(), "bad")
    with pytest.raises(UsageError, match=ORIGIN) as caught:
        paint(tmp_path, term=[{"name": "bad", "depth": 3}])
    assert caught.match("'bad'")
    assert caught.match("'depth'")


BACKBONE = (
    HEAD
    + """
from stylectl.testing import TinyBackbone

class Bad(TinyBackbone):
    {body}

@hookimpl
def stylectl_backbones():
    yield BackboneSpec(name="bad", summary="", create={create})
"""
)


@pytest.mark.parametrize(
    ("body", "create", "complaint"),
    [
        ("pass", "lambda arguments: None", "must be a Backbone, not None"),
        ("pass", "lambda arguments: 1 / 0", "ZeroDivisionError"),
        ("def trunk(self, layers): return None", "lambda arguments: Bad()", "AttributeError"),
        ("def trunk(self, layers): 1 / 0", "lambda arguments: Bad()", "ZeroDivisionError"),
        ("default_style_layers = {'x': 1}", "lambda arguments: Bad()", "no layer 'x'"),
    ],
)
def test_a_bad_backbone_is_named_with_its_plugin(
    install: Install, tmp_path: Path, body: str, create: str, complaint: str
) -> None:
    install(BACKBONE.format(body=body, create=create), "bad")
    with pytest.raises(PluginError, match=ORIGIN) as caught:
        paint(tmp_path, backbone="bad")
    assert caught.match(complaint)


WRITER = (
    HEAD
    + """
class Bad(Writer):
    def __init__(self, arguments): {create}
    def write(self, request):
        request.path.write_text("half")
        {write}

@hookimpl
def stylectl_writers():
    yield WriterSpec(name="bad", summary="", suffixes=("{suffix}",), create=Bad)
"""
)


@pytest.mark.parametrize(
    ("write", "complaint"), [("1 / 0", "ZeroDivisionError"), ("exit('no')", "SystemExit: no")]
)
def test_a_writer_that_fails_half_way_loses_no_other(
    install: Install, tmp_path: Path, write: str, complaint: str
) -> None:
    install(WRITER.format(create="pass", write=write, suffix=".bad"), "bad")
    outputs = [tmp_path / "a.png", tmp_path / "b.bad", tmp_path / "c.jpg"]
    with pytest.raises(PluginError, match=ORIGIN) as caught:
        paint(tmp_path, output=outputs)
    assert caught.match(complaint)
    assert sorted(each.name for each in tmp_path.glob("*.*") if each.is_file()) == [
        "a.png",
        "c.jpg",
    ]


def test_a_writer_that_cannot_be_made_is_found_before_the_work(
    install: Install, tmp_path: Path
) -> None:
    install(WRITER.format(create="1 / 0", write="pass", suffix=".bad"), "bad")
    heard: list[Event] = []
    with pytest.raises(PluginError, match=ORIGIN):
        paint(tmp_path, output=tmp_path / "out.bad", on_event=heard.append)
    assert not heard


def test_a_suffix_of_a_built_in_writer_stays_with_it_and_a_notice_says_so(
    install: Install, tmp_path: Path
) -> None:
    install(WRITER.format(create="pass", write="pass", suffix=".png"), "bad")
    heard: list[Event] = []
    paint(tmp_path, on_event=heard.append)
    with Image.open(tmp_path / "out.png") as image:
        assert image.format == "PNG"
    (notice,) = [each for each in heard if isinstance(each, Notice) and "out.png" in each.message]
    assert "built-in" in notice.message
    assert re.search(ORIGIN, notice.message)
    assert "`writer=bad`" in notice.message


def test_naming_the_writer_chooses_it_without_a_notice(install: Install, tmp_path: Path) -> None:
    install(WRITER.format(create="pass", write="pass", suffix=".tif"), "bad")
    heard: list[Event] = []
    output = tmp_path / "out.tif"
    paint(tmp_path, output=output, on_event=heard.append, writers={"bad": {}})
    assert (tmp_path / "out.tif").read_text() == "half"
    assert not [each for each in heard if isinstance(each, Notice) and "out.tif" in each.message]


def test_an_output_may_name_its_writer(install: Install, tmp_path: Path) -> None:
    install(WRITER.format(create="pass", write="pass", suffix=".tif"), "bad")
    heard: list[Event] = []
    outputs = [f"bad:{tmp_path / 'a.tif'}", f"tif:{tmp_path / 'b.tif'}", tmp_path / "c.tif"]
    paint(tmp_path, on_event=heard.append, output=outputs)
    assert (tmp_path / "a.tif").read_text() == "half"
    for name in ("b.tif", "c.tif"):
        with Image.open(tmp_path / name) as image:
            assert image.format == "TIFF"
    (notice,) = [each for each in heard if isinstance(each, Notice) and ".tif" in each.message]
    assert "c.tif" in notice.message


def test_a_suffix_that_two_strangers_claim_names_both_before_the_work(
    install: Install, tmp_path: Path
) -> None:
    source = WRITER.format(create="pass", write="pass", suffix=".bad")
    install(source, "bad")
    install(source.replace('name="bad"', 'name="worse"'), "worse")
    heard: list[Event] = []
    with pytest.raises(UsageError, match=ORIGIN) as caught:
        paint(tmp_path, output=tmp_path / "out.bad", on_event=heard.append)
    assert caught.match("stylectl-worse 1.2")
    assert caught.match("choose one with `writer=bad` or `writer=worse`")
    assert not heard
    paint(tmp_path, output=tmp_path / "out.bad", writers={"worse": {}})
    assert (tmp_path / "out.bad").exists()


def test_what_a_plugin_says_reaches_the_user_on_one_line_without_control_characters(
    install: Install, tmp_path: Path
) -> None:
    install(term(bind=r'raise RuntimeError("\x1b[2J\n" * 500)'), "bad")
    with pytest.raises(PluginError, match=ORIGIN) as caught:
        paint(tmp_path, term=["bad"])
    message = str(caught.value)
    assert message.isprintable()
    assert len(message) < 500


START_AND_DESCENT = (
    HEAD
    + """
class Gray(Initializer):
    random = False
    def image(self, start):
        {image}

class Descent(Optimizer):
    step_size: float = 0.001
    def images_held(self, steps):
        return 3
    def iterate(self, problem):
        image = problem.image
        while True:
            evaluation = problem.evaluate(image)
            yield Iterate(image, evaluation)
            {step}

@hookimpl
def stylectl_initializers():
    yield InitializerSpec(name="bad-gray", summary="", options=Gray)

@hookimpl
def stylectl_optimizers():
    yield OptimizerSpec(name="bad-descent", summary="", options=Descent)
"""
)
GRAY = "return start.content * 0 + 0.5"
DESCENT = "image = image - problem.step_factor * self.step_size * evaluation.gradient"


def test_a_job_uses_an_installed_optimizer_and_initialiser(
    install: Install, tmp_path: Path
) -> None:
    install(START_AND_DESCENT.format(image=GRAY, step=DESCENT), "bad")
    options = {"init": "bad-gray", "optimizer": {"name": "bad-descent", "step_size": 1e-4}}
    result = paint(tmp_path, **options)
    assert result.final_losses["style"] < result.initial_losses["style"]
    assert result.job.as_table()["optimizer"] == options["optimizer"]
    again = paint(tmp_path, job=tmp_path / "out.png", output=tmp_path / "again.png")
    assert (again.image == result.image).all()


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"image": "1 / 0"}, "ZeroDivisionError"),
        ({"image": "return None"}, "shaped like the content"),
        ({"image": "return start.content / 0"}, "not finite"),
        ({"step": "return"}, "stopped by itself"),
        ({"step": "image = image[0]"}, "an image like the first"),
        ({"step": "1 / 0"}, "ZeroDivisionError"),
        ({"step": "exit('no')"}, "SystemExit: no"),
    ],
)
def test_a_bad_optimizer_or_initialiser_is_named_with_its_plugin(
    install: Install, tmp_path: Path, changes: dict[str, str], complaint: str
) -> None:
    source = START_AND_DESCENT.format(**({"image": GRAY, "step": DESCENT} | changes))
    install(source, "bad")
    with pytest.raises(PluginError, match=ORIGIN) as caught:
        paint(tmp_path, init="bad-gray", optimizer="bad-descent")
    assert caught.match(complaint)


def test_an_error_of_the_objective_is_not_laid_to_the_optimizer(
    install: Install, tmp_path: Path
) -> None:
    install(START_AND_DESCENT.format(image=GRAY, step=DESCENT), "bad")
    install(term(loss="image[9]").replace('name="bad"', 'name="worse"'), "worse")
    with pytest.raises(PluginError, match=r"plugin worse \(stylectl-worse 1\.2\)"):
        paint(tmp_path, optimizer="bad-descent", term=["worse"])


LISTENER = (
    HEAD
    + """
calls = []

@hookimpl
def {hook}(event):
    calls.append(event)
    1 / 0
"""
)


@pytest.mark.parametrize("failure", ["1 / 0", "exit('no')"])
@pytest.mark.parametrize("hook", ["stylectl_run_started", "stylectl_step", "stylectl_run_finished"])
def test_a_listener_that_fails_is_muted_and_loses_no_picture(
    install: Install, tmp_path: Path, hook: str, failure: str
) -> None:
    module = install(LISTENER.format(hook=hook).replace("1 / 0", failure), "bad")
    heard: list[Event] = []
    with pytest.raises(PluginError, match=ORIGIN) as caught:
        paint(tmp_path, on_event=heard.append)
    assert caught.match(hook)
    assert (tmp_path / "out.png").exists()
    assert len(sys.modules[module].calls) == 1
    (told,) = [each.message for each in heard if isinstance(each, Notice) and "bad" in each.message]
    assert "the run continues without it" in told


def test_a_listener_that_fails_does_not_mark_the_results_of_a_batch_as_failed(
    install: Install, tmp_path: Path
) -> None:
    module = install(LISTENER.format(hook="stylectl_step"), "bad")
    heard: list[Any] = []
    report = stylectl.batch(
        [
            {
                "content": "sample:photo",
                "styles": ["sample:painting"],
                "output": tmp_path / "out.png",
            }
        ],
        on_event=heard.append,
        size=32,
        iterations=2,
        scales=1,
        device="cpu",
    )
    (picture,) = report.painted
    assert not report.failed
    assert picture.exists()
    assert len(sys.modules[module].calls) == 1
    assert [each for each in heard if isinstance(each, Notice) and "ZeroDivision" in each.message]


def test_an_interruption_is_one_whatever_listeners_do(install: Install, tmp_path: Path) -> None:
    install(LISTENER.format(hook="stylectl_run_started"), "bad")

    def interrupt(event: Event) -> None:
        if isinstance(event, StepDone) and event.step == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        paint(tmp_path, on_event=interrupt)
    assert (tmp_path / "out.png").exists()


@pytest.mark.subprocess
def test_the_command_line_says_it_in_one_line_and_shows_the_traceback_when_asked(
    install: Install, tmp_path: Path
) -> None:
    install(term(loss="image[9]"), "bad")
    site = str(tmp_path / "stylectl-bad")
    command = [sys.executable, "-m", "stylectl", "run", "--size", "32", "--iterations", "2"]
    for trace, shown in (("0", False), ("1", True)):
        done = subprocess.run(
            [*command, "--scales", "1", "--term", "bad", "-o", str(tmp_path / "out.png")],
            capture_output=True,
            text=True,
            env={**os.environ, "PYTHONPATH": site, "STYLECTL_TRACE_PLUGINS": trace},
        )
        assert done.returncode == 1
        complaints = [line for line in done.stderr.splitlines() if "stylectl-bad 1.2" in line]
        assert "IndexError" in complaints[-1]
        assert ("Traceback" in done.stderr) == shown
        assert not done.stdout
