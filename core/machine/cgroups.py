"""Memory limits of control groups (Linux), which containers and systemd's units have.

https://docs.kernel.org/admin-guide/cgroup-v2.html, "Memory Interface Files", and
https://docs.kernel.org/admin-guide/cgroup-v1/memory.html.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

#: A character of a path in mountinfo as three octal digits, such as \040 for a space.
_OCTAL = re.compile(r"\\([0-7]{3})")


@dataclass(frozen=True)
class _Files:
    """Names of a group's files in one version of the interface.

    `limits` hold numbers of bytes, or "max"; `cache` are keys of memory.stat, of which the first
    one that is there counts.
    """

    limits: tuple[str, ...]
    usage: str
    cache: tuple[str, ...]


#: The kernel slows a group down so much above `memory.high` that it is a limit as well.
_VERSION_2 = _Files(("memory.max", "memory.high"), "memory.current", ("inactive_file",))
_VERSION_1 = _Files(
    ("memory.limit_in_bytes",),
    "memory.usage_in_bytes",
    ("total_inactive_file", "inactive_file"),
)


def free_in_cgroups(root: Path = Path("/")) -> int | None:
    """Return the bytes that the limits of this process's control groups leave; None: no limit.

    The tightest of a group and the groups around it counts. Cached files that were not used
    recently count as free: the kernel drops them first. A file that cannot be read sets no limit.
    `root` is the root of the file system.
    """
    groups = [
        free
        for folder, files in _groups(root)
        if (free := _free_in_group(folder, files)) is not None
    ]
    return max(0, min(groups)) if groups else None


def _groups(root: Path) -> Iterator[tuple[Path, _Files]]:
    """Yield the folder of each group of this process, from the innermost outwards."""
    mounts = _mounts(root)
    for line in _text(root / "proc/self/cgroup").splitlines():
        _, controllers, group = [*line.split(":", 2), "", ""][:3]
        files = _VERSION_1 if controllers else _VERSION_2
        if controllers and "memory" not in controllers.split(","):
            continue
        for mount_files, mounted, mount in mounts:
            if mount_files is files:
                folder = mount.joinpath(*_relative(group, mounted))
                for ancestor in (folder, *folder.parents):
                    yield ancestor, files
                    if ancestor == mount:
                        break


def _mounts(root: Path) -> list[tuple[_Files, PurePosixPath, Path]]:
    """Return the mounted hierarchies of groups: version, the group that is mounted, and where."""
    mounts = []
    for line in _text(root / "proc/self/mountinfo").splitlines():
        fields, _, of_system = (part.split() for part in line.partition(" - "))
        if len(fields) < 5 or len(of_system) < 3:
            continue
        is_version_2 = of_system[0] == "cgroup2"
        if is_version_2 or (of_system[0] == "cgroup" and "memory" in of_system[2].split(",")):
            group, place = (_OCTAL.sub(_character, field) for field in fields[3:5])
            files = _VERSION_2 if is_version_2 else _VERSION_1
            mounts.append((files, PurePosixPath(group), root / place.lstrip("/")))
    return mounts


def _relative(group: str, mounted: PurePosixPath) -> tuple[str, ...]:
    """Return a group's path below the group that is mounted.

    It is empty for a group that is not below: in a container, the mounted group is the own one.
    """
    path = PurePosixPath(group)
    if ".." in path.parts or not path.is_relative_to(mounted):
        return ()
    return path.relative_to(mounted).parts


def _free_in_group(folder: Path, files: _Files) -> int | None:
    limits = [
        int(text) for name in files.limits if (text := _text(folder / name).strip()).isdecimal()
    ]
    usage = _text(folder / files.usage).strip()
    if not limits or not usage.isdecimal():
        return None
    entries = (line.split() for line in _text(folder / "memory.stat").splitlines())
    stat = {entry[0]: entry[1] for entry in entries if len(entry) == 2 and entry[1].isdecimal()}
    cached = next((int(stat[key]) for key in files.cache if key in stat), 0)
    return min(limits) - max(0, int(usage) - cached)


def _character(match: re.Match[str]) -> str:
    return chr(int(match[1], 8))


def _text(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except (OSError, ValueError):
        return ""
