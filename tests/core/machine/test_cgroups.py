"""Limits of control groups, read from a tree of files as the kernel shows them."""

from __future__ import annotations

from pathlib import Path

import pytest
from stylectl.core.machine.cgroups import free_in_cgroups

GB = 10**9
V2_MOUNT = "30 23 0:26 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate"
V1_MOUNT = "35 31 0:32 / /sys/fs/cgroup/memory rw,relatime shared:9 - cgroup cgroup rw,memory"


class Tree:
    """A root of a file system, with the files of control groups."""

    def __init__(self, root: Path, membership: str, mounts: str) -> None:
        self.root = root
        self.write("proc/self/cgroup", membership)
        self.write("proc/self/mountinfo", mounts)

    def write(self, path: str, text: object) -> None:
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"{text}\n")

    def group(self, folder: str, maximum: object, usage: int, inactive: int | None = None) -> None:
        """A group of version 2."""
        self.write(f"{folder}/memory.max", maximum)
        self.write(f"{folder}/memory.current", usage)
        if inactive is not None:
            self.write(f"{folder}/memory.stat", f"anon 5\nfile 9\ninactive_file {inactive}")

    def old_group(self, folder: str, limit: int, usage: int, stat: str = "") -> None:
        """A group of version 1."""
        self.write(f"{folder}/memory.limit_in_bytes", limit)
        self.write(f"{folder}/memory.usage_in_bytes", usage)
        self.write(f"{folder}/memory.stat", stat)

    @property
    def free(self) -> int | None:
        return free_in_cgroups(self.root)


def version_2(root: Path, group: str = "/") -> Tree:
    return Tree(root, f"0::{group}", V2_MOUNT)


def version_1(root: Path, group: str, mount: str = V1_MOUNT) -> Tree:
    membership = f"9:name=systemd:/x\n4:memory:{group}\n3:cpuset:/\n0::/"
    cpu = "32 31 0:29 / /sys/fs/cgroup/cpu rw,relatime - cgroup cgroup rw,cpu"
    return Tree(root, membership, f"{cpu}\n{mount}")


def test_the_limit_less_the_usage_is_free(tmp_path: Path) -> None:
    tree = version_2(tmp_path)
    tree.group("sys/fs/cgroup", 2 * GB, GB)
    assert tree.free == GB


def test_cached_files_that_are_not_in_use_are_free(tmp_path: Path) -> None:
    tree = version_2(tmp_path)
    tree.group("sys/fs/cgroup", 2 * GB, 2 * GB - 5, inactive=GB)
    assert tree.free == GB + 5
    tree.group("sys/fs/cgroup", 2 * GB, 100, inactive=GB)  # read at another moment
    assert tree.free == 2 * GB


@pytest.mark.parametrize("maximum", ["max", "", "many", "-1"])
def test_a_group_without_a_limit_sets_none(tmp_path: Path, maximum: str) -> None:
    tree = version_2(tmp_path)
    tree.group("sys/fs/cgroup", maximum, GB)
    assert tree.free is None


def test_the_tightest_of_nested_groups_counts(tmp_path: Path) -> None:
    tree = version_2(tmp_path, "/user.slice/run.scope")
    tree.group("sys/fs/cgroup/user.slice", 3 * GB, 2 * GB)
    tree.group("sys/fs/cgroup/user.slice/run.scope", 8 * GB, GB)
    assert tree.free == GB
    tree.group("sys/fs/cgroup/user.slice/run.scope", 10**8, 10**7)
    assert tree.free == 9 * 10**7
    tree.group("sys/fs/cgroup/user.slice/run.scope", "max", 10**7)
    assert tree.free == GB


def test_the_soft_limit_counts_which_slows_a_process_down(tmp_path: Path) -> None:
    tree = version_2(tmp_path)
    tree.group("sys/fs/cgroup", "max", GB)
    tree.write("sys/fs/cgroup/memory.high", 3 * GB)
    assert tree.free == 2 * GB


def test_a_group_above_its_limit_leaves_nothing(tmp_path: Path) -> None:
    tree = version_2(tmp_path)
    tree.group("sys/fs/cgroup", GB, 2 * GB)
    assert tree.free == 0


def test_version_1_counts_the_cache_of_all_groups_inside(tmp_path: Path) -> None:
    tree = version_1(tmp_path, "/a/b")
    stat = "inactive_file 7\nhierarchical_memory_limit 9\ntotal_inactive_file 500"
    tree.old_group("sys/fs/cgroup/memory/a/b", 2000, 1600, stat)
    assert tree.free == 900
    tree.old_group("sys/fs/cgroup/memory/a", 1000, 900)
    assert tree.free == 100


def test_version_1_without_a_limit_has_a_huge_one(tmp_path: Path) -> None:
    tree = version_1(tmp_path, "/")
    tree.old_group("sys/fs/cgroup/memory", 9223372036854771712, GB)
    assert tree.free is not None
    assert tree.free > 10**18


def test_both_versions_may_be_mounted(tmp_path: Path) -> None:
    unified = "41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw"
    tree = version_1(tmp_path, "/a", f"{V1_MOUNT}\n{unified}")
    tree.old_group("sys/fs/cgroup/memory/a", 1000, 900)
    tree.group("sys/fs/cgroup/unified", 50, 20)
    assert tree.free == 30


@pytest.mark.parametrize(
    ("mounted", "group"), [("/docker/1", "/docker/1"), ("/", "/../.."), ("/docker/1", "/other")]
)
def test_in_a_container_the_own_group_is_mounted(tmp_path: Path, mounted: str, group: str) -> None:
    mount = f"35 31 0:32 {mounted} /sys/fs/cgroup/memory ro - cgroup cgroup rw,memory"
    tree = version_1(tmp_path, group, mount)
    tree.old_group("sys/fs/cgroup/memory", 1000, 300)
    assert tree.free == 700


def test_a_group_below_the_mounted_one_is_found(tmp_path: Path) -> None:
    mount = r"35 31 0:32 /docker/1 /sys/fs/c\040group ro - cgroup2 cgroup2 rw"
    tree = Tree(tmp_path, "0::/docker/1/job", mount)
    tree.group("sys/fs/c group/job", 1000, 300)
    assert tree.free == 700


@pytest.mark.parametrize(
    ("membership", "mounts"),
    [
        ("", ""),
        ("0::/", ""),
        ("", V2_MOUNT),
        ("nonsense", "nonsense - x\n1 2 3 - cgroup2"),
        ("0::/\x00", V2_MOUNT),
        ("0::/gone", V2_MOUNT),
    ],
)
def test_what_cannot_be_read_sets_no_limit(tmp_path: Path, membership: str, mounts: str) -> None:
    assert Tree(tmp_path, membership, mounts).free is None
    assert free_in_cgroups(tmp_path / "nowhere") is None


def test_a_usage_that_cannot_be_read_sets_no_limit(tmp_path: Path) -> None:
    tree = version_2(tmp_path)
    tree.write("sys/fs/cgroup/memory.max", GB)
    assert tree.free is None
