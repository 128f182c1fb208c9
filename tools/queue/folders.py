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
    """Return the tasks of a folder of content images and a folder of style images.

    With the `pairs` ``all``, each content image is combined with each style image; with ``zip``,
    the first with the first and so on, in the order of their names. The result is
    ``CONTENT_STYLE.png`` in `folder`.

    Raises UsageError for folders without images, for ``zip`` with different numbers of images, and
    for jobs that are wrong.
    """
    for name in ("content", "styles"):
        if name in options:
            raise UsageError(f"--set {name} has no effect: --contents and --styles name the images")
    content_images, style_images = _images("--contents", contents), _images("--styles", styles)
    for flag, source in (("--contents", contents), ("--styles", styles)):
        if source.is_dir() and folder.resolve() == source.resolve():
            raise UsageError(
                f"{folder} is the folder of {flag}: its results would be inputs next; choose "
                "another --output"
            )
    if pairs == "zip":
        if len(content_images) != len(style_images):
            raise UsageError(
                "--pairs zip needs as many style images as content images: "
                f"{contents} has {len(content_images)}, {styles} has {len(style_images)}"
            )
        chosen_pairs = list(zip(content_images, style_images, strict=True))
    elif len(content_images) < len(style_images):
        # The targets of the inner loop's images are cached for the next round: keep these the few.
        chosen_pairs = [(content, style) for style in style_images for content in content_images]
    else:
        chosen_pairs = [(content, style) for content in content_images for style in style_images]
    tasks = []
    for content, style in chosen_pairs:
        path = folder / f"{content.stem}_{style.stem}.png"
        images = {"content": str(content), "styles": [str(style)]}
        label = f"{content} in the style of {style}"
        try:
            tasks.append(maker.task(label, path, {**options, **images}))
        except StylectlError as error:
            raise error.reworded(f"{label}: {error}") from error.__cause__
    return tasks


def _images(flag: str, source: Path) -> list[Path]:
    """Return the images in a folder, ordered by name; or the one file."""
    if source.is_file():
        return [source]
    if not source.is_dir():
        raise UsageError(f"{flag} {source}: no such folder")
    images = images_in(source)
    if not images:
        raise UsageError(f"{flag} {source}: no images in this folder")
    return sorted(images, key=lambda path: (path.name.casefold(), path.name))
