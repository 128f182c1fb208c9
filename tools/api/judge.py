"""`stylectl.judge`: scores of results from Python."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ...core.errors import UsageError
from ...core.files import paths_of
from ..judge.judging import DEFAULT_SIZE, Judgement, judge_files


def judge(
    results: str | Path | Sequence[str | Path],
    *,
    content: str | Path,
    style: str | Path,
    size: int = DEFAULT_SIZE,
) -> Judgement:
    """Score results beside their content image and their style image.

    `results` are image files of one content image and one style image. All are compared at a long
    side of `size` pixels, or that of the smallest result if it is less. Works offline, by formulas
    and the embedded VGG-19. Raises UsageError, ImageError and MemoryLimitError.
    """
    paths = [str(path) for path in paths_of(results)]
    if not paths:
        raise UsageError("no result to judge; name at least one image file")
    if size < 64:
        raise UsageError(f"`size={size}`: pictures are compared at 64 px or more")
    return judge_files(paths, str(content), str(style), size)
