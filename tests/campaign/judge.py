"""What every run of the program must keep to, whatever it is given."""

from __future__ import annotations

import hashlib
import json
import re
import signal
import struct
import warnings
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Literal

import av
import numpy as np
from PIL import Image, ImageSequence

from .place import Outcome, Place

FaultKind = Literal["lost", "traceback", "hang", "wrong"]
End = Literal["finished", "failed", "refused", "stopped"]

#: Exit code -> how a run ended.
_ENDS: dict[int, End] = {0: "finished", 1: "failed", 2: "refused"}
#: Exit codes of a run that a signal stopped.
STOPPED = {128 + number for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
#: Longest line on stderr: that of an error (`tools/console/exit.py`), with its beginning.
_LONGEST_LINE = 4100
#: Most memory of a run of these sizes, in bytes: three times what the largest of them holds.
_MOST_MEMORY = 3_000_000_000
#: Name of a file that no run may make; what is executed would.
CANARY = "canary"


@dataclass(frozen=True)
class Fault:
    """A fault of the program: a file that is lost, a traceback, a hang, or anything else wrong."""

    kind: FaultKind
    text: str


@dataclass(frozen=True)
class Attempt:
    """What was tried and how it ended, the faults and kills on the way.

    - `message`: the last line on stderr.
    - `notes`: lines that the campaign prints.
    """

    what: str
    end: End
    faults: tuple[Fault, ...] = ()
    kills: int = 0
    message: str = ""
    notes: tuple[str, ...] = ()


def judged(
    what: str,
    place: Place,
    before: Mapping[str, str],
    outcome: Outcome,
    outputs: Collection[str] = (),
    optional: Collection[str] = (),
    stops: Collection[int] = (),
) -> Attempt:
    """Return the attempt with the faults of one run.

    - `before`: the files in the folder before the run (`Place.files`).
    - `outputs`: the files that it makes or replaces if it finishes.
    - `optional`: patterns of further files that it may make.
    - `stops`: exit codes beside 0, 1 and 2.
    """
    faults = [
        *_faults_of_process(outcome, stops),
        *_faults_of_messages(outcome),
        *_faults_of_files(place, before, outcome.code, outputs, optional),
    ]
    faults += [Fault("wrong", f"{name} was left in TMPDIR") for name in place.temporary()]
    if any(place.root.rglob(CANARY)):
        faults.append(Fault("wrong", "code of an untrusted file was executed"))
    message = (outcome.stderr.splitlines() or [""])[-1]
    return Attempt(what, _ENDS.get(outcome.code, "stopped"), tuple(faults), message=message)


def _faults_of_process(outcome: Outcome, stops: Collection[int]) -> list[Fault]:
    faults = []
    ending = outcome.ending
    if ending.hung:
        faults.append(Fault("hang", f"no end after {ending.seconds:.0f} s"))
    elif ending.code not in (*_ENDS, *stops):
        faults.append(Fault("wrong", f"exit code {ending.code}: {outcome.stderr[-300:]!r}"))
    if ending.connections:
        faults.append(Fault("wrong", "a connection to the network was opened"))
    if ending.memory > _MOST_MEMORY:
        faults.append(Fault("wrong", f"{ending.memory / 1e9:.1f} GB of memory"))
    return faults


def _faults_of_messages(outcome: Outcome) -> list[Fault]:
    faults = []
    if "Traceback (most recent" in outcome.stderr + outcome.stdout:
        faults.append(Fault("traceback", outcome.stderr[-700:]))
        return faults
    lines = outcome.stderr.split("\n")
    for line in lines:
        if line and not line.startswith("stylectl: "):
            faults.append(Fault("wrong", f"a line that is not the program's own: {line[:300]!r}"))
            break
    # What the terminal's encoding lacks is shown as an escape, which counts once.
    longest = max(len(re.sub(r"\\(u[0-9a-f]{4}|x[0-9a-f]{2})", "?", line)) for line in lines)
    if longest > _LONGEST_LINE:
        faults.append(Fault("wrong", f"a message of {longest} characters"))
    raw = {sign for sign in outcome.stderr + outcome.stdout if not sign.isprintable()} - {"\n"}
    if raw:
        faults.append(Fault("wrong", f"control characters reach the terminal: {raw}"))
    if outcome.code in (1, 2) and not outcome.stderr.strip():
        faults.append(Fault("wrong", f"exit code {outcome.code} without a message"))
    return faults


def _faults_of_files(
    place: Place,
    before: Mapping[str, str],
    code: int,
    outputs: Collection[str],
    optional: Collection[str],
) -> list[Fault]:
    after, faults = place.files(), []
    for name, digest in before.items():
        changed = after.get(name) != digest
        if changed and (name not in outputs or name not in after):
            faults.append(Fault("lost", f"{name} was changed or deleted"))
        elif changed and (reason := damage(place.work / name)):
            faults.append(Fault("lost", f"{name} was replaced by a damaged file: {reason}"))
    for name in after.keys() - before.keys():
        if name in outputs:
            if reason := damage(place.work / name):
                faults.append(Fault("wrong", f"{name} is damaged: {reason}"))
        elif not any(fnmatchcase(name, pattern) for pattern in optional):
            faults.append(Fault("wrong", f"{name} was left behind"))
    if code == 0:
        missing = [name for name in outputs if not (place.work / name).is_file()]
        faults += [Fault("wrong", f"exit code 0 without {name}") for name in missing]
    return faults


def damage(file: Path) -> str | None:
    """Return what is wrong with a file that the program wrote, read to its end; None: nothing."""
    try:
        digest_of_pixels(file)
    except Exception as error:  # a reader may raise anything
        return f"{type(error).__name__}: {error}"
    return None


def digest_of_pixels(file: Path) -> str:
    """Return the SHA-256 of the pixels of a file that the program wrote, of all its frames."""
    digest = hashlib.sha256()
    match file.suffix.lower():
        case ".npy":
            digest.update(np.load(file, allow_pickle=False).tobytes())
        case ".json":
            json.loads(file.read_text("utf-8"))
        case ".mp4":
            _check_boxes(file.read_bytes())
            digest.update(file.read_bytes())
        case ".webm":
            with av.open(str(file)) as container:
                for picture in container.decode(video=0):
                    digest.update(picture.to_ndarray(format="rgb24").tobytes())
        case ".html":
            if not file.read_text("utf-8").rstrip().endswith("</html>"):
                raise ValueError("its end is missing")
        case _:
            with warnings.catch_warnings(), Image.open(file) as image:
                warnings.simplefilter("ignore")
                for frame in ImageSequence.Iterator(image):
                    digest.update(frame.tobytes())
    return digest.hexdigest()


def _check_boxes(film: bytes) -> None:
    """Check that a film consists of whole boxes (ISO 14496-12), its index among them."""
    kinds, at = [], 0
    while at < len(film):
        length, kind = struct.unpack_from(">I4s", film, at)
        if length < 8:
            raise ValueError(f"a box of {length} bytes")
        kinds.append(kind)
        at += length
    if at != len(film) or kinds[0] != b"ftyp" or b"moov" not in kinds:
        raise ValueError(f"its boxes {kinds} end at byte {at} of {len(film)}")
