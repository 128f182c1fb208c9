"""Tasks from a folder of content images and a folder of style images."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from ...core.errors import StylectlError, UsageError
from ...core.files import check_regular, real_path, shortened, status_of
from ...core.images.files import images_in, is_folder
from .events import Task
from .tasks import TaskMaker

Pairs = Literal["all", "zip"]


@dataclass(frozen=True)
class Images:
    """Images of a folder, ordered by path, or the single image `source`.

    With `recursive`, they include those of its subfolders. `left_out` are the folder's other files,
    and the subfolders that are not read; hidden files and folders do not count.
    """

    flag: str
    source: Path
    files: tuple[Path, ...]
    left_out: tuple[Path, ...] = ()
    recursive: bool = False

    def subfolder(self, file: Path) -> Path:
        """Return the folder of one of the images, relative to the source."""
        return Path() if file == self.source else file.parent.relative_to(self.source)

    def check_apart(self, folder: Path) -> None:
        """Check that results in `folder` are not found as images next. Raises UsageError."""
        source, target = real_path(self.source), real_path(folder)
        inside = target.is_relative_to(source) if self.recursive else target == source
        if is_folder(str(self.source)) and inside:
            where = "the" if target == source else "in the"
            raise UsageError(
                f"{folder} is {where} folder of {self.flag}: its results would be inputs next; "
                "choose another --output"
            )


def find_images(flag: str, source: Path, recursive: bool) -> Images:
    """Find the images of a folder, and with `recursive` those of its subfolders.

    Links to folders are not followed. `flag` names the source in messages. Raises UsageError for a
    source that does not exist, cannot be read or has no images.
    """
    if not is_folder(str(source)):
        if status_of(source) is None:
            raise UsageError(f"{flag} {source}: no such folder")
        check_regular(source, "image")
        return Images(flag, source, (source,))
    files: list[Path] = []
    left_out: list[Path] = []
    for name, subfolders, names in os.walk(source, onerror=_cannot_read):
        folder = Path(name)
        images = set(images_in(folder))
        files += images
        left_out += [
            folder / other
            for other in names
            if not other.startswith(".") and folder / other not in images
        ]
        subfolders[:] = [name for name in subfolders if not name.startswith(".")]
        linked = [name for name in subfolders if (folder / name).is_symlink()]
        left_out += [folder / name for name in (linked if recursive else subfolders)]
        if not recursive:
            break
    if not files:
        raise UsageError(f"{flag} {source}: no images in this folder")
    return Images(
        flag, source, tuple(sorted(files, key=_order)), tuple(sorted(left_out)), recursive
    )


def _cannot_read(error: OSError) -> None:
    raise UsageError(f"{error.filename}: the folder cannot be read ({error.strerror})")


def _order(path: Path) -> tuple[object, ...]:
    return path.parent, path.name.casefold(), path.name


def folder_tasks(
    contents: Images,
    styles: Images,
    pairs: Pairs,
    folder: Path,
    options: Mapping[str, Any],
    maker: TaskMaker,
) -> list[Task]:
    """Return the tasks of content images and style images.

    With the `pairs` ``all``, each content image is combined with each style image; with ``zip``,
    the first with the first and so on, in their order. The result is ``CONTENT_STYLE.png`` in
    `folder`; the subfolders of both images are mirrored in it.

    Raises UsageError for ``zip`` with different numbers of images, for results that would be among
    the images, and for jobs that are wrong.
    """
    for name in ("content", "styles"):
        if name in options:
            raise UsageError(f"--set {name} has no effect: --contents and --styles name the images")
    contents.check_apart(folder)
    styles.check_apart(folder)
    if pairs == "zip":
        if len(contents.files) != len(styles.files):
            raise UsageError(
                "--pairs zip needs as many style images as content images: "
                f"{contents.source} has {len(contents.files)}, "
                f"{styles.source} has {len(styles.files)}"
            )
        chosen_pairs = list(zip(contents.files, styles.files, strict=True))
    elif len(contents.files) < len(styles.files):
        # The targets of the inner loop's images are cached for the next round: keep these the few.
        chosen_pairs = [(content, style) for style in styles.files for content in contents.files]
    else:
        chosen_pairs = [(content, style) for content in contents.files for style in styles.files]
    tasks = []
    for content, style in chosen_pairs:
        subfolder = contents.subfolder(content) / styles.subfolder(style)
        path = folder / subfolder / f"{shortened(f'{content.stem}_{style.stem}')}.png"
        images = {"content": str(content), "styles": [str(style)]}
        label = f"{content} in the style of {style}"
        try:
            tasks.append(maker.task(label, path, {**options, **images}))
        except StylectlError as error:
            raise error.reworded(f"{label}: {error}") from error.__cause__
    return tasks
