from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from stylectl import Task, UsageError
from stylectl.core.job.paths import JobFile
from stylectl.core.planning.registry import Registry
from stylectl.plugins.manager import load_plugins
from stylectl.tools.queue.manifest import manifest_tasks
from stylectl.tools.queue.tasks import TaskMaker


@pytest.fixture(scope="module")
def registry() -> Registry:
    return load_plugins().registry


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder; the manifest's is `m`, with three images in it."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "m").mkdir()
    for name in ("a.png", "b, c.png", "x.png"):
        Image.new("RGB", (32, 32)).save(tmp_path / "m" / name)
    return tmp_path


@pytest.fixture
def read(folder: Path, registry: Registry) -> Any:
    def tasks(
        text: str,
        suffix: str = ".csv",
        options: Mapping[str, Any] = {},
        file: Mapping[str, Any] | None = None,
    ) -> list[Task]:
        manifest = Path("m") / f"list{suffix}"
        manifest.write_text(text)
        return manifest_tasks(
            manifest,
            Path("out"),
            options,
            TaskMaker(registry, JobFile(file, Path()) if file else None),
        )

    return tasks


def test_masks_and_maps_are_found_beside_the_manifest(read: Any) -> None:
    masked, mapped = read(
        "content,style,output,style_mask,content_mask,regions\n"
        "a.png,x.png,one.png,x.png,a.png,\n"
        'a.png,x.png,two.png,,,"a.png,x.png"\n'
    )
    assert masked.job.styles[0].mask == "m/x.png"
    assert masked.job.content_mask == "m/a.png"
    assert (mapped.job.regions.content, mapped.job.regions.styles) == ("m/a.png", ("m/x.png",))


def test_a_toml_manifest_may_have_textures(read: Any) -> None:
    (texture,) = read('[[pictures]]\nsize = [48, 32]\nstyles = ["x.png"]\n', ".toml")
    assert texture.job.content is None
    assert texture.path == Path("out/x_texture.png")


def test_a_csv_line_is_a_picture_with_the_options_of_a_run(read: Any) -> None:
    first, second, third = read(
        "content,style,output,style-weight,style_layers,preset,init,strotss.weight\n"
        "a.png,x.png,,,,,,\n"
        '"b, c.png",x.png,mine.png,7,"relu1_1,relu2_1=",draft,content,5\n'.replace("=", "")
        + "\n"
        + "a.png, x.png ,start.png,,relu1_1=2,,x.png,\n"
    )
    assert first.path == Path("out/a_x.png")
    assert first.job.content == "m/a.png"
    assert first.job.styles[0].image == "m/x.png"
    assert second.path == Path("out/mine.png")
    terms = {term.name: term for term in second.job.terms}
    assert terms["style"].weight == 7
    assert set(terms["style"].layers) == {"relu1_1", "relu2_1"}
    assert terms["strotss"].weight == 5
    assert second.job.size == 256
    assert third.job.start_path == "m/x.png"
    assert "line 5" in third.label


def test_a_toml_table_is_a_job_file_in_small(read: Any) -> None:
    first, second = read(
        '[[pictures]]\ncontent = "a.png"\nstyles = ["x.png", "b, c.png"]\n'
        '[[pictures]]\npreset = "draft"\ncontent = "a.png"\nstyles = ["x.png"]\n'
        'output = "second.png"\noptimizer = { history = 7 }\n',
        ".toml",
    )
    assert [style.image for style in first.job.styles] == ["m/x.png", "m/b, c.png"]
    assert first.path == Path("out/a_x.png")
    assert second.path == Path("out/second.png")
    assert second.job.size == 256
    assert second.job.optimizer.options["history"] == 7


def test_a_job_file_lies_below_and_settings_above(read: Any) -> None:
    text = '[[pictures]]\ncontent = "a.png"\nsize = 40\niterations = 4\n'
    base = {"styles": ["sample:painting"], "size": 30, "scales": 3, "iterations": 3}
    (task,) = read(text, ".toml", {"iterations": 5}, base)
    assert (task.job.size, task.job.scales, task.job.iterations) == (40, 3, 5)
    assert task.job.styles[0].image == "sample:painting"


def test_everything_that_is_wrong_is_told_with_its_line(read: Any, folder: Path) -> None:
    with pytest.raises(UsageError) as caught:
        read(
            "content,style,output,size\n"
            "a.png,x.png,,\n"
            "nowhere.png,x.png,,\n"
            "a.png,,,\n"
            "a.png,x.png,up.jpg,\n"
            "a.png,x.png,../up.png,\n"
            "a.png,x.png,ok.png,huge\n"
            "a.png,x.png\n"
            "a.png,gone.png,,\n"
        )
    numbers_and_texts = re.split(r"m.list\.csv line (\d+): ", str(caught.value))
    assert numbers_and_texts[1::2] == [str(number) for number in range(3, 10)]
    told = numbers_and_texts[2::2]
    assert "m/nowhere.png: no such file" in told[0]
    assert "style" in told[1]
    assert "up.jpg" in told[2]
    assert "without folders" in told[3]
    assert "size" in told[4]
    assert "m/gone.png: no such file" in told[6]
    assert not (folder / "out").exists()


@pytest.mark.parametrize(
    ("text", "suffix", "words"),
    [
        ("content,stile\na,b\n", ".csv", ["line 1", "'stile'", "did you mean"]),
        ("content,styles\na,b\n", ".csv", ["line 1", "`style`"]),
        ("content,style,texture\na,b,c\n", ".csv", ["line 1", "TOML"]),
        ("content,style,size,size\n", ".csv", ["line 1", "twice"]),
        ("content\na.png\n", ".csv", ["line 1", "header"]),
        ("content,style\n", ".csv", ["no entries"]),
        ("", ".csv", ["line 1", "header"]),
        ('content,style\n"a.png,x.png\n', ".csv", ["not valid CSV"]),
        ("[[pictures]\n", ".toml", ["not a valid TOML"]),
        ("size = 3\n", ".toml", ["size", "--job"]),
        ("pictures = 3\n", ".toml", ["[[pictures]]"]),
        ("", ".toml", ["no entries"]),
        ('\n\n[[pictures]]\ncontent = "a.png"\n', ".toml", ["line 3", "names no styles"]),
        ('pictures = [{content = "a.png", style = "x"}]\n', ".toml", ["picture 1"]),
        (
            '[[pictures]]\ncontent = "a.png"\nstyles = ["gone.png", "lost.png"]\n',
            ".toml",
            ["line 1", "gone.png: no such file", "lost.png: no such file"],
        ),
        ("x", ".txt", [".csv or a .toml"]),
    ],
)
def test_manifests_that_cannot_be_used(read: Any, text: str, suffix: str, words: list[str]) -> None:
    with pytest.raises(UsageError) as caught:
        read(text, suffix)
    for word in words:
        assert word in str(caught.value)


def test_many_mistakes_are_counted(read: Any) -> None:
    with pytest.raises(UsageError, match="and 10 more"):
        read("content,style\n" + "nowhere.png,x.png\n" * 30)


def test_a_missing_manifest(folder: Path, registry: Registry) -> None:
    with pytest.raises(UsageError, match="no such manifest"):
        manifest_tasks(Path("none.csv"), Path("out"), {}, TaskMaker(registry))


def test_a_csv_may_leave_a_mask_out(read: Any) -> None:
    masked, bare = read(
        "content,style,output,style_mask\na.png,x.png,one.png,x.png\na.png,x.png,two.png,none\n"
    )
    assert masked.job.styles[0].mask == "m/x.png"
    assert bare.job.styles[0].mask is None


def test_paths_behind_dots_are_found_beside_the_manifest(read: Any) -> None:
    (started,) = read("content,style,init\na.png,x.png,x.png\n")
    assert started.job.start_path == "m/x.png"
    (started,) = read("content,style,init,init.path\na.png,x.png,a.png,x.png\n")
    assert started.job.start_path == "m/x.png"
    (named,) = read("content,style,init\na.png,x.png,noise\n")
    assert named.job.init.name == "noise"


def test_weights_are_found_beside_the_manifest(read: Any, folder: Path) -> None:
    (folder / "m" / "net.safetensors").touch()
    for column in ("weights", "backbone.weights"):
        (task,) = read(f"content,style,preprocessing,{column}\na.png,x.png,caffe,net.safetensors\n")
        assert task.job.backbone.options["weights"] == "m/net.safetensors"
