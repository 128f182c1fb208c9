from __future__ import annotations

import base64
import io
import math
import re
import tomllib
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image
from stylectl.core.errors import NumericalError
from stylectl.core.interfaces.result import Result, StepRecord
from stylectl.core.job.choices import TermChoice
from stylectl.plugins.writers.charts import loss_chart

Write = Callable[..., Path]
VOID = {"meta", "img", "input"}
HOSTILE = "\"'><script>alert(1)<img src=x onerror=alert(2)>{{ 7 * 191 }}.jpg"


class Page(HTMLParser):
    """A page's elements with their attributes, and its text; fails where tags do not match."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.texts: list[tuple[str, str]] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append((self.open[-1] if self.open else "", data))

    @property
    def text(self) -> str:
        return " ".join(
            " ".join(data.split()) for tag, data in self.texts if tag not in ("style", "script")
        )

    def within(self, tag: str) -> str:
        return "".join(data for inside, data in self.texts if inside == tag)

    def images(self) -> dict[str, Image.Image]:
        found: dict[str, Image.Image] = {}
        for tag, attributes in self.elements:
            if tag == "img":
                head, _, data = str(attributes["src"]).partition(",")
                image = Image.open(io.BytesIO(base64.b64decode(data)))
                assert head == f"data:image/{str(image.format).lower()};base64"
                found[str(attributes["alt"])] = image
        return found


def page(path: Path) -> Page:
    return Page(path.read_text(encoding="utf-8"))


def drawing(path: Path) -> ElementTree.Element:
    """The first SVG, which is well-formed XML."""
    text = path.read_text(encoding="utf-8")
    start = text.index("<svg")
    return ElementTree.fromstring(text[start : text.index("</svg>") + len("</svg>")])


def test_the_images_are_in_the_page(result: Result, write: Write) -> None:
    images = page(write(result, "out.html")).images()
    assert set(images) == {
        "The result",
        "The content image",
        "Style image night.jpg",
        "Style image day.jpg",
    }
    assert images["The result"].size == images["The content image"].size == (41, 30)
    shown = np.asarray(images["The result"]).mean((0, 1)) / 255
    assert np.abs(shown - result.image.mean((0, 1))).max() < 0.02
    blue = np.asarray(images["Style image night.jpg"]).mean((0, 1))
    assert np.abs(blue - (20, 20, 220)).max() < 5


def test_images_are_no_larger_than_asked(result: Result, write: Write) -> None:
    large = replace(result, image=np.zeros((150, 300, 3), np.float32))
    images = page(write(large, "out.html", {"side": 100})).images()
    assert images["The result"].size == images["The content image"].size == (100, 50)


def test_transparency_is_kept(clear_result: Result, write: Write) -> None:
    image = page(write(clear_result, "out.html")).images()["The result"]
    assert image.mode == "RGBA"
    assert (np.asarray(image)[:, :18, 3] == 0).all()


def test_nothing_outside_the_file_is_asked_for(result: Result, write: Write) -> None:
    text = write(result, "out.html").read_text()
    assert "//" not in re.sub("base64,[A-Za-z0-9+/=]+", "", text)
    for tag, attributes in Page(text).elements:
        assert tag not in ("link", "iframe", "object", "embed", "base", "form", "a")
        assert "href" not in attributes
        if "src" in attributes:
            assert str(attributes["src"]).startswith("data:image/")
    assert "@import" not in text
    assert "url(" not in text


def test_it_tells_what_a_reader_wants_to_know(result: Result, write: Write) -> None:
    text = page(write(result, "out.html")).text
    for words in (
        "photo in the style of night and day",
        "41 × 30 px · 10 iterations · 1 min 15 s on cpu",
        "night.jpg, 64 × 48 px · 75 %",
        "29 × 21",
        "2.13.0",
        "a1" * 32,
        "166.7",  # the style's loss at the end, 1000 / 6
    ):
        assert words in text
    assert "Stopped early" not in text


def test_the_job_in_it_is_a_job_file(result: Result, write: Write) -> None:
    found = page(write(result, "out.html"))
    code = next(
        data for tag, data in found.texts if tag == "code" and data.lstrip().startswith("content")
    )
    assert tomllib.loads(code)["styles"][1]["image"] == "day.jpg"


@pytest.mark.parametrize(
    ("error", "words"),
    [(KeyboardInterrupt(), "Ctrl-C"), (NumericalError("a <b> lost"), "NumericalError: a <b> lost")],
)
def test_a_run_that_ended_early_says_so(
    result: Result, write: Write, error: BaseException, words: str
) -> None:
    stopped = replace(result, stopped_by=error, steps=result.steps[:4])
    found = page(write(stopped, "out.html"))
    assert f"Stopped early, after 3 of 10 iterations: {words}" in found.text


def test_names_are_words_and_no_markup(result: Result, write: Write) -> None:
    hostile = replace(
        result,
        content=replace(result.styles[0][0], path=HOSTILE),
        styles=((replace(result.styles[0][0], path=HOSTILE), 1.0),),
        steps=(StepRecord(0, 0, {HOSTILE: 2.0}, 0.0), StepRecord(0, 1, {HOSTILE: 1.0}, 1.0)),
        inputs={HOSTILE: HOSTILE},
        versions={"stylectl": HOSTILE, HOSTILE: HOSTILE},
        backend=HOSTILE,
        device=HOSTILE,
        job=result.job.model_copy(
            update={"content": HOSTILE, "terms": (TermChoice(name=HOSTILE),)}
        ),
        stopped_by=NumericalError(HOSTILE),
    )
    path = write(hostile, "out.html")
    found = page(path)
    tags = [tag for tag, _ in found.elements]
    assert tags.count("script") == 1
    assert tags.count("img") == 3
    assert not any(key.startswith("on") for _, attributes in found.elements for key in attributes)
    assert HOSTILE in found.text
    assert "1337" not in path.read_text()
    assert found.within("script").strip().startswith("for (const box")


def test_a_name_that_is_no_text_is_shown_as_well_as_can_be(result: Result, write: Write) -> None:
    odd = replace(result, content=replace(result.styles[0][0], path="caf\udce9.jpg"))
    assert "caf?" in page(write(odd, "out.html")).text


def test_the_curves_lie_in_the_plot(result: Result, write: Write) -> None:
    svg = drawing(write(result, "out.html"))
    paths = svg.findall("path")
    assert [path.findtext("title") for path in paths] == ["sum", "content", "style"]
    for path in paths:
        runs = path.attrib["d"].split("M")[1:]
        assert len(runs) == 2  # one for each scale
        for run in runs:
            points = [tuple(map(float, point.split())) for point in run.split("L")]
            assert len(points) == 6
            assert all(56 <= x <= 752 and 24 <= y <= 292 for x, y in points)
    labels = [text.text for text in svg.findall("text")]
    assert {"29 × 21", "41 × 30", "1000"} <= set(labels)


def records(*losses: dict[str, float]) -> list[StepRecord]:
    return [StepRecord(0, step, each, float(step)) for step, each in enumerate(losses)]


def test_a_tenth_is_as_far_below_as_ten_is_above() -> None:
    chart = loss_chart(records({"a": 10.0}, {"a": 1.0}, {"a": 0.1}), {})
    heights = [float(point.split()[1]) for point in chart.curves[0].path[1:].split("L")]
    assert heights[1] - heights[0] == pytest.approx(heights[2] - heights[1], abs=0.2)
    assert heights[0] < heights[2]  # up is more


def test_what_has_no_logarithm_is_left_out() -> None:
    losses = [math.nan, 4.0, 0.0, -3.0, math.inf, 2.0]
    chart = loss_chart(records(*({"a": loss} for loss in losses)), {})
    assert chart.curves[0].path.count(" ") == 3  # two points
    assert "nan" not in chart.curves[0].path


@pytest.mark.parametrize(
    "losses", [[0.0], [5.0], [5.0, 5.0], [1.0, 1.0], [1e-300, 1e300], [3.1, 3.2], [0.5, 80.0]]
)
def test_any_range_has_an_axis(losses: list[float]) -> None:
    chart = loss_chart(records(*({"a": loss} for loss in losses)), {})
    assert 2 <= len(chart.values) <= 9
    heights = [tick.at for tick in chart.values]
    assert heights == sorted(heights, reverse=True)
    assert heights[0] == chart.bottom
    assert heights[-1] == chart.top


def test_a_long_run_is_drawn_with_few_points() -> None:
    chart = loss_chart(records(*({"a": 1 + 1 / (1 + n)} for n in range(5000))), {})
    assert chart.curves[0].path.count("L") < 500
