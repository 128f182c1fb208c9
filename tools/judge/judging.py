"""Judging: all scores of results, beside those of the content image and of the style image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from . import st_lpips
from .measures import MEASURES, Better, Measure
from .pictures import Pictures, read_pictures

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
    """Judge image files. Raises what `read_pictures` raises."""
    pictures = read_pictures(results, content, style, size)
    height, width = pictures.size
    notices = list(pictures.notices)
    measures = list(MEASURES)
    if st_lpips.is_installed():
        measures.insert(_PLACE, Measure("st-lpips", "lower", "content", st_lpips.st_lpips()))
    else:
        notices.append(st_lpips.MISSING)
    scores = tuple(_score(measure, pictures) for measure in measures)
    return Judgement(tuple(results), content, style, (width, height), scores, tuple(notices))


def _score(measure: Measure, pictures: Pictures) -> Score:
    content, style = pictures.content, pictures.style
    reference = style if measure.beside == "style" else content
    results = tuple(measure.of(result, reference) for result in pictures.results)
    if measure.beside == "style":
        bounds = measure.of(content, style), measure.of(style, style)
    elif measure.beside == "content":
        bounds = measure.of(content, content), measure.of(pictures.stretched_style, content)
    else:
        bounds = measure.of(content, content), measure.of(style, style)
    return Score(measure.name, measure.better, results, *bounds)
