"""What /proc says is a text of others: a process can at most make itself appear in a list."""

import ctypes
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from intact.model.processes import KeeperKind
from intact.operations.in_use import find_in_use
from intact.plan.keepers import keeper_of, restart_obstacle
from intact.system.process_content import held_files
from intact.system.process_facts import describe, start_ticks
from support.command_line import Desk
from support.workshop import Package, Workshop, program

_PR_SET_NAME = 15


@contextmanager
def _running(
    executable: Path, *words: "str | bytes", name: bytes = b""
) -> "Iterator[subprocess.Popen[bytes]]":
    code = f"import ctypes, sys, time; ctypes.CDLL(None).prctl({_PR_SET_NAME}, {name!r}); print('up', flush=True); time.sleep(1000)"
    command: list[str | bytes | Path] = [executable, "-c", code] if name else [executable, *words]
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE if name else None)
    try:
        if process.stdout is not None:
            assert process.stdout.readline() == b"up\n"
        own = Path("/proc/self/exe").readlink()
        while not name and Path(f"/proc/{process.pid}/exe").readlink() == own:
            time.sleep(0.001)
        yield process
    finally:
        process.kill()
        process.communicate()


@pytest.mark.parametrize("name", [b") R 1 1 1", b"a b\n) S 0", b"\x1b[31mred", b"((((", b"\xff\xfe"])
def test_sec_45_a_name_with_parentheses_and_newlines_moves_no_field(name: bytes) -> None:
    with _running(Path(sys.executable), name=name) as process:
        found = describe(process.pid, keeper_of(""))
        assert os.fsencode(found.name) == name[:15]
        assert found.uid == os.geteuid()
        assert abs(found.started - time.time()) < 60
        assert start_ticks(process.pid) > 0


def test_sec_45_a_name_reaches_no_terminal_unescaped(desk: Desk) -> None:
    place = desk.place / "p"
    place.mkdir()
    (place / "data").write_text("one")
    manifest = desk.place / "p.toml"
    text = 'format = 1\n[package]\nname = "p"\nversion = "{}"\narchitecture = "all"\n[[tree]]\nsource = "p"\npath = "opt"\n'
    manifest.write_text(text.format(1))
    desk.good("build", str(manifest), "-o", "1.tar.zst")
    desk.good("install", "--allow-unsigned", "1.tar.zst")
    (place / "data").write_text("two")
    manifest.write_text(text.format(2))
    desk.good("build", str(manifest), "-o", "2.tar.zst")
    libc, before = ctypes.CDLL(None), Path("/proc/self/comm").read_bytes()
    with (desk.root / "opt/data").open():
        libc.prctl(_PR_SET_NAME, b"\x1b[31m\n) x")
        try:
            told = desk.good("install", "--allow-unsigned", "2.tar.zst").out + desk.good("ps").out
        finally:
            libc.prctl(_PR_SET_NAME, before.strip())
    assert "\x1b" not in told
    assert told.count("\\x1b[31m\\x0a) x (pid ") == 2


def test_sec_45_a_live_file_called_deleted_is_no_deleted_file(tmp_path: Path) -> None:
    live, gone = tmp_path / "y (deleted)", tmp_path / "y"
    live.write_text("live")
    gone.write_text("gone")
    with live.open(), gone.open():
        gone.unlink()
        mine = {one.shown: one.is_deleted for one in held_files(pids={os.getpid()}) if one.how == "fd"}
    assert mine[str(live)] is False
    assert mine[str(gone)] is True


def test_sec_45_the_same_path_in_another_root_is_another_file(workshop: Workshop) -> None:
    """A process whose links in /proc read like the old file's, with the mark of a deleted one, and that is none."""
    workshop.install(Package("tool", "1", program("usr/bin/tool", "1")))
    other = workshop.place / "other"
    shutil.copytree(workshop.path, other)
    workshop.install(Package("tool", "2", program("usr/bin/tool", "2")))
    imitation = workshop.path / "usr/bin/imitation"
    shutil.copy(other / "usr/bin/tool", imitation)
    with _running(imitation, "1000") as process:
        imitation.rename(workshop.path / "usr/bin/tool (deleted)")
        assert str(Path(f"/proc/{process.pid}/exe").readlink()).endswith("usr/bin/tool (deleted)")
        with workshop.opened() as root:
            assert find_in_use(root).uses == ()


@pytest.mark.parametrize(
    "unit", ["--now.service", "a b.service", "$(id).service", "x;reboot.service", "a\x1b.service"]
)
def test_sec_45_no_word_of_a_control_group_becomes_an_option_or_a_command(unit: str) -> None:
    assert keeper_of(f"0::/system.slice/{unit}").kind is KeeperKind.NOBODY


def test_sec_45_what_a_user_names_below_his_own_manager_is_never_restarted() -> None:
    keeper = keeper_of("0::/user.slice/user-1000.slice/user@1000.service/system.slice/sshd.service")
    assert keeper.kind is KeeperKind.USER_UNIT
    assert restart_obstacle(keeper) is not None


def test_sec_45_nobody_is_signalled_by_his_number() -> None:
    sources = Path(__file__).parents[2] / "src/intact"
    modules = ["operations/in_use.py", "operations/restarting.py", "system/units.py", "system/processes.py"]
    modules += ["system/process_facts.py", "system/process_content.py", "cli/using.py"]
    assert [one for one in modules if "os.kill" in (sources / one).read_text()] == []
