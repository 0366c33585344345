"""Who still uses what was replaced is told exactly, on every filesystem, in every namespace, and for nobody else."""

import mmap
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import count
from pathlib import Path

import pytest

from intact.model.entries import FileEntry
from intact.model.processes import KeeperKind, Usage
from intact.operations.in_use import UsesFound, find_in_use
from intact.operations.retaining import forget_history
from intact.operations.root import Environment
from intact.system.process_content import held_files, opened_held
from intact.system.processes import each_once, processes_listed
from proof.images import missing_tools, scratch
from support.weather import mirrored
from support.workshop import Package, Workshop, file, hardlink, program

ROOT_ONLY = pytest.mark.skipif(os.geteuid() != 0, reason="needs root: it mounts, or becomes somebody else")


def _package(version: str) -> Package:
    return Package(
        "tool",
        version,
        program("usr/bin/tool", version),
        program("usr/bin/other", version),
        file("usr/share/words", f"words of {version}\n" * 100),
    )


def _found(workshop: Workshop, *transactions: int) -> UsesFound:
    with workshop.opened() as root:
        return find_in_use(root, transactions or None)


def _uses(workshop: Workshop) -> set[tuple[int, str, str]]:
    return {(one.process.pid, one.usage.value, f"/{one.location}") for one in _found(workshop).uses}


@contextmanager
def _running(*words: "str | Path", **options: object) -> "Iterator[subprocess.Popen[bytes]]":
    process = subprocess.Popen(words, stdin=subprocess.DEVNULL, **options)  # type: ignore[call-overload]
    try:
        _wait_for_exec(process.pid)
        yield process
    finally:
        process.kill()
        process.wait()


def _wait_for_exec(pid: int) -> None:
    own = Path("/proc/self/exe").readlink()
    while Path(f"/proc/{pid}/exe").readlink() == own:
        time.sleep(0.001)


@pytest.fixture(params=["ext4", "xfs", "btrfs", "tmpfs", "overlayfs"])
def elsewhere(request: pytest.FixtureRequest, fast_path: Path) -> Iterator[Workshop]:
    """A root on a filesystem of its own."""
    if os.geteuid() != 0:
        pytest.skip("needs root: it mounts filesystems")
    if missing := missing_tools():
        pytest.skip(f"not installed here: {', '.join(missing)}")
    with scratch(request.param, fast_path) as top:
        if request.param != "overlayfs":
            yield Workshop(top / "workshop")
            return
        with _overlay(top) as workshop:
            yield workshop


@contextmanager
def _overlay(top: Path) -> Iterator[Workshop]:
    """What is installed first lies in the lower layer, as in a container made from an image."""
    lower = Workshop(top / "lower")
    lower.install(_package("1"))
    over = Workshop(top / "over")
    for name in ("upper", "work"):
        (top / name).mkdir()
    layers = f"lowerdir={lower.path},upperdir={top / 'upper'},workdir={top / 'work'}"
    subprocess.run(["mount", "-t", "overlay", "overlay", "-o", layers, over.path], check=True)
    try:
        yield over
    finally:
        subprocess.run(["umount", over.path], check=True)


def _install_first(workshop: Workshop) -> None:
    if not (workshop.path / "usr/bin/tool").exists():
        workshop.install(_package("1"))


def test_executables_mappings_and_open_files_are_told_on_every_filesystem(elsewhere: Workshop) -> None:
    _install_first(elsewhere)
    words = elsewhere.path / "usr/share/words"
    with (
        _running(elsewhere.path / "usr/bin/tool", "1000") as running,
        words.open("rb") as opened,
        words.open("rb") as scratch_file,
    ):
        mapped = mmap.mmap(scratch_file.fileno(), 0, prot=mmap.PROT_READ)
        assert _uses(elsewhere) == set()
        receipt = elsewhere.install(_package("2"))
        expected = {
            (running.pid, "executable", "/usr/bin/tool"),
            (os.getpid(), "open file", "/usr/share/words"),
            (os.getpid(), "mapped file", "/usr/share/words"),
        }
        told = {(one.process.pid, one.usage.value, f"/{one.location}") for one in receipt.in_use.uses}
        assert told == expected
        assert _uses(elsewhere) == expected
        mapped.close()
        opened.close()
    assert _uses(elsewhere) == set()


@ROOT_ONLY
def test_an_original_whose_backup_is_a_copy_is_told(fast_path: Path) -> None:
    """Without exchange and hardlinks the backup is another inode than what the process has."""
    with mirrored(fast_path / "mirror", "--no-flags", "--no-links") as top:
        workshop = Workshop(top / "workshop")
        workshop.install(_package("1"))
        with (
            _running(workshop.path / "usr/bin/tool", "1000") as running,
            (workshop.path / "usr/share/words").open("rb"),
        ):
            assert _uses(workshop) == set()
            receipt = workshop.install(_package("2"))
            expected = {
                (running.pid, "executable", "/usr/bin/tool"),
                (os.getpid(), "open file", "/usr/share/words"),
            }
            assert {
                (one.process.pid, one.usage.value, f"/{one.location}") for one in receipt.in_use.uses
            } == expected
            assert _uses(workshop) == expected
            assert {(one.package, one.version) for one in _found(workshop).uses} == {("tool", "1")}
            assert _found(workshop).unknown == ()
            with workshop.opened() as root:
                forget_history(root, 0, Environment())
            assert _uses(workshop) == expected
            with _running(workshop.path / "usr/bin/tool", "1000"):
                assert _uses(workshop) == expected
        assert _uses(workshop) == set()


@ROOT_ONLY
@pytest.mark.parametrize("links", [(), ("--no-links",)], ids=["linked backups", "copied backups"])
def test_where_inode_numbers_change_it_is_said_that_nothing_can_be_known(
    links: tuple[str, ...], fast_path: Path
) -> None:
    with mirrored(fast_path / "mirror", "--unstable", *links) as top:
        workshop = Workshop(top / "workshop")
        workshop.install(_package("1"))
        with _running(workshop.path / "usr/bin/tool", "1000"):
            for found in (workshop.install(_package("2")).in_use, _found(workshop)):
                assert found.uses == ()
                (told,) = found.unknown
                assert "who uses what transaction 2 replaced cannot be told for 3 files (/usr/" in told


def test_who_runs_the_new_version_is_not_told(elsewhere: Workshop) -> None:
    _install_first(elsewhere)
    elsewhere.install(_package("2"))
    with _running(elsewhere.path / "usr/bin/tool", "1000"):
        assert _uses(elsewhere) == set()


def test_what_a_rollback_brings_back_is_not_old(elsewhere: Workshop) -> None:
    _install_first(elsewhere)
    elsewhere.install(_package("2"))
    with _running(elsewhere.path / "usr/bin/tool", "1000") as new:
        elsewhere.roll_back()
        with _running(elsewhere.path / "usr/bin/tool", "1000"):
            assert _uses(elsewhere) == {(new.pid, "executable", "/usr/bin/tool")}


def test_a_removed_file_is_told_with_its_package(workshop: Workshop) -> None:
    workshop.install(_package("1"))
    with _running(workshop.path / "usr/bin/other", "1000") as running:
        receipt = workshop.remove("tool")
    (one,) = receipt.in_use.uses
    assert (one.process.pid, one.usage, one.location) == (running.pid, Usage.EXECUTABLE, "usr/bin/other")
    assert (one.package, one.version, one.transaction) == ("tool", "1", 2)
    assert one.process.command[-1] == "1000"
    assert one.process.name == "other"


def _tree(version: str = "1") -> Package:
    """A package that leaves with one rename."""
    return Package(
        "tree",
        version,
        program("opt/tree/bin/tool", version),
        hardlink("opt/tree/bin/second", "opt/tree/bin/tool"),
        file("opt/tree/share/words", f"words of {version}\n" * 100),
        *(file(f"opt/tree/share/{number}", f"{number}\n") for number in range(30)),
    )


def test_what_left_with_its_directory_is_told_as_long_as_somebody_has_it(elsewhere: Workshop) -> None:
    elsewhere.install(_tree())
    words = elsewhere.path / "opt/tree/share/words"
    with _running(elsewhere.path / "opt/tree/bin/tool", "1000") as running, words.open("rb"):
        receipt = elsewhere.remove("tree")
        expected = {(running.pid, "executable"), (os.getpid(), "open file")}
        places = {"opt/tree/bin/tool", "opt/tree/bin/second", "opt/tree/share/words"}
        for uses in (receipt.in_use.uses, _found(elsewhere).uses):
            assert {(one.process.pid, one.usage.value) for one in uses} == expected
            assert {one.location for one in uses} <= places
            whose = {(one.package, one.version, one.transaction) for one in uses}
            assert whose == {("tree", "1", receipt.transaction)}
        with elsewhere.opened() as root:
            forget_history(root, 0, Environment())
        assert {(one.process.pid, one.usage.value) for one in _found(elsewhere).uses} == expected
    assert _found(elsewhere).uses == ()


def test_what_came_back_with_its_directory_is_not_old(workshop: Workshop) -> None:
    workshop.install(_tree())
    workshop.remove("tree")
    workshop.roll_back()
    with (
        _running(workshop.path / "opt/tree/bin/tool", "1000"),
        (workshop.path / "opt/tree/share/words").open("rb"),
    ):
        assert _uses(workshop) == set()


def test_of_two_transactions_the_one_that_took_the_file_away_is_told(workshop: Workshop) -> None:
    workshop.install(_tree())
    words = workshop.path / "opt/tree/share/words"
    with words.open("rb"):
        workshop.remove("tree")
        workshop.install(_tree("2"))
        with words.open("rb"):
            workshop.remove("tree")
            found = sorted((one.transaction, one.version) for one in _found(workshop).uses)
            assert found == [(2, "1"), (4, "2")]
            assert [one.transaction for one in _found(workshop, 4).uses] == [4]


@ROOT_ONLY
def test_a_tree_with_a_set_id_program_is_told_though_its_backup_is_a_copy(workshop: Workshop) -> None:
    """Its second name stays, so the backup is replaced by a copy without rights."""
    sudo = program("opt/sudo/bin/sudo", "1")
    assert isinstance(sudo.entry, FileEntry)
    sudo = replace(sudo, entry=replace(sudo.entry, mode=0o4755))
    workshop.install(Package("sudo", "1", sudo, file("opt/sudo/words", "x")))
    os.link(workshop.path / "opt/sudo/bin/sudo", workshop.path / "kept")
    with _running(workshop.path / "opt/sudo/bin/sudo", "1000") as running:
        receipt = workshop.remove("sudo")
        for uses in (receipt.in_use.uses, _found(workshop).uses):
            assert [(one.process.pid, one.location) for one in uses] == [(running.pid, "opt/sudo/bin/sudo")]
        (copy,) = (workshop.path / "var/lib/intact/private/transactions/2/slots").rglob("bin/sudo")
        with copy.open("rb"):
            used_by = {one.process.pid for one in _found(workshop).uses}
            assert used_by == {running.pid, os.getpid()}


@ROOT_ONLY
def test_of_a_tree_whose_numbers_change_it_is_said_that_nothing_can_be_known(fast_path: Path) -> None:
    with mirrored(fast_path / "mirror", "--unstable") as top:
        workshop = Workshop(top / "workshop")
        workshop.install(_tree())
        for found in (workshop.remove("tree").in_use, _found(workshop)):
            assert found.uses == ()
            (told,) = found.unknown
            assert "who uses what transaction 2 replaced cannot be told for 33 files (/opt/" in told


def test_a_process_whose_main_thread_has_ended_is_told(workshop: Workshop) -> None:
    """Its own entry of /proc shows nothing then; another thread of it still has everything."""
    workshop.install(_package("1"))
    words = workshop.path / "usr/share/words"
    code = (
        "import ctypes, platform, threading, time\n"
        f"kept = open({str(words)!r})\n"
        "threading.Thread(target=time.sleep, args=(1000,)).start()\n"
        "ctypes.CDLL(None).syscall({'x86_64': 60}.get(platform.machine(), 93), 0)\n"
    )
    with subprocess.Popen([sys.executable, "-c", code]) as running:
        try:
            while "(zombie)" not in Path(f"/proc/{running.pid}/status").read_text():
                time.sleep(0.001)
            workshop.install(_package("2"))
            assert _uses(workshop) == {(running.pid, "open file", "/usr/share/words")}
            (held,) = held_files(pids={running.pid}, sizes={words.stat().st_size})
            with opened_held(held) as source:
                assert source.read().startswith(b"words of 1")
        finally:
            running.kill()


@pytest.mark.parametrize("told", [True, False], ids=["the kernel compares", "the kernel does not compare"])
def test_a_thread_with_descriptors_of_its_own_is_looked_at(
    *, told: bool, workshop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    workshop.install(_package("1"))
    words = workshop.path / "usr/share/words"
    code = (
        "import ctypes, threading, time\n"
        "def leave():\n"
        "    assert ctypes.CDLL(None).unshare(0x400) == 0\n"
        f"    kept = open({str(words)!r})\n"
        "    print('ready', flush=True)\n"
        "    time.sleep(1000)\n"
        "threading.Thread(target=time.sleep, args=(1000,)).start()\n"
        "threading.Thread(target=leave).start()\n"
    )
    if not told:
        monkeypatch.setattr("intact.system.processes.share_descriptors", lambda *_: None)
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as running:
        try:
            assert running.stdout is not None
            assert running.stdout.readline() == b"ready\n"
            assert str(words) not in [
                str(one.readlink()) for one in Path(f"/proc/{running.pid}/fd").iterdir()
            ]
            workshop.install(_package("2"))
            assert _uses(workshop) == {(running.pid, "open file", "/usr/share/words")}
            (held,) = held_files(pids={running.pid}, sizes={words.stat().st_size})
            assert held.pid == running.pid
        finally:
            running.kill()


def test_a_process_is_told_once_for_each_way_and_file(workshop: Workshop) -> None:
    workshop.install(_package("1"))
    tool = workshop.path / "usr/bin/tool"
    with tool.open("rb") as one, tool.open("rb") as two, _running(tool, "1000") as running:
        assert one.fileno() != two.fileno()
        workshop.install(_package("2"))
        assert _uses(workshop) == {
            (running.pid, "executable", "/usr/bin/tool"),
            (os.getpid(), "open file", "/usr/bin/tool"),
        }


def test_each_transaction_tells_of_its_own(workshop: Workshop) -> None:
    for version in ("1", "2"):
        workshop.install(_package(version))
    with _running(workshop.path / "usr/bin/tool", "1000") as second:
        workshop.install(_package("3"))
        with _running(workshop.path / "usr/bin/tool", "1000") as third:
            receipt = workshop.install(_package("4"))
            assert [one.process.pid for one in receipt.in_use.uses] == [third.pid]
            found = {one.process.pid: (one.transaction, one.version) for one in _found(workshop).uses}
            assert found == {second.pid: (3, "2"), third.pid: (4, "3")}
            assert [one.process.pid for one in _found(workshop, 3).uses] == [second.pid]


def test_what_outlives_its_backup_is_told_until_it_ends(workshop: Workshop) -> None:
    workshop.install(_package("1"))
    with _running(workshop.path / "usr/bin/tool", "1000") as running:
        workshop.install(_package("2"))
        with workshop.opened() as root:
            forget_history(root, 0, Environment())
        (one,) = _found(workshop).uses
        assert (one.process.pid, one.usage, one.location) == (running.pid, Usage.EXECUTABLE, "usr/bin/tool")
        assert (one.package, one.version, one.transaction) == ("tool", "1", 2)
        assert _found(workshop, 1).uses == ()
        workshop.install(_package("3"))
        assert {one.process.pid for one in _found(workshop).uses} == {running.pid}
    assert _found(workshop).uses == ()
    with workshop.opened() as root:
        forget_history(root, 0, Environment())
    assert not (workshop.path / "var/lib/intact/private/outlived.json").exists()


def test_a_later_file_with_the_same_inode_is_none_of_them(workshop: Workshop) -> None:
    workshop.install(_package("1"))
    with _running(workshop.path / "usr/bin/tool", "1000"):
        workshop.install(_package("2"))
        with workshop.opened() as root:
            forget_history(root, 0, Environment())
    note = workshop.path / "var/lib/intact/private/outlived.json"
    tool = workshop.path / "usr/bin/tool"
    text = note.read_text()
    device, inode = tool.stat().st_dev, tool.stat().st_ino
    head, _, tail = text.partition('"tool", "1", ')
    rest = tail.split(", ", 2)[2]
    note.write_text(f'{head}"tool", "1", {device}, {inode}, {rest}')
    with _running(tool, "1000"):
        size, mtime = tool.stat().st_size, tool.stat().st_mtime_ns
        assert f"{size}, {mtime}" in rest, "the same size and time: then it cannot be told apart"
        os.utime(tool, ns=(0, mtime + 1))
        assert _found(workshop).uses == ()


@ROOT_ONLY
def test_a_process_in_another_mount_namespace_is_told(workshop: Workshop) -> None:
    workshop.install(_package("1"))
    place = workshop.place / "seen"
    place.mkdir()
    script = f"mount --bind {workshop.path}/usr {place} && umount -l {workshop.place}/none 2>/dev/null; exec {place}/bin/tool 1000"
    with subprocess.Popen(["unshare", "--mount", "/bin/sh", "-c", script]) as running:
        try:
            while Path(f"/proc/{running.pid}/exe").readlink().name != "tool":
                time.sleep(0.001)
            workshop.install(_package("2"))
            (one,) = _found(workshop).uses
            assert (one.process.pid, one.location) == (running.pid, "usr/bin/tool")
            assert one.process.is_elsewhere
        finally:
            running.kill()


@ROOT_ONLY
def test_a_copy_of_the_file_in_a_container_is_no_old_file(workshop: Workshop) -> None:
    """Same path, same name, same content; and in the container the file was even deleted."""
    workshop.install(_package("1"))
    inside = workshop.place / "container"
    shutil.copytree(workshop.path, inside)
    workshop.install(_package("2"))
    with _running(inside / "usr/bin/tool", "1000"):
        (inside / "usr/bin/tool").unlink()
        assert _found(workshop).uses == ()


@ROOT_ONLY
def test_who_may_not_look_says_so(workshop: Workshop) -> None:
    """An unprivileged owner of a root finds its own processes, mappings included, and counts the others."""
    workshop.place.chmod(0o755)
    for path in (workshop.place, *workshop.place.rglob("*")):
        os.chown(path, 65534, 65534, follow_symlinks=False)
    code = UNPRIVILEGED.replace("PLACE", str(workshop.place))
    words = [sys.executable, "-B", "-c", code]
    environment = os.environ | {
        "PYTHONPATH": f"{Path(__file__).parent.parent}:{Path(__file__).parents[2]}/src"
    }
    done = subprocess.run(words, capture_output=True, text=True, check=False, env=environment, cwd="/")
    assert done.stdout.endswith("good\n"), done.stderr
    assert re.search(r"note: \d+ of \d+ processes could not be looked into \(pid \d+", done.stdout)


UNPRIVILEGED = """
import importlib, mmap, os, pkgutil, subprocess, sys, time
from pathlib import Path
import intact
for one in pkgutil.walk_packages(intact.__path__, "intact."):
    importlib.import_module(one.name)
from support.weather import mirrored
from support.workshop import Package, Workshop, file, hardlink, program
from intact.cli.main import run_command
from intact.operations.in_use import find_in_use
def package(version):
    return Package("tool", version, program("usr/bin/tool", version), file("usr/words", version * 5000))
os.setgroups([])
os.setgid(65534)
os.setuid(65534)
workshop = Workshop.__new__(Workshop)
workshop.place, workshop.path, workshop.bundles = Path("PLACE"), Path("PLACE/root"), {}
workshop.install(package("1"))
running = subprocess.Popen(
    [workshop.path / "usr/bin/tool", "1000"], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
    stderr=subprocess.DEVNULL,
)
with (workshop.path / "usr/words").open("rb") as words:
    mapped = mmap.mmap(words.fileno(), 0, prot=mmap.PROT_READ)
while not os.readlink(f"/proc/{running.pid}/exe").endswith("/tool"):
    time.sleep(0.001)
try:
    workshop.install(package("2"))
    with workshop.opened() as root:
        found = find_in_use(root)
finally:
    running.kill()
uses = {(one.process.pid, one.usage.value) for one in found.uses}
assert (running.pid, "executable") in uses, uses
assert (os.getpid(), "mapped file") in uses, uses
assert len(uses) <= 3, uses
assert found.hidden > 0
assert 0 < len(found.hidden_pids) <= min(100, found.hidden)
assert os.getpid() not in found.hidden_pids
assert run_command(["--root", "PLACE/root", "ps"]) == 0
print("good")
"""


def test_a_name_that_imitates_lines_of_maps_deceives_nobody(workshop: Workshop) -> None:
    r"""A path with spaces, ``\r`` and what looks like the numbers of the old file."""
    workshop.install(_package("1"))
    old = (workshop.path / "usr/share/words").stat()
    workshop.install(_package("2"))
    device = f"{os.major(old.st_dev):02x}:{os.minor(old.st_dev):02x}"
    evil = workshop.place / f"x\r7f0000000000-7f0000001000 r-xp 00000000 {device} {old.st_ino} (deleted)"
    shutil.copyfile("/bin/sleep", evil)
    evil.chmod(0o755)
    with _running(evil, "1000"):
        assert _found(workshop).uses == ()


def test_a_process_that_belongs_to_nothing_says_how_it_was_found(workshop: Workshop) -> None:
    workshop.install(_package("1"))
    with _running(workshop.path / "usr/bin/tool", "1000"):
        workshop.install(_package("2"))
        (one,) = _found(workshop).uses
    assert one.process.keeper.kind in set(KeeperKind)
    assert abs(one.process.started - time.time()) < 3600
    assert one.process.uid == os.geteuid()


def test_an_altered_plan_is_told_and_the_others_are_looked_at(workshop: Workshop) -> None:
    workshop.install(_package("1"))
    with _running(workshop.path / "usr/bin/tool", "1000") as running:
        workshop.install(_package("2"))
        workshop.install(_package("3"))
        plan = workshop.path / "var/lib/intact/private/transactions/3/plan.json"
        plan.write_bytes(plan.read_bytes() + b" ")
        found = _found(workshop)
        assert {one.process.pid for one in found.uses} == {running.pid}
    assert [note for note in found.notes if "transaction 3" in note] != []


def test_who_starts_while_others_are_looked_at_is_looked_at_too() -> None:
    """Who has an old file may hand it to a child and end, before its turn comes."""
    listed = each_once(processes_listed)
    seen = {next(listed)}
    with _running("/bin/sleep", "1000") as late:
        seen |= set(listed)
    assert late.pid in seen
    assert os.getpid() in seen


def test_processes_that_come_without_end_do_not_keep_us_for_ever() -> None:
    numbers = count()
    assert len(list(each_once(lambda: {next(numbers)}))) < 1000


def test_a_process_that_ends_meanwhile_is_no_error(workshop: Workshop) -> None:
    workshop.install(_package("1"))
    tool = workshop.path / "usr/bin/tool"
    crowd = [subprocess.Popen([tool, "1000"]) for _ in range(30)]
    workshop.install(_package("2"))
    first, *_ = crowd
    for one in crowd[1:]:
        one.send_signal(signal.SIGKILL)
    assert first.pid in {one.process.pid for one in _found(workshop).uses}
    for one in crowd:
        one.kill()
        one.wait()


def test_an_old_file_that_has_its_name_again_is_not_old(workshop: Workshop) -> None:
    """As a rollback leaves it, which gives a backup its name back by a link."""
    workshop.install(_package("1"))
    with _running(workshop.path / "usr/bin/tool", "1000") as running:
        workshop.install(_package("2"))
        assert {one.process.pid for one in _found(workshop).uses} == {running.pid}
        slots = workshop.path / "var/lib/intact/private/transactions/2/slots"
        inode = Path(f"/proc/{running.pid}/exe").stat().st_ino
        (backup,) = [one for one in slots.iterdir() if one.stat().st_ino == inode]
        (workshop.path / "usr/bin/tool").unlink()
        (workshop.path / "usr/bin/tool").hardlink_to(backup)
        assert _found(workshop).uses == ()
