from __future__ import annotations

import json
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from stylectl.core.errors import OutputError, StylectlError, UsageError
from stylectl.core.images.decoding import read_image
from stylectl.core.interfaces.events import Event, Notice
from stylectl.core.interfaces.result import Result, Snapshot, StepRecord
from stylectl.core.interfaces.specs import NoOptions, WriterArguments, WriterSpec
from stylectl.core.interfaces.writer import Writer, WriteRequest
from stylectl.core.job.building import build_job
from stylectl.core.job.model import Job
from stylectl.core.outputs.names import reserved_name
from stylectl.core.outputs.targets import Target, plan_outputs
from stylectl.core.outputs.writing import write_outputs
from stylectl.core.planning.registry import Registry
from stylectl.core.sizes.pyramid import Scale
from stylectl.plugins.manager import load_plugins

WIDTH, HEIGHT = 40, 30
EVERY_SUFFIX = [".png", ".jpg", ".jpeg", ".webp"]

#: Height and width of the planned picture.
SIZE = (48, 64)


class Halfway(Writer):
    """Writes half of a file, and then fails."""

    def __init__(self, error: Exception) -> None:
        self.error = error

    def write(self, request: WriteRequest) -> None:
        request.path.write_bytes(b"half of a pict")
        raise self.error


@pytest.fixture(autouse=True)
def temporary_files(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pictures that are rescued go where pytest cleans up."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path_factory.mktemp("temporary")))


@pytest.fixture
def registry() -> Registry:
    """The built-in writers, and some that fail half-way."""
    made = load_plugins().registry
    failures = {
        ".full": OSError(28, "No space left on device"),
        ".refused": OutputError("no such picture"),
        ".rogue": ValueError("a stranger's mistake"),
    }
    for suffix, error in failures.items():

        def create(arguments: WriterArguments[NoOptions], error: Exception = error) -> Writer:
            return Halfway(error)

        spec = WriterSpec(
            name=suffix[1:],
            summary="fails",
            suffixes=(suffix,),
            create=create,
            options=NoOptions,
        )
        made.writers.add(spec, "the test")
    return made


@pytest.fixture
def job() -> Job:
    return build_job({"size": 64})


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def result(job: Job) -> Result:
    gradient = np.linspace(0, 1, WIDTH, dtype=np.float32)
    image = np.stack([np.tile(gradient, (HEIGHT, 1))] * 3, axis=2)
    image[..., 2] = 0.25
    return Result(
        image=image,
        alpha=None,
        job=job,
        scales=(Scale(HEIGHT, WIDTH, 1),),
        steps=(StepRecord(0, 0, {"style": 2.0}, 0.1), StepRecord(0, 1, {"style": 1.0}, 0.2)),
        inputs={"sample:photo": "0" * 64},
        versions={"stylectl": "0.1.0"},
        backend="torch",
        device="cpu",
        details={},
        seconds=0.3,
        content=read_image("sample:photo"),
        styles=((read_image("sample:painting"), 1.0),),
    )


@pytest.fixture
def clear_result(result: Result) -> Result:
    """With the left half transparent."""
    alpha = np.ones((HEIGHT, WIDTH), np.float32)
    alpha[:, : WIDTH // 2] = 0
    return replace(result, alpha=alpha)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


# Before the work


@pytest.mark.parametrize(
    ("name", "hint"),
    [("out.pgn", ".png"), ("out.jpge", ".jp"), ("out.weebp", ".webp"), ("out", ".png")],
)
def test_an_unknown_suffix_brings_up_the_nearest(
    folder: Path, job: Job, registry: Registry, name: str, hint: str
) -> None:
    with pytest.raises(UsageError) as caught:
        plan_outputs([Path(name)], job, SIZE, registry)
    assert name in str(caught.value)
    assert hint in str(caught.value)


def test_a_suffix_may_be_in_capitals(folder: Path, job: Job, registry: Registry) -> None:
    (output,) = plan_outputs([Path("OUT.JPG")], job, SIZE, registry)
    assert output.spec.name == "jpeg"


@pytest.mark.parametrize(
    ("text", "path", "writer"),
    [
        ("out.png", "out.png", None),
        ("png:out.png", "out.png", "png"),
        ("demo-swatches:folder/out.gpl", "folder/out.gpl", "demo-swatches"),
        ("png:C:out.png", "C:out.png", "png"),
        ("png:a:b.png", "a:b.png", "png"),
        # A drive of Windows, and paths with colons.
        ("C:out.png", "C:out.png", None),
        (r"C:\pictures\out.png", r"C:\pictures\out.png", None),
        ("C:png:out.png", "C:png:out.png", None),
        ("./png:out.png", "png:out.png", None),
        ("/tmp/12:30.png", "/tmp/12:30.png", None),
        ("png:", "png:", None),
        (":out.png", ":out.png", None),
    ],
)
def test_an_output_may_begin_with_the_name_of_its_writer(
    text: str, path: str, writer: str | None
) -> None:
    assert Target.read(text) == Target(Path(path), writer)


def test_an_unknown_writer_of_an_output_brings_up_the_nearest_and_the_way_around(
    folder: Path, job: Job, registry: Registry
) -> None:
    with pytest.raises(UsageError, match=r"did you mean png\?.*\./pgn:out\.png"):
        plan_outputs([Target.read("pgn:out.png")], job, SIZE, registry)


def test_a_writer_keeps_to_its_suffixes(folder: Path, job: Job, registry: Registry) -> None:
    with pytest.raises(UsageError, match=r"tif:out\.png: the writer tif writes \.tif, \.tiff"):
        plan_outputs([Target.read("tif:out.png")], job, SIZE, registry)


def test_one_file_is_not_written_by_two_writers(folder: Path, job: Job, registry: Registry) -> None:
    with pytest.raises(UsageError, match="named twice"):
        plan_outputs([Target.read("png:out.png"), Path("out.png")], job, SIZE, registry)


def test_a_missing_folder_is_found(folder: Path, job: Job, registry: Registry) -> None:
    with pytest.raises(UsageError, match="there is no folder missing"):
        plan_outputs([Path("missing/out.png")], job, SIZE, registry)


def test_a_path_below_a_file_is_found(folder: Path, job: Job, registry: Registry) -> None:
    Path("file").touch()
    with pytest.raises(UsageError, match=r"file.out\.png: there is no folder"):
        plan_outputs([Path("file/out.png")], job, SIZE, registry)


def test_a_folder_that_cannot_be_written_to_is_found(
    folder: Path, job: Job, registry: Registry
) -> None:
    # Root may write to any folder of a file system; to /proc nobody may.
    if sys.platform == "linux":
        closed = Path("/proc")
    else:
        closed = folder / "closed"
        closed.mkdir(mode=0o500)
    with pytest.raises(OutputError, match="cannot be written to"):
        plan_outputs([closed / "out.png"], job, SIZE, registry)


def test_a_name_that_no_file_can_have_is_found(folder: Path, job: Job, registry: Registry) -> None:
    with pytest.raises(StylectlError):
        plan_outputs([Path("long" * 100 + ".png")], job, SIZE, registry)


def test_a_folder_as_output_is_found(folder: Path, job: Job, registry: Registry) -> None:
    Path("out.png").mkdir()
    with pytest.raises(UsageError, match=r"out\.png: the output is a folder"):
        plan_outputs([Path("out.png")], job, SIZE, registry)


@pytest.mark.parametrize("other", ["photo.png", "./photo.png", "sub/../photo.png", "link.png"])
@pytest.mark.parametrize("role", ["content", "style", "init"])
def test_an_input_is_not_overwritten(
    folder: Path, registry: Registry, other: str, role: str
) -> None:
    Path("photo.png").touch()
    Path("sub").mkdir()
    Path("link.png").symlink_to("photo.png")
    roles: dict[str, dict[str, Any]] = {
        "content": {"content": "photo.png", "styles": ["x.jpg"]},
        "style": {"content": "x.jpg", "styles": ["y.jpg", "photo.png"]},
        "init": {"init": "photo.png"},
    }
    with pytest.raises(UsageError, match="would overwrite an input"):
        plan_outputs([Path(other)], build_job(roles[role]), SIZE, registry)


@pytest.mark.parametrize("name", ["soft.png", "hard.png", "weights.png"])
def test_any_file_that_the_job_names_is_an_input(
    folder: Path, registry: Registry, name: str
) -> None:
    Path("photo.png").touch()
    Path("soft.png").symlink_to("photo.png")
    Path("hard.png").hardlink_to("photo.png")
    Path("net.pth").touch()
    Path("weights.png").hardlink_to("net.pth")
    job = build_job({"content": "photo.png", "styles": ["x.jpg"], "weights": "net.pth"})
    with pytest.raises(UsageError, match="would overwrite an input"):
        plan_outputs([Path(name)], job, SIZE, registry)


def test_the_shipped_samples_are_not_overwritten(
    folder: Path, job: Job, registry: Registry
) -> None:
    from stylectl.core.job.paths import SAMPLES

    with pytest.raises(UsageError, match="would overwrite an input"):
        plan_outputs([SAMPLES["sample:photo"]], job, SIZE, registry)


@pytest.mark.parametrize("other", ["out.png", "./out.png", "sub/../out.png"])
def test_an_output_named_twice_is_found(
    folder: Path, job: Job, registry: Registry, other: str
) -> None:
    Path("sub").mkdir()
    with pytest.raises(UsageError, match="named twice"):
        plan_outputs([Path("out.png"), Path("a.jpg"), Path(other)], job, SIZE, registry)


def test_a_picture_larger_than_the_format_is_found(
    folder: Path, job: Job, registry: Registry
) -> None:
    with pytest.raises(UsageError, match=r"\.webp holds at most 16383 px"):
        plan_outputs([Path("out.webp")], job, (300, 20000), registry)


def test_a_failed_check_leaves_nothing(folder: Path, job: Job, registry: Registry) -> None:
    with pytest.raises(UsageError):
        plan_outputs([Path("good.png"), Path("bad.xyz")], job, SIZE, registry)
    assert names(folder) == []


def test_a_good_check_leaves_nothing_and_keeps_what_is_there(
    folder: Path, job: Job, registry: Registry
) -> None:
    Path("out.png").write_text("old")
    plan_outputs([Path("out.png")], job, SIZE, registry)
    assert names(folder) == ["out.png"]
    assert Path("out.png").read_text() == "old"


# Writing


def write(result: Result, registry: Registry, *outputs: str) -> list[Event]:
    heard: list[Event] = []
    planned = plan_outputs([Path(name) for name in outputs], result.job, SIZE, registry)
    write_outputs(result, planned, listener=heard.append)
    return heard


@pytest.mark.parametrize("suffix", EVERY_SUFFIX)
def test_a_written_picture_opens_again(
    folder: Path, result: Result, registry: Registry, suffix: str
) -> None:
    write(result, registry, f"out{suffix}")
    with Image.open(f"out{suffix}") as image:
        assert image.size == (WIDTH, HEIGHT)
        assert image.mode == "RGB"
        pixels = np.asarray(image).astype(float)
    assert names(folder) == [f"out{suffix}"]
    tolerance = 0.5 if suffix == ".png" else 12  # lossy formats
    assert np.abs(pixels - 255 * result.image).max() <= tolerance


@pytest.mark.parametrize("suffix", [".png", ".webp"])
def test_transparency_is_kept(
    folder: Path, clear_result: Result, registry: Registry, suffix: str
) -> None:
    assert write(clear_result, registry, f"out{suffix}") == []
    with Image.open(f"out{suffix}") as image:
        assert image.mode == "RGBA"
        alpha = np.asarray(image)[..., 3]
    assert (alpha[:, : WIDTH // 2] == 0).all()
    assert (alpha[:, WIDTH // 2 :] == 255).all()


def test_a_format_without_transparency_says_so(
    folder: Path, clear_result: Result, registry: Registry
) -> None:
    heard = write(clear_result, registry, "out.jpg")
    assert heard == [Notice("out.jpg: .jpg holds no transparency")]
    with Image.open("out.jpg") as image:
        assert image.size == (WIDTH, HEIGHT)


def test_a_png_carries_its_job(folder: Path, result: Result, registry: Registry) -> None:
    write(result, registry, "out.png")
    with Image.open("out.png") as image:
        image.load()
        text = getattr(image, "text")["stylectl"]  # noqa: B009 - a PNG's own attribute
    record = json.loads(text)
    assert record["job"]["size"] == 64
    assert record["final_loss"] == {"style": 1.0}


def test_paths_in_the_job_are_relative_to_the_pictures_folder(
    folder: Path, result: Result, registry: Registry
) -> None:
    Path("out").mkdir()
    moved = replace(result, job=build_job({"content": "photo.jpg", "styles": ["/abs/style.jpg"]}))
    write(moved, registry, "out/out.png")
    with Image.open("out/out.png") as image:
        image.load()
        job = json.loads(getattr(image, "text")["stylectl"])["job"]  # noqa: B009
    assert job["content"] == "../photo.jpg"
    assert job["styles"][0]["image"] == Path(os.path.relpath("/abs/style.jpg", "out")).as_posix()


FAILURES = [(".full", "No space left"), (".refused", "no such picture"), (".rogue", "mistake")]


@pytest.mark.parametrize(("suffix", "message"), FAILURES)
def test_a_failing_writer_leaves_the_old_file_and_no_other(
    folder: Path, result: Result, registry: Registry, suffix: str, message: str
) -> None:
    Path(f"out{suffix}").write_text("old")
    with pytest.raises(StylectlError, match=message):
        write(result, registry, f"out{suffix}")
    assert Path(f"out{suffix}").read_text() == "old"
    assert names(folder) == [f"out{suffix}"]


@pytest.mark.parametrize(("suffix", "message"), FAILURES)
def test_a_failing_writer_keeps_no_other_from_writing(
    folder: Path, result: Result, registry: Registry, suffix: str, message: str
) -> None:
    with pytest.raises(StylectlError, match=message):
        write(result, registry, "first.png", f"bad{suffix}", "last.jpg")
    assert names(folder) == ["first.png", "last.jpg"]


def test_the_first_failure_is_told(folder: Path, result: Result, registry: Registry) -> None:
    with pytest.raises(OutputError, match="No space left"):
        write(result, registry, "a.full", "b.refused", "c.png")
    assert names(folder) == ["c.png"]


@contextmanager
def smallest_files(size: int) -> Iterator[None]:
    """The system refuses to write more than `size` bytes to a file, as it does on a full disk."""
    import resource
    import signal

    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no limit of a file's size")
@pytest.mark.parametrize("suffix", EVERY_SUFFIX)
def test_a_disk_that_fills_up_leaves_the_old_file(
    folder: Path, result: Result, registry: Registry, suffix: str
) -> None:
    noise = np.random.default_rng(0).random((200, 200, 3), np.float32)
    planned = plan_outputs([Path(f"out{suffix}")], result.job, SIZE, registry)
    Path(f"out{suffix}").write_text("old")
    with smallest_files(2000), pytest.raises(OutputError, match="cannot be written"):
        write_outputs(replace(result, image=noise), planned)
    assert Path(f"out{suffix}").read_text() == "old"
    assert names(folder) == [f"out{suffix}"]


#: Every format that the built-in writers write, and their options.
EVERY_FORMAT: list[tuple[str, dict[str, dict[str, Any]]]] = [
    ("out.png", {}),
    ("out.png", {"png": {"bits": 16}}),
    ("out.jpg", {}),
    ("out.webp", {}),
    ("out.webp", {"webp": {"lossless": True}}),
    ("out.tif", {}),
    ("out.tif", {"tif": {"bits": 32}}),
    ("out.npy", {}),
    ("out.gif", {}),
    ("out.mp4", {}),
    ("out.html", {}),
    ("out.json", {}),
]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no limit of a file's size")
@pytest.mark.parametrize("part", [0.1, 0.6, 0.99])
@pytest.mark.parametrize(("name", "options"), EVERY_FORMAT)
def test_a_cut_file_replaces_nothing_in_any_format(
    folder: Path,
    result: Result,
    registry: Registry,
    name: str,
    options: dict[str, dict[str, Any]],
    part: float,
) -> None:
    random = np.random.default_rng(0)
    noisy = replace(result, image=random.random((60, 80, 3), np.float32))
    snapshots = [Snapshot(0, 1, 0.1, random.integers(0, 256, (60, 80, 3), np.uint8))]
    planned = plan_outputs([Path(name)], result.job, SIZE, registry, options)
    write_outputs(noisy, planned, snapshots)
    complete = Path(name).read_bytes()
    Path(name).write_text("old")
    with smallest_files(int(part * len(complete))), pytest.raises(OutputError, match=name):
        write_outputs(noisy, planned, snapshots)
    assert Path(name).read_text() == "old"
    assert names(folder) == [name]


class Careless(Writer):
    """Writes in one piece, and does not look how much was written."""

    def write(self, request: WriteRequest) -> None:
        descriptor = os.open(request.path, os.O_WRONLY | os.O_CREAT)
        os.write(descriptor, bytes(9000))
        os.close(descriptor)


class Cut(Writer):
    """Writes the first half of a PNG."""

    def write(self, request: WriteRequest) -> None:
        path = request.path
        Image.fromarray((255 * request.result.image).astype("uint8")).save(path, "PNG")
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


class Empty(Writer):
    def write(self, request: WriteRequest) -> None:
        request.path.touch()


@pytest.fixture
def careless(registry: Registry) -> Registry:
    writers: list[type[Writer]] = [Careless, Cut, Empty]
    for writer in writers:
        name = writer.__name__.lower()

        def create(arguments: WriterArguments[NoOptions], writer: type[Writer] = writer) -> Writer:
            return writer()

        spec = WriterSpec(
            name=name, summary="fails", suffixes=(f".{name}",), create=create, options=NoOptions
        )
        registry.writers.add(spec, "the test")
    return registry


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no limit of a file's size")
@pytest.mark.parametrize(
    ("suffix", "words"),
    [(".careless", "File too large"), (".cut", "damaged"), (".empty", "empty file")],
)
def test_what_a_plugin_writes_is_checked(
    folder: Path, result: Result, careless: Registry, suffix: str, words: str
) -> None:
    planned = plan_outputs([Path(f"out{suffix}")], result.job, SIZE, careless)
    Path(f"out{suffix}").write_text("old")
    with smallest_files(8192), pytest.raises(StylectlError, match=words):
        write_outputs(result, planned)
    assert Path(f"out{suffix}").read_text() == "old"
    assert names(folder) == [f"out{suffix}"]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no limit of a file's size")
def test_a_rescue_leaves_no_cut_array(folder: Path, result: Result, registry: Registry) -> None:
    planned = plan_outputs([Path("out.rogue")], result.job, SIZE, registry)
    with smallest_files(1000), pytest.raises(StylectlError, match=r"mistake$"):
        write_outputs(result, planned)
    assert names(Path(tempfile.gettempdir())) == []
    assert names(folder) == []


def test_a_folder_that_goes_away_is_an_output_error(
    folder: Path, result: Result, registry: Registry
) -> None:
    Path("sub").mkdir()
    planned = plan_outputs([Path("sub/out.png"), Path("out.jpg")], result.job, SIZE, registry)
    Path("sub").rmdir()
    with pytest.raises(OutputError, match=r"sub.out\.png: cannot be written"):
        write_outputs(result, planned)
    assert names(folder) == ["out.jpg"]


@pytest.mark.skipif(sys.platform == "win32", reason="permissions of Unix")
def test_others_may_read_the_file_as_the_umask_says(
    folder: Path, result: Result, registry: Registry
) -> None:
    before = os.umask(0o022)
    try:
        write(result, registry, "out.png")
    finally:
        os.umask(before)
    assert Path("out.png").stat().st_mode & 0o777 == 0o644


# Names for outputs that were not named


def test_a_default_name_has_both_images_names(folder: Path) -> None:
    with reserved_name("a/photo.jpg", "b/night.jpeg") as name:
        assert name == Path("photo_night.png")
    with reserved_name("sample:photo", "sample:painting") as name:
        assert name == Path("photo_painting.png")


@pytest.mark.parametrize("make", [Path.touch, Path.mkdir], ids=["file", "folder"])
def test_a_default_name_is_never_taken(folder: Path, make: Callable[[Path], None]) -> None:
    seen = set()
    for _ in range(4):
        with reserved_name("photo.jpg", "night.jpg") as name:
            assert not name.exists()
            assert name not in seen
            seen.add(name)
            make(name)


def test_two_runs_at_one_time_have_different_default_names(folder: Path) -> None:
    with reserved_name("photo.jpg", "night.jpg") as first:
        with reserved_name("photo.jpg", "night.jpg") as second:
            assert (first, second) == (Path("photo_night.png"), Path("photo_night-2.png"))
        with reserved_name("photo.jpg", "night.jpg") as third:
            assert third == second
    assert names(folder) == []


def test_a_resumed_run_keeps_its_default_name_unless_it_is_in_use(folder: Path) -> None:
    former = Path("photo_night.png")
    former.touch()
    with reserved_name("photo.jpg", "night.jpg", former) as first:
        assert first == former
        with reserved_name("photo.jpg", "night.jpg", former) as second:
            assert second == Path("photo_night-2.png")


def test_long_names_still_give_a_default_name(folder: Path) -> None:
    with reserved_name("p" * 200 + ".jpg", "n" * 200 + ".jpg") as name:
        name.touch()
        assert name.suffix == ".png"


def test_names_in_letters_of_several_bytes_give_a_name_that_fits(folder: Path) -> None:
    with reserved_name("写" * 60 + ".jpg", "画" * 60 + ".jpg") as name:
        name.touch()
    with reserved_name("写" * 60 + ".jpg", "画" * 59 + "家.jpg") as other:
        assert other != name
        other.touch()


def test_a_picture_that_could_be_written_nowhere_is_rescued(
    folder: Path, result: Result, registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = folder / "temporary"
    elsewhere.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(elsewhere))
    Path("sub").mkdir()
    planned = plan_outputs([Path("sub/out.png")], result.job, SIZE, registry)
    shutil.rmtree("sub")
    with pytest.raises(StylectlError, match="rescued in") as raised:
        write_outputs(result, planned)
    rescued = Path(str(raised.value).rpartition("rescued in ")[2])
    assert rescued.is_relative_to(elsewhere)
    with Image.open(rescued) as picture:
        assert picture.size == (result.image.shape[1], result.image.shape[0])


def test_a_broken_writer_loses_no_picture(folder: Path, result: Result, registry: Registry) -> None:
    planned = plan_outputs([Path("out.rogue")], result.job, SIZE, registry)
    with pytest.raises(StylectlError, match=r"mistake.*rescued in .*\.npy$") as raised:
        write_outputs(result, planned)
    rescued = Path(str(raised.value).rpartition("rescued in ")[2])
    assert np.array_equal(np.load(rescued), result.image)
    shutil.rmtree(rescued.parent)
