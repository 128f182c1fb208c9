"""Planned output files: their writers and folders are checked before the run."""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..attribution import attributed_to
from ..errors import OutputError, PluginError, UsageError
from ..files import check_is_no_input, check_output, real_path
from ..images.files import images_in, is_folder
from ..interfaces.events import Listener, Notice, ignore
from ..interfaces.specs import WriterArguments, WriterSpec
from ..interfaces.writer import Writer
from ..job.model import Job
from ..job.paths import SAMPLES
from ..job.tables import texts_in
from ..leftovers import (
    PRIVATE,
    remove_free_locks,
    remove_leftovers,
)
from ..planning.registry import Registry
from ..validation import validated

#: ``NAME:FILE``. A single letter is a drive of Windows, as in ``C:out.png``.
_WITH_WRITER = re.compile(r"(\w[\w+-]+):(.+)", re.DOTALL)


@dataclass(frozen=True)
class Target:
    """A file that is wanted, and the name of its writer; None: its suffix chooses the writer."""

    path: Path
    writer: str | None = None

    @classmethod
    def read(cls, text: str) -> Target:
        """Read ``FILE`` or ``NAME:FILE``, such as ``png:out.png``.

        A file whose own name looks like that is written ``./png:out.png``. Raises UsageError for
        the empty text, which would be the current folder.
        """
        if not text:
            raise UsageError("the path of an output is empty: name a file")
        match = _WITH_WRITER.fullmatch(text)
        return cls(Path(match[2]), match[1]) if match else cls(Path(text))


@dataclass(frozen=True)
class Output:
    """A file to write, with its writer; `label` names the writer in messages."""

    path: Path
    spec: WriterSpec[Any]
    writer: Writer
    label: str


def plan_outputs(
    wanted: Sequence[Path | Target],
    job: Job,
    size: tuple[int, int],
    registry: Registry,
    options: Mapping[str, Mapping[str, Any]] = {},
    listener: Listener = ignore,
) -> tuple[Output, ...]:
    """Create the writers and check the folders, for a result of `size` (height, width).

    `wanted` are the files to write. `options` has the options of the writers, by the writers'
    names; a writer that is named there is preferred for its suffixes. `listener` gets a notice for
    a suffix that several writers claim.

    Raises UsageError for an unknown suffix, a writer that does not have it, options that are wrong
    or of a writer that no output needs, a missing folder or a path that is one of the job's inputs,
    and OutputError for a folder that cannot be written to or has no room.
    """
    targets = [file if isinstance(file, Target) else Target(file) for file in wanted]
    outputs = tuple(_output(target, registry, options, listener) for target in targets)
    used = {output.spec.name for output in outputs}
    for name in options:
        if registry.writers.get(name).name not in used:
            raise UsageError(f"the options of the writer {name} have no effect: no output needs it")
    check_is_no_input([output.path for output in outputs], files_read([job]))
    folders = {real_path(Path(path)) for path in job.input_paths if is_folder(path)}
    for index, output in enumerate(outputs):
        path = output.path
        check_output(path)
        if real_path(path).parent in folders:
            raise UsageError(f"{path}: the output would be one of the images of a style's folder")
        if real_path(path) in {real_path(other.path) for other in outputs[:index]}:
            raise UsageError(f"{path}: named twice as an output")
        longest = output.spec.longest_side
        if longest is not None and max(size) > longest:
            raise UsageError(f"{path}: {path.suffix} holds at most {longest} px, not {max(size)}")
        check_folder(path, needed=4 * size[0] * size[1])
    return outputs


def _output(
    target: Target, registry: Registry, options: Mapping[str, Mapping[str, Any]], listener: Listener
) -> Output:
    path, name = target.path, target.writer
    spec = _named(name, path, registry) if name else registry.writer_for(path, wanted=options)
    others = [other for other in registry.writers_for(path) if other.name != spec.name]
    if others and not name and spec.name not in options:
        listener(
            Notice(
                f"{path}: {registry.writers.label(spec.name)} writes it; `writer={others[0].name}` "
                f"chooses {registry.writers.label(others[0].name)} instead"
            )
        )
    label = registry.writers.label(spec.name)
    writer_options = validated(spec.options, options.get(spec.name, {}), label)
    with attributed_to(label):
        writer = spec.create(WriterArguments(options=writer_options))
    if not isinstance(writer, Writer):
        raise PluginError(f"{label} must be a Writer, not {writer!r}")
    return Output(path, spec, writer, label)


def files_read(jobs: Iterable[Job]) -> list[Path]:
    """Return the files that jobs read: images, those in folders, and those that options name.

    Every text of a job counts as a path, since a plugin may not have marked its options' paths.
    """
    images: set[str] = set()
    texts: set[str] = set()
    for job in jobs:
        images.update(job.input_paths)
        texts.update(texts_in(job.as_table()))
    files = [SAMPLES.get(path, Path(path)) for path in images | texts]
    for path in images:
        if is_folder(path):
            files += images_in(Path(path))
    return files


def _named(name: str, path: Path, registry: Registry) -> WriterSpec[Any]:
    """Return the writer called `name`.

    Raises UsageError for an unknown name, and for a writer that does not have the file's suffix.
    """
    try:
        spec = registry.writers.get(name)
    except UsageError as error:
        message = f"{name}:{path}: {error} (a file of this name is written ./{name}:{path})"
        raise error.reworded(message) from None
    if path.suffix.lower() not in spec.suffixes:
        raise UsageError(f"{name}:{path}: the writer {name} writes {', '.join(spec.suffixes)}")
    return spec


def check_folder(path: Path, needed: int) -> None:
    """Check that a file's folder can be written to and has room for `needed` bytes.

    What killed processes left in it is removed. Raises UsageError for a missing folder, and
    OutputError.
    """
    folder = path.parent
    if not folder.is_dir():
        raise UsageError(f"{path}: there is no folder {folder}; make it first")
    remove_leftovers(folder, PRIVATE)
    remove_free_locks(folder)
    try:
        with tempfile.TemporaryFile(dir=folder):
            pass
        room = shutil.disk_usage(folder).free
    except OSError as error:
        raise OutputError(f"{path}: the folder cannot be written to ({error.strerror})") from None
    if room < needed:
        raise OutputError(
            f"{path}: the folder has room for {room / 1e6:.1f} MB; the result may take "
            f"{needed / 1e6:.1f} MB"
        )
