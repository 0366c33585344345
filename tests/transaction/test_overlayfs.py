"""A root on overlayfs whose files come from a lower layer, as in containers: its directories cannot be renamed."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from intact.operations.repairing import RepairOptions, repair
from intact.operations.root import Environment
from intact.operations.verify import verify
from proof.images import missing_tools, scratch
from support.faulty_disk import Crash, FaultyDisk, crash_at
from support.scenarios import FIRST, SECOND, recover
from support.workshop import Package, Workshop, file, hardlink, snapshot, symlink

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root to mount")

DIRECTORY = Package("a", "1", file("opt/a/x/1", "1"), file("opt/a/y", "y"), symlink("opt/a/z", "y"))
FILE = Package("a", "2", file("opt/a", "now a file"))
LINK = Package("a", "2", symlink("opt/a", "b"), file("opt/b", "b"))


class Layered:
    """A root of two layers; the lower one is given, the upper one is new each time."""

    def __init__(self, place: Path) -> None:
        self.place = place
        self.lower = Workshop(place / "lower")

    def mount(self) -> Workshop:
        """Put a new upper layer over the lower one."""
        top = self.place / "top"
        top.mkdir()
        size = ["mount", "-t", "tmpfs", "none", str(top)]
        if subprocess.run(size, check=False).returncode != 0:
            pytest.skip("this machine cannot mount a tmpfs")
        for name in ("upper", "work", "root"):
            (top / name).mkdir()
        layers = f"lowerdir={self.lower.path},upperdir={top}/upper,workdir={top}/work"
        made = ["mount", "-t", "overlay", "-o", layers, "overlay", str(top / "root")]
        if subprocess.run(made, check=False).returncode != 0:
            subprocess.run(["umount", top], check=True)
            pytest.skip("this machine cannot mount an overlayfs")
        above = Workshop.__new__(Workshop)
        above.place, above.path, above.bundles = self.place, top / "root", dict(self.lower.bundles)
        return above

    def unmount(self) -> None:
        """Forget the upper layer."""
        top = self.place / "top"
        for mount in (top / "root", top):
            if mount.is_mount():
                subprocess.run(["umount", mount], check=True)
        if top.exists():
            top.rmdir()


@pytest.fixture
def layered(fast_path: Path) -> Iterator[Layered]:
    layers = Layered(fast_path)
    yield layers
    layers.unmount()


def test_inode_numbers_of_more_than_63_bits_are_stored(fast_path: Path) -> None:
    """Layers on different filesystems: with ``xino=on`` the uppermost bits of an inode number say which one."""
    if missing := missing_tools():
        pytest.skip(f"not installed here: {', '.join(missing)}")
    with scratch("ext4", fast_path) as below, scratch("xfs", fast_path) as above:
        lower, over = Workshop(below / "workshop"), Workshop(above / "workshop")
        lower.install(FIRST)
        for name in ("upper", "work"):
            (above / name).mkdir()
        layers = f"xino=on,lowerdir={lower.path},upperdir={above / 'upper'},workdir={above / 'work'}"
        made = ["mount", "-t", "overlay", "-o", layers, "overlay", str(over.path)]
        if subprocess.run(made, check=False).returncode != 0:
            pytest.skip("this machine cannot mount an overlayfs with xino")
        try:
            over.install(SECOND)
            numbers = {one.lstat().st_ino for one in over.path.rglob("*")}
            assert max(numbers) >= 1 << 63, "else this shows nothing"
            with over.opened() as root:
                assert verify(root, [], Environment()).differences == ()
            over.roll_back()
            with over.opened() as root:
                assert verify(root, [], Environment()).differences == ()
        finally:
            subprocess.run(["umount", over.path], check=True)


def test_names_that_the_filesystem_takes_apart_are_no_difference(layered: Layered) -> None:
    """Overlayfs copies one name of a file up, and leaves the other in the lower layer."""
    layered.lower.install(Package("a", "1", file("opt/x", "1"), hardlink("opt/y", "opt/x")))
    above = layered.mount()
    (above.path / "opt/y").chmod(0o644)
    assert (above.path / "opt/x").stat().st_ino != (above.path / "opt/y").stat().st_ino
    with above.opened() as root:
        assert verify(root, [], Environment()).differences == ()
        assert not repair(root, [], [], RepairOptions(), Environment()).receipt.changed


@pytest.mark.parametrize("after", [FILE, LINK], ids=["a file", "a link"])
def test_a_directory_of_a_lower_layer_gives_way(after: Package, layered: Layered) -> None:
    layered.lower.install(DIRECTORY)
    layered.lower.bundle(after)
    above = layered.mount()
    before = snapshot(above, links=False)
    above.install(after)
    installed = snapshot(above, links=False)
    assert installed["opt/a"][0] == ("file" if after is FILE else "symlink")
    above.roll_back()
    assert snapshot(above, links=False) == before
    above.roll_back()
    assert snapshot(above, links=False) == installed
    above.remove("a")
    assert not (above.path / "opt").exists()


def test_every_kind_of_change_works_over_a_lower_layer(layered: Layered) -> None:
    layered.lower.install(FIRST)
    layered.lower.bundle(SECOND)
    above = layered.mount()
    before = snapshot(above, links=False)
    above.install(SECOND)
    with above.opened() as root:
        assert verify(root, [], Environment()).differences == ()
    above.roll_back()
    assert snapshot(above, links=False) == before
    with above.opened() as root:
        assert verify(root, [], Environment()).differences == ()


def test_a_crash_at_any_step_over_a_lower_layer_ends_in_all_old_or_all_new(layered: Layered) -> None:
    layered.lower.install(DIRECTORY)
    layered.lower.bundle(FILE)
    outcomes = []
    step = 0
    crashed = True
    while crashed:
        step += 1
        above = layered.mount()
        before = snapshot(above, links=False)
        disk = FaultyDisk(above.path, crash_at(step))
        try:
            above.install(FILE, disk=disk)
        except Crash:
            recover(above)
        else:
            crashed = False
        finally:
            disk.close()
        now = snapshot(above, links=False)
        outcomes.append("old" if now == before else "new")
        if outcomes[-1] == "new":
            assert above.read("opt/a") == "now a file"
        layered.unmount()
    assert outcomes == sorted(outcomes, reverse=True)
    assert {"old", "new"} == set(outcomes)


def test_what_somebody_adds_meanwhile_is_kept(layered: Layered) -> None:
    layered.lower.install(DIRECTORY)
    layered.lower.bundle(FILE)
    above = layered.mount()
    disk = FaultyDisk(above.path)

    def add(_number: int, verb: str, path: str) -> None:
        if verb == "remove_directory" and path == "/opt/a":
            above.write("opt/a/mine", "mine")

    disk.fault = add
    with pytest.raises(Exception, match="somebody has created it since"):
        above.install(FILE, disk=disk)
    disk.close()
    assert above.read("opt/a/mine") == "mine"
    assert above.read("opt/a/x/1") == "1"


def test_an_overlay_that_is_only_a_part_of_the_root_is_noticed(layered: Layered, workshop: Workshop) -> None:
    workshop.install(Package("a", "1", file("usr/a/x", "x")))
    shutil.copytree(workshop.path / "usr", layered.lower.path, dirs_exist_ok=True)
    above = layered.mount()
    usr = workshop.path / "usr"
    subprocess.run(["mount", "--bind", above.path, usr], check=True)
    try:
        workshop.install(Package("a", "2", file("usr/a", "now a file")))
        assert workshop.read("usr/a") == "now a file"
        workshop.roll_back()
        assert workshop.read("usr/a/x") == "x"
    finally:
        subprocess.run(["umount", usr], check=True)
