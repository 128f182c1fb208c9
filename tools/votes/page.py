"""The page for votes: one HTML file without external resources."""

from __future__ import annotations

import base64
import hashlib
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from PIL import Image

from ...core.errors import OutputError, UsageError
from ...core.files import check_is_no_input, check_output, whole_file
from ...core.images.alpha import without_hidden_colors
from ...core.images.decoding import read_image
from ...core.images.reduction import AtSizes
from ...core.sizes.fitting import fit
from .contest import Entry

_TEMPLATE = Path(__file__).with_name("page.html.j2")
#: Long side of the content image and the style image, which are shown small, in pixels.
_BESIDE_SIDE = 320
#: JPEG at this quality, with all of its color, hides no grain.
_QUALITY = 95
#: Most bytes of a page, which browsers open at once.
_MOST_BYTES = 100 * 2**20


def write_page(entries: Sequence[Entry], output: Path, size: int) -> int:
    """Write the page and return the number of comparisons.

    The pictures are embedded with a long side of `size` pixels at most. Raises UsageError for a
    page of more than 100 MiB, ImageError for a file that cannot be used, and OutputError.
    """
    check_output(output)
    inputs = [path for entry in entries for path in _files(entry)]
    check_is_no_input([output], inputs)
    contest = _contest(entries, size)
    page = _rendered(contest)
    try:
        with whole_file(output) as temporary:
            # File names may hold bytes that are not text.
            temporary.write_text(page, encoding="utf-8", errors="replace")
    except OSError as error:
        raise OutputError(f"{output}: cannot be written ({error.strerror})") from None
    return len(contest["comparisons"])


def _files(entry: Entry) -> list[Path]:
    beside = [path for path in (entry.content, entry.style) if path is not None]
    return [*entry.results.values(), *beside]


def _contest(entries: Sequence[Entry], size: int) -> dict[str, Any]:
    """Return what the page's program reads: pictures by number, and comparisons of them."""
    pictures: list[str] = []

    def embedded(path: Path | None, side: int) -> int | None:
        if path is None:
            return None
        pictures.append(_data_uri(path, side))
        if sum(map(len, pictures)) > _MOST_BYTES:
            raise UsageError(
                f"the page would have more than {_MOST_BYTES // 2**20} MiB; "
                f"choose a smaller --size than {size}, or fewer pairs for each page"
            )
        return len(pictures) - 1

    comparisons = []
    for entry in entries:
        content = embedded(entry.content, min(size, _BESIDE_SIDE))
        style = embedded(entry.style, min(size, _BESIDE_SIDE))
        numbers = {name: embedded(path, size) for name, path in entry.results.items()}
        comparisons += [
            {
                "pair": entry.name,
                "methods": methods,
                "pictures": [numbers[method] for method in methods],
                "content": content,
                "style": style,
            }
            for methods in entry.comparisons
        ]
    key = hashlib.sha256(repr((comparisons, pictures)).encode(errors="replace")).hexdigest()[:16]
    return {"key": key, "pictures": pictures, "comparisons": comparisons}


def _data_uri(path: Path, side: int) -> str:
    source = without_hidden_colors(
        read_image(str(path), use=AtSizes(lambda size: [fit(size, side)]))
    )
    image: Image.Image = source.rgb_at(*fit(source.size, side))
    data = io.BytesIO()
    image.save(data, "JPEG", quality=_QUALITY, subsampling=0)
    return f"data:image/jpeg;base64,{base64.b64encode(data.getvalue()).decode()}"


def _rendered(contest: dict[str, Any]) -> str:
    from jinja2 import Environment, StrictUndefined

    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    template = environment.from_string(_TEMPLATE.read_text(encoding="utf-8"))
    return template.render(contest=contest)
