"""What a job from a file may do, and what only the user may."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from stylectl.core.errors import UsageError
from stylectl.core.job.model import DEFAULT_MAX_PIXELS, Job
from stylectl.core.job.paths import JobFile
from stylectl.core.planning.job_files import make_job
from stylectl.core.planning.registry import Registry
from stylectl.plugins.manager import load_plugins
from stylectl.tools.queue.manifest import manifest_tasks
from stylectl.tools.queue.tasks import TaskMaker

LARGE = DEFAULT_MAX_PIXELS + 1


@pytest.fixture(scope="module")
def registry() -> Registry:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("STYLECTL_PLUGINS", "")
        return load_plugins().registry


def made(registry: Registry, file: dict[str, Any], **options: Any) -> Job:
    return make_job(options, registry, JobFile(file, Path()))


def test_a_file_may_lower_the_limits(registry: Registry) -> None:
    job = made(registry, {"max_pixels": 1000, "max_memory": "1GB"})
    assert (job.max_pixels, job.max_memory) == (1000, "1GB")
    assert made(registry, {"max_pixels": DEFAULT_MAX_PIXELS}).max_pixels == DEFAULT_MAX_PIXELS


@pytest.mark.parametrize("value", [LARGE, float(LARGE), str(LARGE)])
def test_a_file_may_not_raise_the_limit_of_pixels(registry: Registry, value: object) -> None:
    with pytest.raises(UsageError, match=f"allow them with `max_pixels={LARGE}`"):
        made(registry, {"max_pixels": value})


def test_the_user_may_raise_it(registry: Registry) -> None:
    assert made(registry, {"max_pixels": LARGE}, max_pixels=LARGE).max_pixels == LARGE
    assert made(registry, {"max_pixels": LARGE}, max_pixels=9).max_pixels == 9
    assert make_job({"max_pixels": LARGE}, registry).max_pixels == LARGE
    job = Job.from_preset(max_pixels=LARGE)
    assert job.replace(size=64).max_pixels == LARGE


@pytest.mark.parametrize("path", ["//host/share/a.jpg", r"\\host\share\a.jpg", "/dev/stdin"])
@pytest.mark.parametrize(
    "file",
    [
        lambda path: {"content": path},
        lambda path: {"styles": [path]},
        lambda path: {"styles": [{"image": "a.jpg", "mask": path}]},
        lambda path: {"content_mask": path},
        lambda path: {"regions": {"content": path, "styles": ["b.png"]}},
        lambda path: {"init": {"name": "file", "path": path}},
        lambda path: {"backbone": {"weights": path + ".pth"}},
        lambda path: {"backbone": {"name": "onnx", "model": path}},
    ],
)
def test_a_path_of_another_machine_is_not_opened(registry: Registry, file: Any, path: str) -> None:
    with pytest.raises(UsageError, match="on another machine or a device; to open it, name it"):
        made(registry, file(path))


def test_the_user_may_name_such_a_path(registry: Registry) -> None:
    path = "//host/share/a.jpg"
    assert made(registry, {"content": path}, content=path).content == path
    assert made(registry, {"content": path}, content="b.jpg").content == "b.jpg"
    assert make_job({"content": path}, registry).content == path
    job = made(registry, {"init": "noise"}, init=path)
    assert job.start_path == path


def test_a_manifest_is_the_users_own(
    registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("a.png", "b.png"):
        Image.new("RGB", (32, 32)).save(name)
    Path("m.csv").write_text(f"content,style,output,max_pixels\na.png,b.png,c.png,{LARGE}\n")
    Path("m.toml").write_text(
        f'[[pictures]]\ncontent = "a.png"\nstyles = ["b.png"]\nmax_pixels = {LARGE}\n'
    )
    for name in ("m.csv", "m.toml"):
        (task,) = manifest_tasks(Path(name), Path("out"), {}, TaskMaker(registry))
        assert task.job.max_pixels == LARGE


def test_the_options_of_a_choice_without_a_name_are_those_of_the_presets(
    registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    weights = {"backbone": {"weights": "net.pth"}}
    job = make_job({}, registry, JobFile(weights, Path("jobs")))
    assert job.backbone.options["weights"] == "jobs/net.pth"
    # A later file has the choice of the file before it.
    vgg16 = JobFile({"backbone": "vgg16"}, Path("jobs"))
    job = make_job({}, registry, vgg16, entry=JobFile(weights, Path("lists")))
    assert job.backbone.name == "vgg16"
    assert job.backbone.options == {"weights": "lists/net.pth"}
    model = {"backbone": {"model": "densenet121"}}
    torchvision = JobFile({"backbone": "torchvision:vgg11"}, Path("jobs"))
    job = make_job({}, registry, torchvision, entry=JobFile(model, Path("lists")))
    assert job.backbone.options == {"model": "densenet121"}
