"""A root that spans several mounts, and mount points in the way."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from intact.model.errors import Conflict, MachineError, NoSpace, RecoveryFailed
from intact.model.paths import RelPath
from intact.transaction.leftovers import sweep
from intact.transaction.opening import settle_identity
from support.faulty_disk import Crash, FaultyDisk, crash_at
from support.scenarios import recover
from support.workshop import Package, Workshop, file, snapshot, symlink

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root to mount")

FIRST = Package("a", "1", file("opt/a", "one"), file("usr/a", "one"), file("usr/gone/x", "x"))
SECOND = Package("a", "2", file("opt/a", "two"), file("usr/a", "two"), file("usr/new/y", "y"))


@pytest.fixture
def spanning(workshop: Workshop) -> Iterator[Workshop]:
    """A root whose /usr is a filesystem of its own."""
    usr = workshop.path / "usr"
    usr.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m,mode=755", "none", usr], check=False)
    if done.returncode != 0:
        pytest.skip("this machine cannot mount a tmpfs")
    yield workshop
    subprocess.run(["umount", usr], check=True)


def _visible(workshop: Workshop) -> dict[str, tuple[object, ...]]:
    return {path: what for path, what in snapshot(workshop).items() if ".intact" not in path}


def test_each_mount_has_its_own_staging_tree_and_loses_it(spanning: Workshop) -> None:
    states = [_visible(spanning)]
    for package in (FIRST, SECOND):
        spanning.install(package)
        states.append(_visible(spanning))
    identity = spanning.read("var/lib/intact/private/id").strip()
    assert (spanning.path / "usr/.intact" / identity / "2").is_dir()
    spanning.roll_back()
    assert _visible(spanning) == states[1]
    spanning.roll_back(1)
    assert _visible(spanning) == states[0]
    assert not list((spanning.path / "usr/.intact" / identity).glob("2*"))


def test_what_lies_on_a_filesystem_that_is_not_mounted_is_not_taken_for_gone(spanning: Workshop) -> None:
    spanning.install(FIRST)
    before = _visible(spanning)
    spanning.remove("a")
    usr, aside = spanning.path / "usr", spanning.place / "aside"
    aside.mkdir()
    subprocess.run(["mount", "--move", usr, aside], check=True)
    try:
        without = _visible(spanning)
        with pytest.raises(RecoveryFailed, match="cannot be reached") as caught:
            spanning.roll_back()
        assert caught.value.path is not None
        assert caught.value.path.startswith("/usr/.intact/")
        assert _visible(spanning) == without
    finally:
        subprocess.run(["mount", "--move", aside, usr], check=True)
    spanning.roll_back()
    assert _visible(spanning) == before


def test_slots_of_a_transaction_that_was_set_aside_are_not_swept(spanning: Workshop) -> None:
    spanning.install(FIRST)
    spanning.install(SECOND)
    transactions = spanning.path / "var/lib/intact/private/transactions"
    slots = spanning.path / "usr/.intact" / spanning.read("var/lib/intact/private/id").strip() / "2"
    held = sorted(path.read_text() for path in slots.rglob("*") if path.is_file())
    assert held
    (transactions / "2").rename(transactions / "2.damaged")
    with spanning.opened() as root:
        layout = settle_identity(root.disk, root.layout)
        assert sweep(root.disk, layout, [RelPath("usr")]) == []
    assert sorted(path.read_text() for path in slots.rglob("*") if path.is_file()) == held


def test_a_crash_at_any_step_is_recovered_from_on_all_mounts(spanning: Workshop) -> None:
    spanning.install(FIRST)
    old = _visible(spanning)
    outcomes = set()
    step = 1
    while True:
        disk = FaultyDisk(spanning.path, crash_at(step))
        try:
            spanning.install(SECOND, disk=disk, allow_downgrade=True)
        except Crash:
            disk.close()
        else:
            disk.close()
            break
        recover(spanning)
        now = _visible(spanning)
        if now != old:
            outcomes.add("new")
            assert spanning.read("usr/a") == spanning.read("opt/a") == "two"
            spanning.roll_back()
        else:
            outcomes.add("old")
        assert _visible(spanning) == old
        step += 1
    assert outcomes == {"old", "new"}


def test_a_mounted_file_cannot_be_replaced_and_is_named(spanning: Workshop, fast_path: Path) -> None:
    spanning.install(FIRST)
    other = fast_path / "other"
    other.write_text("bound")
    target = spanning.path / "opt/a"
    subprocess.run(["mount", "--bind", other, target], check=True)
    try:
        with pytest.raises(Conflict, match="/opt/a: is a mount point"):
            spanning.install(SECOND)
    finally:
        subprocess.run(["umount", target], check=True)
    assert spanning.read("usr/a") == "one"


def test_a_full_filesystem_is_told_before_anything_is_touched(spanning: Workshop) -> None:
    spanning.install(FIRST)
    before = _visible(spanning)
    big = Package("a", "2", file("usr/big", "x" * (2 << 20)), file("opt/a", "two"))
    with pytest.raises(NoSpace, match="are free") as caught:
        spanning.install(big)
    assert caught.value.exit_code == 9
    assert _visible(spanning) == before


def test_a_read_only_filesystem_is_told_before_anything_is_touched(spanning: Workshop) -> None:
    spanning.install(FIRST)
    usr = spanning.path / "usr"
    subprocess.run(["mount", "-o", "remount,ro", usr], check=True)
    with pytest.raises(MachineError, match="EROFS") as caught:
        spanning.install(SECOND)
    assert "remount" in (caught.value.remedy or "")
    assert spanning.read("opt/a") == "one"
    subprocess.run(["mount", "-o", "remount,rw", usr], check=True)
    spanning.install(SECOND)


def test_a_hardlink_across_mounts_fails_before_anything_is_touched(spanning: Workshop) -> None:
    (spanning.path / "opt").symlink_to("usr/opt")
    spanning.install(Package("a", "1", file("opt/x", "x"), symlink("usr/y", "opt/x")))
    assert spanning.read("usr/opt/x") == "x"
