"""The real wheel, in a real virtual environment."""

import os
import shutil
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest
from PIL import Image

ROOT = Path(__file__).parent.parent
PACKAGES = ("core", "backends", "plugins", "tools")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    unwanted = shutil.ignore_patterns(".*", "build", "dist", "*.egg-info", "__pycache__")
    shutil.copytree(ROOT, source, ignore=unwanted)
    # Without isolation, which would fetch setuptools from the network.
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder)]
    subprocess.run([*command, str(source)], check=True, capture_output=True)
    (built,) = folder.glob("stylectl-*.whl")
    return built


def test_the_wheel_holds_every_module_and_no_tests(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    modules = [path for package in PACKAGES for path in (ROOT / package).rglob("*.py")]
    expected = {f"stylectl/{path.relative_to(ROOT).as_posix()}" for path in modules}
    assert expected <= set(names)
    assert not [name for name in names if "/tests/" in name or "/.venv/" in name]


def test_the_wheel_holds_weights_samples_and_licenses(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    for name in (
        "stylectl/plugins/backbones/vgg19_oxford.safetensors",
        "stylectl/examples/photo.jpg",
        "stylectl/examples/painting.jpg",
        "stylectl/plugins/writers/report.html.j2",
        "stylectl/py.typed",
    ):
        assert name in names
    for name in ("LICENSE", "NOTICE"):
        assert [found for found in names if found.endswith(f".dist-info/licenses/{name}")]


def test_the_wheel_paints_the_sample_pair_in_an_environment_of_its_own(
    wheel: Path, tmp_path: Path
) -> None:
    home = tmp_path / "environment"
    venv.create(home, with_pip=True)
    variables = {"base": str(home), "platbase": str(home)}
    scripts = Path(sysconfig.get_path("scripts", "venv", variables))
    packages = Path(sysconfig.get_path("purelib", "venv", variables))
    # The dependencies come from the tests' own environment: no network, no second torch.
    (packages / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    install = ["-m", "pip", "install", "--no-deps", "--no-index", "--force-reinstall", str(wheel)]
    subprocess.run([scripts / "python", *install], check=True, capture_output=True)
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    where = subprocess.run(
        [scripts / "python", "-c", "import stylectl; print(stylectl.__file__)"],
        check=True,
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env=environment,
    )
    assert Path(where.stdout.strip()).is_relative_to(packages)
    subprocess.run(
        [scripts / "stylectl", "run", "--size", "64", "--iterations", "3", "-o", "out.png"],
        check=True,
        cwd=tmp_path,
        env=environment,
    )
    with Image.open(tmp_path / "out.png") as picture:
        assert picture.size == (64, 43)
