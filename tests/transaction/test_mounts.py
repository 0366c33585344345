"""A root that spans several mounts, and mount points in the way."""

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from intact.model.access_lists import DEFAULT_LIST
from intact.model.errors import Conflict, MachineError, NoSpace, RecoveryFailed, machine_error
from intact.model.paths import RelPath
from intact.operations.hooks import HookOptions
from intact.operations.recovering import recover_now
from intact.operations.retaining import forget_history
from intact.operations.root import Environment
from intact.transaction.leftovers import sweep
from intact.transaction.opening import settle_identity
from intact.transaction.recover import Direction
from model.test_access_lists import NAMED
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
    with _usr_out_of_reach(spanning):
        without = _visible(spanning)
        with pytest.raises(RecoveryFailed, match="cannot be reached") as caught:
            spanning.roll_back()
        assert caught.value.path is not None
        assert caught.value.path.startswith("/usr/.intact/")
        assert _visible(spanning) == without
    spanning.roll_back()
    assert _visible(spanning) == before


@contextmanager
def _usr_out_of_reach(workshop: Workshop) -> Iterator[None]:
    usr, aside = workshop.path / "usr", workshop.place / "aside"
    aside.mkdir(exist_ok=True)
    subprocess.run(["mount", "--move", usr, aside], check=True)
    try:
        yield
    finally:
        subprocess.run(["mount", "--move", aside, usr], check=True)


def _usr_slots(workshop: Workshop) -> Path:
    return workshop.path / "usr/.intact" / workshop.read("var/lib/intact/private/id").strip()


def test_backups_that_cannot_be_reached_go_only_once_they_can(spanning: Workshop) -> None:
    transactions = spanning.path / "var/lib/intact/private/transactions"
    spanning.install(FIRST)
    spanning.write("usr/a", "mine")
    spanning.install(SECOND)
    beyond = f"/{(_usr_slots(spanning) / '2').relative_to(spanning.path)}"
    for gone in ((1, 2), ()):
        with _usr_out_of_reach(spanning), spanning.opened() as root:
            forgotten, told = forget_history(root, 0, Environment())
        assert forgotten == gone
        (line,) = told
        assert line.startswith(f"{beyond}: backups of transaction 2 cannot be reached;")
        assert line.endswith("(if it is gone for good, delete /var/lib/intact/private/transactions/2)")
        assert not (transactions / "2/slots").exists()  # what can be reached takes no room any more
    receipt = spanning.install(Package("b", "1", file("usr/b", "b")))
    kept = f"{beyond.removesuffix('/2')}/kept/2/usr/a"
    assert receipt.told == (f"/usr/a: your version is kept in {kept}",)
    assert spanning.read(kept[1:]) == "mine"
    assert not (_usr_slots(spanning) / "2").exists()
    assert not (transactions / "2").exists()


def _restore_older_state(workshop: Workshop) -> None:
    """Bring /var back from a copy that was made before SECOND was installed over what somebody had edited."""
    state = workshop.path / "var/lib/intact"
    workshop.install(FIRST)
    shutil.copytree(state, workshop.place / "older", symlinks=True)
    workshop.write("usr/a", "mine")
    workshop.install(SECOND)
    opening = _usr_slots(workshop) / "2/opening.json"
    value = json.loads(opening.read_text())
    opening.write_text(json.dumps(value | {"started": value["started"] - 3600}))  # that was an hour ago
    shutil.rmtree(state)
    shutil.copytree(workshop.place / "older", state, symlinks=True)


def _mine(workshop: Workshop) -> bool:
    files = (path for path in workshop.path.rglob("*") if path.is_file())
    return any(path.read_bytes() == b"mine" for path in files)


@pytest.mark.parametrize("end", ["forgotten", "rolled back", "discarded"])
def test_slots_of_before_the_state_was_restored_outlive_whoever_gets_their_number(
    end: str, spanning: Workshop
) -> None:
    """The next transaction does not touch the mount that they are on, so nobody sees that its number is taken."""
    _restore_older_state(spanning)

    def fail(_number: int, verb: str, path: str) -> None:
        at = {"rolled back": ("move_new", "/opt/b"), "discarded": ("make_directory", "/slots")}.get(end)
        if at is not None and verb == at[0] and path.endswith(at[1]):
            disk.fault = lambda *_: None
            raise machine_error(verb, OSError(5, "Input/output error"), path)

    disk = FaultyDisk(spanning.path, fail)
    with suppress(MachineError):
        spanning.install(Package("b", "1", file("opt/b", "b")), disk=disk)
    disk.close()
    for version in ("1", "2"):
        spanning.install(Package("c", version, file("usr/c", version)))
    with spanning.opened() as root:
        forget_history(root, 0, Environment())
    assert _mine(spanning)


def test_slots_of_a_discarded_transaction_that_could_not_be_reached_are_swept(spanning: Workshop) -> None:
    spanning.install(FIRST)
    disk = FaultyDisk(
        spanning.path,
        lambda _n, verb, path: crash_at(1)(1, verb, path) if path.endswith("plan.json") else None,
    )
    with pytest.raises(Crash):
        spanning.install(SECOND, disk=disk)
    disk.close()
    with _usr_out_of_reach(spanning):
        recover(spanning)
    assert (_usr_slots(spanning) / "2").is_dir()
    spanning.install(SECOND)
    spanning.roll_back()
    assert not (_usr_slots(spanning) / "2").exists()
    assert not list(_usr_slots(spanning).glob("*.kept"))


def test_a_crash_while_backups_are_deleted_is_not_taken_for_a_missing_filesystem(spanning: Workshop) -> None:
    spanning.install(FIRST)
    spanning.install(SECOND)
    step, crashed = 0, True
    while crashed:
        step += 1
        disk = FaultyDisk(spanning.path, crash_at(step))
        try:
            with spanning.opened(disk) as root:
                forget_history(root, 1, Environment())
        except Crash:
            recover(spanning)
        else:
            crashed = False
        finally:
            disk.close()
        left = {path.name for path in (spanning.path / "var/lib/intact/private/transactions").iterdir()}
        slots = {path.name for path in _usr_slots(spanning).iterdir()}
        with spanning.opened() as root, root.database() as database:
            retained = {str(one.id) for one in database.history() if one.retained}
        assert left == slots == retained
        if len(retained) < 2:
            spanning.install(Package("a", str(step + 2), file("usr/a", f"{step}"), file("opt/a", f"{step}")))
    assert step > 10


def test_slots_of_a_transaction_that_the_database_does_not_know_are_kept(spanning: Workshop) -> None:
    _restore_older_state(spanning)
    third = spanning.install(Package("b", "1", file("usr/b", "b")))
    assert third.transaction == 3  # not 2, whose backups are there still
    assert (_usr_slots(spanning) / "2").is_dir()
    with spanning.opened() as root:
        layout = settle_identity(root.disk, root.layout)
        (told,) = sweep(root.disk, layout, [RelPath("usr")])
    assert "/2.kept: replaced files of a transaction that is not known here any more" in told
    assert _mine(spanning)
    assert spanning.roll_back().changed


def test_what_people_changed_is_kept_where_the_slots_cannot_be_reached(spanning: Workshop) -> None:
    """A crash between the end of a rollback and its tidying, and then a filesystem is missing."""
    spanning.install(FIRST)
    spanning.give_shell()
    commands = HookOptions(health_check=("/bin/sh", "-c", "exit 1"))
    transactions = spanning.path / "var/lib/intact/private/transactions"
    number, step = "", 0
    while not number:
        step += 1
        disk = FaultyDisk(spanning.path, crash_at(step))
        with pytest.raises(Crash):
            spanning.install(SECOND, disk=disk, hooks=commands)
        disk.close()
        for journal in transactions.glob("*/journal"):
            if b"ROLLED_BACK" in journal.read_bytes():
                number = journal.parent.name
        if not number:
            recover(spanning)
    with _usr_out_of_reach(spanning), spanning.opened() as root:
        (one,) = recover_now(root, Direction.AUTOMATIC, Environment("pkg recover")).transactions
    assert any(
        f"is kept in /var/lib/intact/private/transactions/{number}.kept, not sorted out: /usr/.intact/"
        in line
        for line in one.told
    )
    assert (_usr_slots(spanning) / number).is_dir()
    spanning.install(SECOND)
    assert (_usr_slots(spanning) / number).is_dir()


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


def test_a_default_access_list_does_not_reach_what_is_installed(spanning: Workshop) -> None:
    """Neither of the root, nor of another mount: who has rights to a file is what its package says."""
    try:
        os.setxattr(spanning.path, DEFAULT_LIST, NAMED)
        os.setxattr(spanning.path / "usr", DEFAULT_LIST, NAMED)
    except OSError:
        pytest.skip("this filesystem has no access lists")
    for version in ("1", "2"):
        keys = (file(f"{top}/a/b/key", version, 0o640) for top in ("opt", "usr"))
        spanning.install(Package("a", version, *keys))
    for top in ("opt", "usr"):
        for path in (spanning.path / top / "a/b/key", spanning.path / top / "a/b", spanning.path / top / "a"):
            assert not [name for name in os.listxattr(path) if "acl" in name], path
