"""The sample pair that ships with the package."""

from __future__ import annotations

from pathlib import Path

_FOLDER = Path(__file__).parent.parent.parent / "examples"

#: Name in a job -> file.
SAMPLES = {
    "sample:photo": _FOLDER / "photo.jpg",
    "sample:painting": _FOLDER / "painting.jpg",
}
