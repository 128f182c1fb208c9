"""Files beside a video: its contact sheet and its report."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from ....core.errors import UsageError
from ....core.files import check_is_no_input, check_output, real_path
from ....core.outputs.targets import check_folder
from ...clips.reading.image_sequence import is_sequence
from ...clips.target import ClipTarget

#: Most bytes of one of these files, about.
_MOST_BYTES = 10_000_000


@dataclass(frozen=True)
class Extras:
    """Files beside a video, or None for each that is not wanted.

    - `contact_sheet`: an image with frames from all of the video.
    - `report`: a page about its flicker.
    """

    contact_sheet: Path | None = None
    report: Path | None = None

    def check(self, target: ClipTarget, clips: Iterable[str], inputs: Iterable[Path]) -> None:
        """Check that the files can be written beside the video's own.

        `clips` are the clip and the masks that move, `inputs` the files that are read. Raises
        UsageError.
        """
        wanted = (
            (self.contact_sheet, "contact_sheet", ".png"),
            (self.report, "report", ".html"),
        )
        for path, option, suffix in wanted:
            if path is not None:
                _check_file(path, option, suffix)
                check_is_no_input([path], inputs)
                if real_path(path) == real_path(target.path):
                    raise UsageError(f"{path}: the video has this name; choose another `{option}`")
        if self.contact_sheet is not None:
            _check_is_no_frame(self.contact_sheet, target, clips)


def _check_file(path: Path, option: str, suffix: str) -> None:
    if path.suffix.lower() != suffix:
        raise UsageError(f"{path}: `{option}` is written as {suffix}; choose such a name")
    check_output(path)
    check_folder(path, _MOST_BYTES)


def _check_is_no_frame(sheet: Path, target: ClipTarget, clips: Iterable[str]) -> None:
    """Raise UsageError for a contact sheet in a folder of numbered images."""
    folders = [Path(clip) for clip in clips if is_sequence(clip)]
    folders = [path if path.is_dir() else path.parent for path in folders]
    if target.kind == "images":
        folders.append(target.path.parent)
    for folder in folders:
        if real_path(sheet.parent) == real_path(folder):
            raise UsageError(
                f"{sheet}: `contact_sheet` would lie among the numbered images of {folder}; choose "
                "another folder"
            )
