"""Default names of results, which no other process takes at the same time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from itertools import chain, count
from pathlib import Path

from filelock import Timeout

from ..errors import OutputError
from ..files import shortened
from ..leftovers import (
    held_lock,
    private_lock,
)


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
