"""Folder of checkpoints, which several processes share.

A checkpoint is a folder with the file of the checkpoint and the run's snapshots. While a process
makes or resumes it, that process holds the lock file beside it.
"""

from __future__ import annotations

import re
import secrets
import shutil
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path

from filelock import Timeout

from ..errors import CheckpointError, UsageError
from ..files import user_state, whole_file
from ..leftovers import held_lock, private_lock, remove_free_locks
from .format import Header, read_header

_FILE, _SNAPSHOTS = "checkpoint.safetensors", "snapshots"
#: Names of the folders, which users' own folders beside them do not have.
_PATTERN = "*-" + 8 * "[0-9a-f]" + ".checkpoint"


@dataclass(frozen=True)
class StoredCheckpoint:
    """A checkpoint on disk: its folder and its header."""

    folder: Path
    header: Header


class HeldCheckpoint:
    """Folder of one checkpoint, locked by this process.

    There may be no checkpoint in it yet. Snapshots have a name for each step.
    """

    def __init__(self, folder: Path) -> None:
        """Lock the folder. Raises filelock.Timeout if another process has the lock, and OSError."""
        self.folder = folder
        self._lock = ExitStack()
        self._lock.enter_context(held_lock(private_lock(folder)))

    @property
    def file(self) -> Path:
        """File of the checkpoint."""
        return self.folder / _FILE

    def add_snapshots(self, files: Sequence[Path]) -> None:
        """Copy files of snapshots into the folder, unless they are there. Raises OSError."""
        snapshots = self.folder / _SNAPSHOTS
        _make_private(snapshots)
        for file in files:
            if not (snapshots / file.name).exists():
                with whole_file(snapshots / file.name) as copy:
                    shutil.copyfile(file, copy)

    def snapshot(self, name: str) -> Path:
        """Return the path of a snapshot."""
        return self.folder / _SNAPSHOTS / Path(name).name

    def discard(self) -> None:
        """Delete the checkpoint, its file first: a kill leaves none that lacks its snapshots."""
        with suppress(OSError):
            self.file.unlink()
        shutil.rmtree(self.folder, ignore_errors=True)

    def close(self) -> None:
        """Free the lock."""
        self._lock.close()


class Checkpoints:
    """All checkpoints in a folder, which is made when the first one is written."""

    def __init__(self, folder: Path) -> None:
        """Use a folder, which need not exist."""
        self.folder = folder

    def stored(self) -> list[StoredCheckpoint]:
        """Return the checkpoints, the newest first, without those that are `unreadable`."""
        checkpoints = []
        for folder in self.folders():
            with suppress(CheckpointError, OSError):
                checkpoints.append(StoredCheckpoint(folder, read_header(folder / _FILE)))
        return sorted(checkpoints, key=lambda stored: stored.header.written, reverse=True)

    def unreadable(self) -> list[Path]:
        """Return the folders of checkpoints that are damaged, or of another version's format."""
        folders = []
        for folder in self.folders():
            if (folder / _FILE).exists():
                try:
                    read_header(folder / _FILE)
                except CheckpointError:
                    folders.append(folder)
        return folders

    def hold(self, stored: StoredCheckpoint) -> HeldCheckpoint | None:
        """Lock a checkpoint; None if another process has it, or it changed meanwhile."""
        with suppress(Timeout, OSError):
            held = HeldCheckpoint(stored.folder)
            with suppress(CheckpointError):
                if read_header(held.file).written == stored.header.written:
                    return held
            held.close()
        return None

    def in_use(self, folder: Path) -> bool:
        """Return whether a process is making or resuming the checkpoint in a folder."""
        try:
            HeldCheckpoint(folder).close()
        except (Timeout, OSError):
            return True
        return False

    def new(self, stem: str) -> HeldCheckpoint:
        """Make and lock a folder for a new checkpoint, with a name from `stem`. Raises OSError."""
        _make_private(self.folder)
        self.clean()
        name = re.sub(r"[^A-Za-z0-9._-]", "-", stem)[:60].strip(".") or "run"
        held = HeldCheckpoint(self.folder / f"{name}-{secrets.token_hex(4)}.checkpoint")
        try:
            _make_private(held.folder)
        except OSError:
            held.close()
            raise
        return held

    def remove(self, folder: Path) -> bool:
        """Delete the checkpoint in a folder, unless it is in use. Return whether it is gone."""
        with suppress(Timeout, OSError):
            held = HeldCheckpoint(folder)
            held.discard()
            held.close()
        return not folder.exists()

    def clean(self) -> None:
        """Remove what processes left that were killed before their first checkpoint."""
        for folder in self.folders():
            if not (folder / _FILE).exists():
                with suppress(Timeout, OSError), held_lock(private_lock(folder)):
                    if not (folder / _FILE).exists():
                        shutil.rmtree(folder, ignore_errors=True)
        remove_free_locks(self.folder)

    def folders(self) -> list[Path]:
        """Return the folders of all checkpoints."""
        try:
            return sorted(path for path in self.folder.glob(_PATTERN) if path.is_dir())
        except OSError:
            return []


def checkpoints_in(folder: str | Path | None = None) -> Checkpoints:
    """Return the checkpoints in a folder; None for the user's folder of unfinished work.

    Raises UsageError for the path of a file.
    """
    if folder is None:
        return Checkpoints(user_state() / "checkpoints")
    if Path(folder).exists() and not Path(folder).is_dir():
        raise UsageError(f"{folder}: this is a file; name a folder for the checkpoints")
    return Checkpoints(Path(folder))


def _make_private(folder: Path) -> None:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
