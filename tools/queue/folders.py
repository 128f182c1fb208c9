"""Tasks from a folder of content images and a folder of style images."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from ...core.errors import StylectlError, UsageError
from ...core.images.files import images_in
from .events import Task
from .tasks import TaskMaker

Pairs = Literal["all", "zip"]


def folder_tasks(
    contents: Path,
    styles: Path,
    pairs: Pairs,
    folder: Path,
    options: Mapping[str, Any],
    maker: TaskMaker,
) -> list[Task]:
    """Each content with each style, or the first with the first and so on, in the order of their
    names; the result is ``CONTENT_STYLE.png`` in `folder`.

    Raises UsageError for folders without images, numbers that differ, and jobs that are wrong.
    """
    for name in ("content", "styles"):
        if name in options:
            raise UsageError(f"--set {name} has no effect: --contents and --styles name the images")
    photos, paintings = _images("--contents", contents), _images("--styles", styles)
    for flag, source in (("--contents", contents), ("--styles", styles)):
        if source.is_dir() and folder.resolve() == source.resolve():
            raise UsageError(f"{folder} is the folder of {flag}: its results would be inputs next")
    if pairs == "zip":
        if len(photos) != len(paintings):
            raise UsageError(
                f"--pairs zip needs as many styles as contents: {contents} has {len(photos)}, "
                f"{styles} has {len(paintings)}"
            )
        chosen = list(zip(photos, paintings, strict=True))
    elif len(photos) < len(paintings):
        # What the inner loop uses is kept from one round to the next: let it be the fewer.
        chosen = [(photo, painting) for painting in paintings for photo in photos]
    else:
        chosen = [(photo, painting) for photo in photos for painting in paintings]
    tasks = []
    for photo, painting in chosen:
        path = folder / f"{photo.stem}_{painting.stem}.png"
        images = {"content": str(photo), "styles": [str(painting)]}
        label = f"{photo} in the style of {painting}"
        try:
            tasks.append(maker.task(label, path, {**options, **images}))
        except StylectlError as error:
            raise error.reworded(f"{label}: {error}") from error.__cause__
    return tasks


def _images(flag: str, source: Path) -> list[Path]:
    """The images in a folder, by name; or the one file."""
    if source.is_file():
        return [source]
    if not source.is_dir():
        raise UsageError(f"{flag} {source}: no such folder")
    images = images_in(source)
    if not images:
        raise UsageError(f"{flag} {source}: no images in this folder")
    return sorted(images, key=lambda path: (path.name.casefold(), path.name))
