"""A video whose making is killed and stopped ten times, and ends with the undisturbed frames."""

from __future__ import annotations

import shlex
import signal
from hashlib import sha256
from random import Random

from PIL import Image

from .inputs.samples import with_images
from .judge import Attempt, Fault, damage, judged
from .place import Outcome, Place
from .server import Strike

_STRIKES = 10
_FRAMES, _SIDE = 6, 24
#: Part of an undisturbed run within which a strike comes.
_PART = 0.25
#: Frames of 64 px with the first layers of VGG-19; a checkpoint is made after each minute alone.
_FLAGS = (
    *("--size", "64", "--upscale", "--iterations", "10", "--frame-iterations", "5"),
    *("--style-layers", "relu1_1,relu2_1", "--content-layers", "relu2_1", "--device", "cpu"),
    *("--least-change", "0"),
)
#: Ends of a process that was killed, or stopped, and of one that had finished before.
_ENDS = (-signal.SIGKILL, 128 + signal.SIGINT, 128 + signal.SIGTERM, 0)


def attempt(random: Random, place: Place) -> Attempt:
    """Strike the same command ten times at random moments; compare the SHA-256 of its frames."""
    with_images(place)
    _with_frames(place)
    passes = random.choice(["1", "1", "2"])
    suffix = random.choice(["mp4", "mp4", "webm", "gif"])
    command = ("video", "frames", "painting.png", *_FLAGS, "--passes", passes)
    what = shlex.join(command)
    whole, output = f"whole.{suffix}", f"out.{suffix}"
    undisturbed = place.run(*command, "-o", whole)
    expected = _digests(place, whole)
    if undisturbed.code != 0 or len(expected) < _FRAMES:
        return Attempt(what, "failed", (_failed(undisturbed),))
    before = place.files()
    faults, kills = [], 0
    for _ in range(_STRIKES):
        outcome = place.run(*command, "-o", output, strikes=[_strike(random, undisturbed)])
        kills += outcome.code == -signal.SIGKILL
        faults += _after_a_strike(place, before, outcome, output)
    last = place.run(*command, "-o", output)
    ended = judged(what, place, before, last, [output], [f"{output}.work/*"])
    faults += ended.faults
    if last.code != 0:
        faults.append(_failed(last))
    elif _digests(place, output) != expected:
        faults.append(Fault("wrong", "the frames are not those of an undisturbed run"))
    left = [name for name in place.files() if name.endswith(".part")]
    faults += [Fault("wrong", f"{name} was left behind") for name in left + place.left_over()]
    return Attempt(what, ended.end, tuple(faults), kills)


def _with_frames(place: Place) -> None:
    """Put a clip of numbered images into the folder: parts of the photo, from left to right."""
    folder = place.work / "frames"
    folder.mkdir()
    with Image.open(place.work / "photo.png") as photo:
        for number in range(_FRAMES):
            part = photo.crop((2 * number, 0, 2 * number + _SIDE, _SIDE))
            part.save(folder / f"{number:03}.png")


def _strike(random: Random, undisturbed: Outcome) -> Strike:
    """Return a signal at a random moment, or at a random one of the file operations."""
    number = random.choice([signal.SIGKILL, signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
    # The frames so far are kept, so that a later run is shorter than the undisturbed one.
    if random.random() < 0.5:
        return Strike(number, seconds=random.uniform(0, _PART * undisturbed.ending.seconds))
    last = max(1, int(_PART * undisturbed.ending.operations))
    return Strike(number, operation=random.randint(1, last))


def _after_a_strike(
    place: Place, before: dict[str, str], outcome: Outcome, output: str
) -> list[Fault]:
    faults = []
    if outcome.code not in _ENDS:
        faults.append(_failed(outcome))
    if "Traceback" in outcome.stderr:
        faults.append(Fault("traceback", outcome.stderr[-700:]))
    if outcome.code > 0 and outcome.stderr.count("interrupted") != 1:
        faults.append(Fault("wrong", f"not one line on the stop: {outcome.stderr[-300:]!r}"))
    after = place.files()
    faults += [
        Fault("lost", f"{name} was changed or deleted")
        for name, digest in before.items()
        if after.get(name) != digest
    ]
    if output in after and (reason := damage(place.work / output)):
        faults.append(Fault("lost", f"a damaged {output}: {reason}"))
    return faults


def _digests(place: Place, output: str) -> dict[str, str]:
    """Return the SHA-256 of the finished frames, by their names."""
    folder = place.work / f"{output}.work"
    return {
        f"{file.parent.name}/{file.name}": sha256(file.read_bytes()).hexdigest()
        for file in sorted(folder.glob("*/results/*/*.png"))
    }


def _failed(outcome: Outcome) -> Fault:
    return Fault("wrong", f"exit code {outcome.code}: {outcome.stderr[-300:]!r}")
