"""Processes that are killed and stopped at any moment, and then started again."""

from __future__ import annotations

import os
import re
import shlex
import signal
from random import Random

from .inputs.samples import with_copies, with_images
from .judge import STOPPED, Attempt, Fault, damage, digest_of_pixels, judged
from .place import Outcome, Place
from .server import Strike

#: Flags of a run of two scales, with the first layers of VGG-19.
_RUN = (
    *("--size", "48", "--scales", "2", "--iterations", "6", "--device", "cpu", "--upscale"),
    *("--style-layers", "relu1_1,relu2_1", "--content-layers", "relu2_1"),
)
#: The image alone: its record would have the seconds that the run took.
_PLAIN = ("--metadata", "none")


def attempt_kill(random: Random, place: Place) -> Attempt:
    """Kill a command up to four times, let it finish, and compare with an undisturbed run.

    It is killed at a random moment, or at a random one of its file operations. Sometimes the
    processes are started from cold, so that they are killed while they import.
    """
    command, outputs = _command(random, place)
    what, cold = shlex.join(command), random.random() < 0.1
    faults, whole, undisturbed = _undisturbed(place, command, outputs)
    if faults:
        return Attempt(what, "failed", tuple(faults))
    damaging = random.random() < 0.1
    old = random.random() < 0.5
    if old:
        with_copies(place, *outputs)
    before, kills = place.files(), 0
    for _ in range(random.randint(1, 4)):
        if cold:
            outcome = place.run_from_cold(*command, kill_after=random.uniform(0.05, 5))
        else:
            outcome = place.run(*command, strikes=[_moment(random, undisturbed, signal.SIGKILL)])
        kills += outcome.code == -signal.SIGKILL
        faults += _after_a_kill(place, before, outcome, outputs, whole)
        if damaging:
            _damage_checkpoints(random, place)
    last = place.run(*command)
    attempt = judged(what, place, before, last, outputs, ["*-cells/*"])
    faults += attempt.faults
    if last.code != 0:
        faults.append(Fault("wrong", f"exit code {last.code} after kills: {last.stderr[-300:]!r}"))
    else:
        faults += _differences(place, whole) if _tiles(last) == _tiles(undisturbed) else []
        # A checkpoint that cannot be read may be another version's, and stays.
        left = [
            name for name in place.left_over() if not (damaging and name.endswith("checkpoint"))
        ]
        faults += [Fault("wrong", f"{name} was left behind") for name in left]
    return Attempt(what, attempt.end, tuple(faults), kills)


def attempt_signal(random: Random, place: Place) -> Attempt:
    """Stop a command by one or two signals, then let the same command finish."""
    command, outputs = _command(random, place)
    what = shlex.join(command)
    faults, whole, undisturbed = _undisturbed(place, command, outputs)
    if faults:
        return Attempt(what, "failed", tuple(faults))
    numbers = random.choices(
        [signal.SIGINT, signal.SIGTERM, signal.SIGHUP], k=random.choice([1, 1, 2])
    )
    strikes = [_moment(random, undisturbed, number) for number in numbers]
    before = place.files()
    outcome = place.run(*command, strikes=strikes)
    allowed = STOPPED & {128 + number for number in numbers}
    attempt = judged(what, place, before, outcome, outputs, ["*-cells/*"], allowed)
    faults += attempt.faults
    if outcome.code in allowed:
        faults += _faults_of_words(place, outcome, outputs)
    last = place.run(*command)
    faults += judged(what, place, before, last, outputs, ["*-cells/*"]).faults
    if last.code != 0:
        faults.append(Fault("wrong", f"exit code {last.code} after a stop: {last.stderr[-300:]!r}"))
    else:
        faults += _differences(place, whole) if _tiles(last) == _tiles(undisturbed) else []
        faults += [Fault("wrong", f"{name} was left behind") for name in place.left_over()]
    return Attempt(f"{what}, {strikes}", attempt.end, tuple(faults), kills=outcome.code != 0)


def _command(random: Random, place: Place) -> tuple[tuple[str, ...], list[str]]:
    """Return a command, and its outputs."""
    with_images(place)
    optimizer, backend = random.choice(["lbfgs", "adam"]), random.choice(["torch", "onnx"])
    flags = [*_RUN, "--optimizer", optimizer, "--backend", backend]
    flags += ["--checkpoint-every", random.choice(["0", "0", "0.05s"])]
    both = ("photo.png", "painting.png")
    match random.choice(["run", "run", "run", "batch", "sweep"]):
        case "run":
            if random.random() < 0.3:
                flags += ["--size", "160", "--max-memory", _tiling(place, flags)]
            suffixes = random.sample(
                [".png", ".npy", ".gif", ".tif", ".jpg", ".webp"], random.randint(1, 2)
            )
            outputs = [f"out{suffix}" for suffix in suffixes]
            wanted = [part for output in outputs for part in ("-o", output)]
            return ("run", *both, *flags, *wanted, *_PLAIN), outputs
        case "batch":
            with_copies(place, "contents/a.png", "contents/b.png")
            images = ("--contents", "contents", "--styles", "painting.png")
            return ("batch", *images, *flags, "-o", "out"), [
                "out/a_painting.png",
                "out/b_painting.png",
            ]
    return ("sweep", *both, *flags, "--set", "seed=1,2", "-o", "sheet.png"), ["sheet.png"]


def _tiling(place: Place, flags: list[str]) -> str:
    """Return a limit of memory with which a result of 160 px is computed in tiles.

    It is half of what the result takes, above what the program itself holds, which its message
    states.
    """
    probe = place.run("run", *flags, "--size", "160", "--max-memory", "1MB", "-o", "probe.npy")
    held = re.search(r"holds (\d+) MB", probe.stderr)
    assert held, probe.stderr
    return f"{int(held[1]) + _HALF}MB"


#: Megabytes, as `--max-memory`.
_HALF = 16


def _undisturbed(
    place: Place, command: tuple[str, ...], outputs: list[str]
) -> tuple[list[Fault], dict[str, str], Outcome]:
    """Run a command without signals; return faults, the digests of its pixels, and the outcome."""
    before = place.files()
    outcome = place.run(*command)
    faults = list(judged("", place, before, outcome, outputs, ["*-cells/*"]).faults)
    if outcome.code != 0:
        faults.append(Fault("wrong", f"exit code {outcome.code}: {outcome.stderr[-300:]!r}"))
    made = [name for name in place.files() if name not in before]
    digests = {name: digest_of_pixels(place.work / name) for name in made}
    for name in made:
        (place.work / name).unlink()
    return faults, digests, outcome


def _moment(random: Random, undisturbed: Outcome, number: int) -> Strike:
    """Return a signal at a random moment of a run, or at one of its file operations."""
    if random.random() < 0.5:
        return Strike(number, seconds=random.uniform(0, 1.1 * undisturbed.ending.seconds))
    return Strike(number, operation=random.randint(1, undisturbed.ending.operations))


def _after_a_kill(
    place: Place,
    before: dict[str, str],
    outcome: Outcome,
    outputs: list[str],
    whole: dict[str, str],
) -> list[Fault]:
    """Return the faults after a kill."""
    faults = []
    if outcome.code not in (-signal.SIGKILL, 0):
        faults.append(Fault("wrong", f"exit code {outcome.code}: {outcome.stderr[-300:]!r}"))
    if "Traceback" in outcome.stderr:
        faults.append(Fault("traceback", outcome.stderr[-700:]))
    after = place.files()
    for name, digest in before.items():
        if name not in after or (after[name] != digest and name not in outputs):
            faults.append(Fault("lost", f"{name} was changed or deleted by a killed process"))
    for name in whole:
        if name in after and (reason := damage(place.work / name)):
            faults.append(Fault("lost", f"a killed process left a damaged {name}: {reason}"))
    return faults


def _damage_checkpoints(random: Random, place: Place) -> None:
    for file in place.state.rglob("checkpoint.safetensors"):
        data = file.read_bytes()
        file.write_bytes(
            random.choice([data[: random.randrange(max(1, len(data)))], b"", b"{}" * 999])
        )


def _tiles(outcome: Outcome) -> str:
    """Return the tiles that a run used: they depend on how much its process holds by chance."""
    return ", ".join(re.findall("tiles: (.*)", outcome.stderr))


def _differences(place: Place, whole: dict[str, str]) -> list[Fault]:
    """Return a fault for each output whose pixels are not those of the undisturbed run."""
    faults = []
    for name, digest in whole.items():
        file = place.work / name
        if not file.is_file() or digest_of_pixels(file) != digest:
            faults.append(Fault("wrong", f"{name} differs from that of an undisturbed run"))
    return faults


def _faults_of_words(place: Place, outcome: Outcome, outputs: list[str]) -> list[Fault]:
    """Return faults of the message of a stopped run: what is kept must be there."""
    faults = []
    said = [line for line in outcome.stderr.splitlines() if "is kept in" in line]
    for line in said:
        for name in outputs:
            if name in line and not os.path.isfile(place.work / name):  # noqa: PTH113
                faults.append(Fault("lost", f"{name} is said to be kept, and is not there"))
    if not said and "interrupted" not in outcome.stderr and "stopped" not in outcome.stderr:
        faults.append(Fault("wrong", f"nothing is said of the stop: {outcome.stderr[-300:]!r}"))
    return faults
