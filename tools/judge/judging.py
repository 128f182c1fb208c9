"""Judging: all scores of results, beside those of the content image and of the style image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from . import st_lpips
from .measures import MEASURES, Better, Measure
from .pictures import Picture, Pictures, open_pictures

#: Long side in pixels at which pictures are compared, unless another one is chosen.
DEFAULT_SIZE = 512

#: Place of ST-LPIPS among the scores: behind the others of content.
_PLACE = 4


@dataclass(frozen=True)
class Score:
    """One score of each result, with its bounds.

    - `name`: ``gram``, ``effectiveness``, ``cfsd``, ``edges``, ``st-lpips``, ``copied``, ``grain``
      or ``border``.
    - `better`: "lower" or "higher".
    - `results`: the values, in the order of the results; None where there is none.
    - `content`, `style`: the values of the content image and of the style image. A result that is
      as good as the content image in all scores of content, and no better in those of style, is a
      copy of it.
    """

    name: str
    better: Better
    results: tuple[float | None, ...]
    content: float | None
    style: float | None


@dataclass(frozen=True)
class Judgement:
    """Scores of some results of one content image and one style image.

    - `results`, `content`, `style`: the paths, as they were given.
    - `size`: (width, height) in pixels at which the results were compared.
    - `notices`: how the files were read, and which score is left out.
    """

    results: tuple[str, ...]
    content: str
    style: str
    size: tuple[int, int]
    scores: tuple[Score, ...]
    notices: tuple[str, ...]

    def score(self, name: str) -> Score:
        """Return the score of a name. Raises KeyError."""
        for score in self.scores:
            if score.name == name:
                return score
        raise KeyError(name)


def judge_files(
    results: Sequence[str], content: str, style: str, size: int = DEFAULT_SIZE
) -> Judgement:
    """Judge image files. Raises what `open_pictures` and `st_lpips` raise."""
    with open_pictures(results, content, style, size) as pictures:
        measures = list(MEASURES)
        notices = list(pictures.notices)
        if st_lpips.is_installed():
            measure = Measure("st-lpips", "lower", "content", st_lpips.st_lpips())
            measures.insert(_PLACE, measure)
        else:
            notices.append(st_lpips.MISSING)
        rows = [
            tuple(measure.of(result, _reference(measure, pictures)) for measure in measures)
            for result in pictures.results
        ]
        columns = zip(measures, zip(*rows, strict=True), strict=True)
        scores = tuple(
            Score(measure.name, measure.better, values, *_bounds(measure, pictures))
            for measure, values in columns
        )
        height, width = pictures.size
    return Judgement(tuple(results), content, style, (width, height), scores, tuple(notices))


def _reference(measure: Measure, pictures: Pictures) -> Picture:
    return pictures.style if measure.beside == "style" else pictures.content


def _bounds(measure: Measure, pictures: Pictures) -> tuple[float | None, float | None]:
    """Return the values of the content image and of the style image."""
    content, style = pictures.content, pictures.style
    if measure.beside == "style":
        return measure.of(content, style), measure.of(style, style)
    if measure.beside == "content":
        return measure.of(content, content), measure.of(pictures.stretched_style, content)
    return measure.of(content, content), measure.of(style, style)
