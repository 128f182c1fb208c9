from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
from importlib.metadata import version
from pathlib import Path

import pytest
from stylectl.core.errors import StylectlError, UsageError
from stylectl.tools.plugins.pip import Change, check_environment, installation, run, uninstallation

OWN = f"stylectl=={version('stylectl')}"

#: A distribution with one plugin, as pip leaves it in a folder of packages.
DISTRIBUTION = {
    "plugin_pastel.py": "",
    "stylectl_plugin_pastel-1.2.dist-info/METADATA": (
        "Metadata-Version: 2.1\nName: stylectl-plugin-pastel\nVersion: 1.2\n"
    ),
    "stylectl_plugin_pastel-1.2.dist-info/entry_points.txt": "[stylectl]\npastel = plugin_pastel\n",
}


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    site = tmp_path / "site"
    for name, text in DISTRIBUTION.items():
        (site / name).parent.mkdir(parents=True, exist_ok=True)
        (site / name).write_text(text)
    monkeypatch.syspath_prepend(str(site))
    monkeypatch.delenv("STYLECTL_PLUGINS_DIR", raising=False)
    return site


@pytest.mark.parametrize(
    ("name", "requirement", "distribution"),
    [
        ("pastel", "stylectl-plugin-pastel", "stylectl-plugin-pastel"),
        ("pastel>=1.2", "stylectl-plugin-pastel>=1.2", "stylectl-plugin-pastel"),
        ("stylectl-plugin-x>=1.2", "stylectl-plugin-x>=1.2", "stylectl-plugin-x"),
        ("Stylectl_Plugin.X", "Stylectl_Plugin.X", "stylectl-plugin-x"),
        ("stylectl-ink[gpu]<2,>1", "stylectl-ink[gpu]<2,>1", "stylectl-ink"),
        # Not the known package of that name.
        ("numpy", "stylectl-plugin-numpy", "stylectl-plugin-numpy"),
        (
            "stylectl-plugin-x @ git+https://example.org/x",
            "stylectl-plugin-x@ git+https://example.org/x",
            "stylectl-plugin-x",
        ),
    ],
)
def test_a_name_stands_for_a_distribution(name: str, requirement: str, distribution: str) -> None:
    change = installation(name)
    assert change.command[0] == sys.executable
    # Argument by argument, without a shell; and stylectl itself stays.
    assert change.command[-3:-1] == ("install", requirement.replace("x@ git", "x @ git"))
    assert change.command[-1] == OWN
    assert change.distribution == distribution
    assert requirement.split("@")[0].strip() in change.summary
    assert ("package index" in change.summary) == ("git+" not in name)


def test_a_wheel_and_a_projects_folder_are_installed_from_their_paths(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("stylectl_ink-1.0-py3-none-any.whl").touch()
    Path("folder", "project").mkdir(parents=True)
    Path("folder", "project", "pyproject.toml").write_text('[project]\nname = "Stylectl.Ink"\n')
    for name in ("stylectl_ink-1.0-py3-none-any.whl", "folder/project"):
        change = installation(name)
        assert change.command[-2] == os.path.join(os.curdir, name)  # noqa: PTH118
        assert change.distribution == "stylectl-ink"
    assert installation(str(tmp_path)).command[-2] == str(tmp_path)


@pytest.mark.parametrize(
    "name",
    ["-r", "--index-url=http://example.org", "", "a b", "./missing", "missing.whl", "x; rm -rf /"],
)
def test_what_is_neither_a_name_nor_a_file_is_wrong_usage(name: str) -> None:
    with pytest.raises(UsageError):
        installation(name)


@pytest.mark.parametrize("name", ["pastel", "stylectl-plugin-pastel", "stylectl_plugin.Pastel"])
def test_a_plugin_is_uninstalled_by_its_name_or_its_distributions(site: Path, name: str) -> None:
    change = uninstallation(name)
    assert change.command[-3:] == ("uninstall", "--yes", "stylectl-plugin-pastel")
    assert "with the plugin pastel" in change.summary


def test_a_name_that_several_plugins_have_is_not_guessed(site: Path) -> None:
    former = site / "stylectl_plugin_pastel-1.2.dist-info"
    for name in ("crayons", "oil"):
        metadata = site / f"stylectl_{name}-1.0.dist-info"
        shutil.copytree(former, metadata)
        (metadata / "METADATA").write_text(
            f"Metadata-Version: 2.1\nName: stylectl-{name}\nVersion: 1.0\n"
        )
    shutil.rmtree(former)
    with pytest.raises(UsageError, match="may be stylectl-crayons/pastel or stylectl-oil/pastel"):
        uninstallation("pastel")


@pytest.mark.parametrize(
    ("name", "word"),
    [
        ("png", "a part of stylectl"),
        ("stylectl.png", "a part of stylectl"),
        ("numpy", "not a plugin of stylectl"),
        ("stylectl", "not a plugin of stylectl"),
        ("missing", "no plugin 'missing' is installed"),
        ("-y", "begins with a hyphen"),
        ("dark", "dark.py"),
    ],
)
def test_nothing_else_is_uninstalled(
    site: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, word: str
) -> None:
    (tmp_path / "files").mkdir()
    (tmp_path / "files" / "dark.py").touch()
    monkeypatch.setenv("STYLECTL_PLUGINS_DIR", str(tmp_path / "files"))
    with pytest.raises(UsageError, match=word):
        uninstallation(name)


def test_a_distribution_with_the_name_of_an_option_is_not_handed_to_pip(site: Path) -> None:
    metadata = site / "stylectl_plugin_pastel-1.2.dist-info" / "METADATA"
    metadata.write_text("Metadata-Version: 2.1\nName: --root=x\nVersion: 1.2\n")
    with pytest.raises(UsageError, match="not a distribution that pip can remove"):
        uninstallation("pastel")


@pytest.mark.subprocess
def test_pips_lines_are_made_safe_and_it_gets_no_input() -> None:
    lines: list[str] = []
    code = r"import sys; print('\x1b[2Jhi'); print(repr(sys.stdin.read())); print('é', end='')"
    run(Change("", (sys.executable, "-X", "utf8", "-c", code)), lines.append)
    assert lines == [r"\x1b[2Jhi", "''", "é"]


@pytest.mark.subprocess
def test_a_failure_of_pip_is_one_of_the_command() -> None:
    lines: list[str] = []
    with pytest.raises(StylectlError, match="exit code 3"):
        run(Change("", (sys.executable, "-c", "print('no'); exit(3)")), lines.append)
    assert lines == ["no"]


def test_an_environment_of_the_operating_system_is_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    check_environment()
    (tmp_path / "EXTERNALLY-MANAGED").touch()
    monkeypatch.setattr(sysconfig, "get_path", lambda name: str(tmp_path))
    check_environment()  # a virtual environment below it is the user's
    monkeypatch.setattr(sys, "prefix", sys.base_prefix)
    with pytest.raises(StylectlError, match="virtual environment"):
        check_environment()


def test_an_environment_without_pip_brings_advice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stylectl.tools.plugins.pip.find_spec", lambda name: None)
    with pytest.raises(StylectlError, match="uv pip install --python"):
        check_environment()


def stylectl(*arguments: str, **options: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "stylectl", "plugins", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, **options)  # type: ignore[call-overload, no-any-return]


@pytest.mark.subprocess
def test_without_a_terminal_it_says_what_it_would_do_and_refuses(site: Path) -> None:
    paths = os.pathsep.join(filter(None, [str(site), os.environ.get("PYTHONPATH", "")]))
    environment = {**os.environ, "PYTHONPATH": paths}
    done = stylectl("uninstall", "pastel", stdin=subprocess.DEVNULL, env=environment)
    assert done.returncode == 2
    assert "pip uninstall --yes stylectl-plugin-pastel" in done.stdout
    assert done.stderr == "stylectl: nothing is changed: there is no terminal to ask; add --yes\n"
    assert (site / "plugin_pastel.py").exists()


@pytest.mark.subprocess
@pytest.mark.skipif(sys.platform == "win32", reason="needs a pseudo-terminal")
def test_at_a_terminal_it_asks_and_a_no_changes_nothing(site: Path) -> None:
    ours, theirs = os.openpty()
    os.write(ours, b"n\n")
    paths = os.pathsep.join(filter(None, [str(site), os.environ.get("PYTHONPATH", "")]))
    environment = {**os.environ, "PYTHONPATH": paths}
    done = stylectl("uninstall", "pastel", stdin=theirs, env=environment, timeout=60)
    os.close(ours)
    os.close(theirs)
    assert done.returncode == 1
    assert "Continue? [y/N]" in done.stdout
    assert done.stdout.endswith("nothing is changed\n")
    assert (site / "plugin_pastel.py").exists()
