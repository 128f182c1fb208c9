"""Output files: checked before the run, written under a temporary name, moved into place."""

from __future__ import annotations

import re
import shutil
import stat
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from itertools import chain, count
from pathlib import Path
from typing import Any

import numpy as np
from filelock import Timeout

from ..attribution import attributed_to
from ..errors import OutputError, PluginError, StylectlError, UsageError
from ..files import check_is_no_input, check_output, real_path, shortened, whole_file
from ..images.files import images_in, is_folder
from ..images.written import check_complete
from ..interfaces.events import Listener, Notice, ignore
from ..interfaces.result import Result, Snapshot
from ..interfaces.specs import WriterArguments, WriterSpec
from ..interfaces.writer import Writer, WriteRequest
from ..job.model import Job
from ..job.paths import SAMPLES
from ..job.tables import texts_in
from ..leftovers import (
    PRIVATE,
    held_lock,
    private_lock,
    remove_free_locks,
    remove_leftovers,
)
from ..planning.registry import Registry
from ..shown import error_line
from ..validation import validated
from .record import record_for

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
        _check_folder(path, needed=4 * size[0] * size[1])
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


def result_stem(content: str | None, style: str) -> str:
    """Return the default name of a result, without its suffix.

    It has the names of both images; that of a texture, the name of its style image.
    """
    names = (style, "texture") if content is None else (content, style)
    return shortened("_".join(Path(name).stem.removeprefix("sample:")[:60] for name in names))


@contextmanager
def reserved_name(content: str | None, style: str, former: Path | None = None) -> Iterator[Path]:
    """Yield a default name in the current folder that no file has, and no other process uses.

    It is `former`, the name in a run that is resumed, unless another process uses that. Raises
    OutputError if no lock can be made there.
    """
    for path in chain([former] if former else [], _default_names(content, style)):
        with ExitStack() as stack:
            try:
                stack.enter_context(held_lock(private_lock(path)))
            except Timeout:
                continue
            except OSError as error:
                raise OutputError(
                    f"{path}: the folder cannot be written to ({error.strerror})"
                ) from None
            if path == former or not path.exists():
                yield path
                return


def _default_names(content: str | None, style: str) -> Iterator[Path]:
    stem = result_stem(content, style)
    yield Path(f"{stem}.png")
    for number in count(2):
        yield Path(f"{stem}-{number}.png")


def write_outputs(
    result: Result,
    outputs: Sequence[Output],
    snapshots: Iterable[Snapshot] = (),
    listener: Listener = ignore,
    on_written: Callable[[Path], None] = ignore,
) -> None:
    """Write every output, call `on_written` for each, and raise the first failure at the end.

    An output that fails does not stop the others. If no output could be written, the result is
    rescued: it is saved in the system's folder for temporary files, and the error names the file.
    """
    first_failure: StylectlError | None = None
    written = 0
    for output in outputs:
        failure = write_output(result, output, snapshots, listener)
        first_failure = first_failure or failure
        if failure is None:
            written += 1
            on_written(output.path)
    if first_failure and not written and (path := _rescue(result, outputs, snapshots)):
        raise first_failure.reworded(f"{first_failure}; the result is rescued in {path}")
    if first_failure:
        raise first_failure


def write_output(
    result: Result,
    output: Output,
    snapshots: Iterable[Snapshot] = (),
    listener: Listener = ignore,
) -> StylectlError | None:
    """Write an output; return the failure, or None."""
    if result.alpha is not None and not output.spec.keeps_alpha:
        listener(Notice(f"{output.path}: {output.path.suffix} holds no transparency"))
    if result.job.color_profile == "keep" and not getattr(output.writer, "keeps_profile", False):
        listener(Notice(f"{output.path}: {output.path.suffix} is sRGB, without a profile"))
    try:
        _write(result, output, snapshots)
    except StylectlError as error:
        return error
    except OSError as error:
        return OutputError(f"{output.path}: cannot be written ({error.strerror or error})")
    except (Exception, SystemExit) as error:  # a plugin's writer may raise anything
        return PluginError(f"{output.path}: {output.label} failed: {error_line(error)}")
    return None


def _rescue(
    result: Result, outputs: Sequence[Output], snapshots: Iterable[Snapshot]
) -> Path | None:
    """Save the result in a temporary folder; return the file, or None if that fails as well.

    The file has the format of the first output that can be written there, or else is a bare array.
    """
    try:
        folder = Path(tempfile.mkdtemp(prefix="stylectl-"))
    except OSError:
        return None
    for output in outputs:
        elsewhere = replace(output, path=folder / output.path.name)
        with suppress(Exception):  # a plugin's writer may raise anything
            _write(result, elsewhere, snapshots)
            return elsewhere.path
    array = folder / "result.npy"
    with suppress(OSError):
        with whole_file(array) as file:
            np.save(file, result.image)
        return array
    shutil.rmtree(folder, ignore_errors=True)
    return None


def _write(result: Result, output: Output, snapshots: Iterable[Snapshot]) -> None:
    """Write an output, and check the new file before it replaces an old one."""
    record = record_for(result, output.path.parent)
    with whole_file(output.path) as file:
        output.writer.write(
            WriteRequest(result=result, snapshots=snapshots, path=file, record=record)
        )
        status = file.lstat() if file.exists() else None
        if status is None or not stat.S_ISREG(status.st_mode):
            raise PluginError(f"{output.path}: {output.label} wrote no file")
        if status.st_size == 0:
            raise PluginError(f"{output.path}: {output.label} wrote an empty file")
        try:
            check_complete(file)
        except OutputError as error:
            raise error.reworded(f"{output.path}: cannot be written ({error})") from None


def _check_folder(path: Path, needed: int) -> None:
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
