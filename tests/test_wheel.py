"""The real wheel, in a real virtual environment: alone, with the example plugin beside it, and
with a plugin that it wrote itself."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import venv
import zipfile
from dataclasses import dataclass
from pathlib import Path

import pytest
from PIL import Image

pytestmark = pytest.mark.subprocess

ROOT = Path(__file__).parent.parent
PACKAGES = ("core", "backends", "plugins", "tools")


@dataclass(frozen=True)
class Environment:
    """A virtual environment, and the folder that its programs are run in."""

    scripts: Path
    packages: Path
    folder: Path

    def install(self, wheel: Path) -> None:
        options = ["--no-deps", "--no-index", "--force-reinstall"]
        self.run("python", "-m", "pip", "install", *options, str(wheel))

    def run(self, program: str, *arguments: str, **more: str) -> str:
        variables = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
        variables.pop("STYLECTL_PLUGINS", None)
        variables |= more
        done = subprocess.run(
            [self.scripts / program, *arguments],
            capture_output=True,
            text=True,
            cwd=self.folder,
            env=variables,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout


def built(source: Path, folder: Path) -> Path:
    """The wheel of a copy of `source`."""
    copy = folder / "source"
    unwanted = shutil.ignore_patterns(".*", "build", "dist", "*.egg-info", "__pycache__")
    shutil.copytree(source, copy, ignore=unwanted)
    # Without isolation, which would fetch setuptools from the network.
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder)]
    subprocess.run([*command, str(copy)], check=True, capture_output=True)
    (wheel,) = folder.glob("*.whl")
    return wheel


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return built(ROOT, tmp_path_factory.mktemp("wheel"))


@pytest.fixture
def environment(wheel: Path, tmp_path: Path) -> Environment:
    """With nothing but the project's wheel in it."""
    home = tmp_path / "environment"
    venv.create(home, with_pip=True)
    variables = {"base": str(home), "platbase": str(home)}
    scripts = Path(sysconfig.get_path("scripts", "venv", variables))
    packages = Path(sysconfig.get_path("purelib", "venv", variables))
    # The dependencies come from the tests' own environment: no network, no second torch.
    (packages / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    folder = tmp_path / "work"
    folder.mkdir()
    made = Environment(scripts, packages, folder)
    made.install(wheel)
    return made


def test_the_wheel_holds_every_module_and_no_tests(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    maintenance = ROOT / "tools" / "maintenance"
    modules = [
        path
        for package in PACKAGES
        for path in (ROOT / package).rglob("*.py")
        if not path.is_relative_to(maintenance)
    ]
    expected = {f"stylectl/{path.relative_to(ROOT).as_posix()}" for path in modules}
    assert expected | {"stylectl/testing.py"} <= set(names)
    unwanted = ("stylectl/tests/", "stylectl/tools/maintenance/")
    assert not [name for name in names if name.startswith(unwanted) or "/.venv/" in name]


def test_the_wheel_holds_weights_samples_template_and_licenses(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    for name in (
        "stylectl/plugins/backbones/vgg19_oxford.safetensors",
        "stylectl/examples/photo.jpg",
        "stylectl/examples/painting.jpg",
        "stylectl/examples/stylectl-plugin-demo/pyproject.toml",
        "stylectl/examples/stylectl-plugin-demo/tests/test_journal.py",
        "stylectl/plugins/writers/report.html.j2",
        "stylectl/tools/votes/page.html.j2",
        "stylectl/py.typed",
    ):
        assert name in names
    for name in ("LICENSE", "NOTICE"):
        assert [found for found in names if found.endswith(f".dist-info/licenses/{name}")]


def test_the_wheel_paints_the_sample_pair_in_an_environment_of_its_own(
    environment: Environment,
) -> None:
    where = environment.run("python", "-c", "import stylectl; print(stylectl.__file__)")
    assert Path(where.strip()).is_relative_to(environment.packages)
    environment.run("stylectl", "run", "--size", "64", "--iterations", "3", "-o", "out.png")
    with Image.open(environment.folder / "out.png") as picture:
        assert picture.size == (64, 43)


def test_the_example_plugin_brings_a_term_a_backbone_and_a_writer(
    environment: Environment, tmp_path: Path
) -> None:
    wheel = built(ROOT / "examples" / "stylectl-plugin-demo", tmp_path / "demo")
    # No network; the dependencies are there.
    offline = {"PIP_NO_INDEX": "1", "PIP_NO_DEPS": "1", "PIP_FIND_LINKS": str(wheel.parent)}
    install = ("stylectl", "plugins", "install", "--yes")
    said = environment.run(*install, "stylectl-plugin-demo>=0.1", **offline)
    assert "-m pip install 'stylectl-plugin-demo>=0.1' stylectl==" in said
    assert "demo (stylectl-plugin-demo 0.1.0), loaded" in said.splitlines()
    assert "  writer demo-swatches" in said.splitlines()
    assert said.splitlines()[-1] == "  hook stylectl_step"
    listed = json.loads(environment.run("stylectl", "list", "--json"))
    (record,) = [row for row in listed["plugins"] if row["name"] == "demo"]
    assert (record["distribution"], record["version"]) == ("stylectl-plugin-demo", "0.1.0")
    assert record["state"] == "loaded"
    for kind, name in (
        ("terms", "demo-palette"),
        ("backbones", "demo-filters"),
        ("writers", "demo-swatches"),
        ("backends", "demo-autograd"),
    ):
        (row,) = [row for row in listed[kind] if row["name"] == name]
        assert row["from"] == "the plugin demo (stylectl-plugin-demo 0.1.0)"
    report = environment.run(
        "stylectl",
        "run",
        *("--size", "64", "--iterations", "4", "--json", "--backbone", "demo-filters"),
        *("--term", "demo-palette=20:colors=4", "--writer", "demo-swatches:colors=5"),
        *("-o", "out.png", "-o", "out.gpl"),
    )
    made = json.loads(report)
    assert made["final_loss"]["demo-palette"] < made["initial_loss"]["demo-palette"]
    swatches = (environment.folder / "out.gpl").read_text().splitlines()
    assert swatches[0] == "GIMP Palette"
    assert len(swatches) == 3 + 5
    job = environment.run("stylectl", "show", "out.png")
    assert 'name = "demo-filters"' in job
    assert "colors = 4" in job
    said = environment.run("stylectl", "plugins", "uninstall", "--yes", "demo")
    assert said.splitlines()[-1] == "removed stylectl-plugin-demo"
    again = environment.run(*install, str(wheel), **offline)
    assert "demo (stylectl-plugin-demo 0.1.0), loaded" in again.splitlines()


def test_a_new_plugin_builds_and_passes_its_own_tests(
    environment: Environment, tmp_path: Path
) -> None:
    environment.run("stylectl", "plugins", "new", "two-words")
    project = environment.folder / "stylectl-plugin-two-words"
    environment.install(built(project, tmp_path / "new"))
    texts = [file.read_text() for file in project.rglob("*.*")]
    assert "demo" not in "".join(texts)
    listed = json.loads(environment.run("stylectl", "list", "terms", "--json"))
    assert "two-words-palette" in [row["name"] for row in listed["terms"]]
    passed = environment.run("python", "-m", "pytest", "-p", "no:cacheprovider", str(project))
    assert " passed" in passed
