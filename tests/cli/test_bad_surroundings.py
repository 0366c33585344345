"""A machine on which it cannot work: no space, no permission, no root, somebody else at work, a newer version."""

import os
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from intact.state.layout import StateLayout
from intact.system.linux import LinuxDisk
from support.command_line import Desk, Result, clean_environment

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root to mount, or to become another user")

STATE = "root/var/lib/intact"

# The interpreter's own files may be closed to other users: modules first, then another user.
_AS_NOBODY = """
import importlib, os, pkgutil, sys
import intact
for module in pkgutil.walk_packages(intact.__path__, "intact."):
    importlib.import_module(module.name)
import click.shell_completion, rich.progress, cryptography.hazmat.primitives.serialization
os.setgroups([]); os.setgid(65534); os.setuid(65534)
sys.argv[0] = "pkg"
from intact.cli.main import main
main()
"""


@pytest.fixture
def settled(trusting: Desk) -> Desk:
    """A root with a package, and a bundle of its next version."""
    trusting.good("install", trusting.bundle("app", "1", {"usr/app": "old", "usr/gone": "old"}))
    trusting.bundle("app", "2", {"usr/app": "new", "usr/new": "new"})
    return trusting


@contextmanager
def mounted(*arguments: str | Path) -> Iterator[None]:
    done = subprocess.run(["mount", *arguments], capture_output=True, check=False)
    if done.returncode != 0:
        pytest.skip("this machine cannot mount")
    try:
        yield
    finally:
        subprocess.run(["umount", arguments[-1]], check=True)


def as_nobody(desk: Desk, *arguments: str) -> Result:
    done = subprocess.run(
        [sys.executable, "-B", "-c", _AS_NOBODY, "--root", "root", *arguments],
        cwd=desk.place,
        env=clean_environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    return Result(done.returncode, done.stdout, done.stderr)


def open_to_all(desk: Desk) -> None:
    for path in (desk.place, *desk.place.glob("*.tar.zst")):
        path.chmod(stat.S_IMODE(path.stat().st_mode) | 0o555)


CHANGING: dict[str, tuple[str, ...]] = {
    "install": ("install", "app-2.tar.zst"),
    "remove": ("remove", "app"),
    "rollback": ("rollback",),
    "trust": ("key", "trust", "key.pub", "--yes"),
}
ASKING: dict[str, tuple[str, ...]] = {
    "list": ("list",),
    "info": ("info", "app"),
    "files": ("files", "app"),
    "owner": ("owner", "/usr/app"),
    "history": ("history",),
    "config": ("config",),
    "keys": ("key", "list"),
    "export": ("key", "export"),
    "inspect": ("inspect", "app-2.tar.zst"),
}
ALL = {**CHANGING, **ASKING, "verify": ("verify",), "status": ("recover", "--status")}


@pytest.mark.parametrize("name", ALL)
def test_a_root_that_does_not_exist_is_told_and_not_made(name: str, settled: Desk) -> None:
    result = settled.bare("--root", "nowhere", *ALL[name])
    assert result.code == 1
    assert "pkg: nowhere: the root cannot be opened (ENOENT" in result.err
    assert "next: create it first (mkdir -p nowhere)" in result.err
    assert not (settled.place / "nowhere").exists()


def test_a_root_that_is_a_file_is_told(settled: Desk) -> None:
    result = settled.bare("--json", "--root", "key.pub", "list")
    assert (result.code, result.json["error"]["kind"]) == (1, "RootUnusable")
    assert "ENOTDIR" in result.err


@contextmanager
def locked(desk: Desk) -> Iterator[None]:
    disk = LinuxDisk(str(desk.root))
    with disk.locked(StateLayout().lock, timeout=1, holder="pid 77, `pkg install x`, since noon"):
        yield
    disk.close()


@pytest.mark.parametrize("name", CHANGING)
def test_a_second_pkg_is_told_who_is_at_work(name: str, settled: Desk) -> None:
    before = settled.snapshot()
    with locked(settled):
        result = settled("--lock-timeout", "0", *CHANGING[name])
    assert result.code == 7
    assert "another pkg is at work: pid 77, `pkg install x`, since noon" in result.err
    assert "--lock-timeout" in result.err
    assert settled.snapshot() == before


@pytest.mark.parametrize("name", ASKING)
def test_those_who_only_ask_do_not_wait(name: str, settled: Desk) -> None:
    with locked(settled):
        assert settled("--lock-timeout", "0", *ASKING[name]).code == 0


def _alter(desk: Desk, statement: str) -> None:
    """Change the published database behind the back of everybody."""
    with closing(sqlite3.connect(desk.place / STATE / "installed.db")) as connection:
        connection.execute(statement)
        connection.commit()


@pytest.mark.parametrize(
    "name", [name for name in ALL if name not in {"keys", "export", "inspect", "trust", "status"}]
)
def test_a_database_of_a_newer_version_is_left_alone(name: str, settled: Desk) -> None:
    _alter(settled, "PRAGMA user_version = 99")
    before = settled.snapshot(), (settled.place / STATE / "installed.db").read_bytes()
    result = settled("--json", *ALL[name])
    assert (result.code, result.json["error"]["kind"]) == (1, "DatabaseTooNew")
    assert "format 99" in result.err
    assert "next: use the newer pkg" in result.err
    assert (settled.snapshot(), (settled.place / STATE / "installed.db").read_bytes()) == before


DAMAGE: dict[str, Callable[[Path], object]] = {
    "is text": lambda path: path.write_text("hello" * 1000),
    "is cut off": lambda path: path.write_bytes(path.read_bytes()[:5000]),
    "is empty": lambda path: path.write_bytes(b""),
}


@pytest.mark.parametrize("name", DAMAGE)
def test_a_damaged_database_is_told_as_such(name: str, settled: Desk) -> None:
    before = settled.snapshot()
    DAMAGE[name](settled.place / STATE / "installed.db")
    for arguments in (("list",), ("install", "app-2.tar.zst"), ("verify",)):
        result = settled("--json", *arguments)
        assert (result.code, result.json["error"]["kind"]) == (6, "DatabaseDamaged"), arguments
        assert "next: " in result.err
    assert settled.snapshot() == before


def test_a_trust_store_that_breaks_its_rules_trusts_nobody(settled: Desk) -> None:
    before = settled.snapshot()
    (settled.place / STATE / "trust.toml").write_text("format = 1\n[[key]]\npublic_key = 5\ncolour = 1\n")
    result = settled("install", "app-2.tar.zst")
    assert result.code == 1
    assert "the trust store cannot be used" in result.err
    assert "key[1].colour: unknown key" in result.err
    assert settled.snapshot() == before


@needs_root
def test_a_full_filesystem_is_found_before_anything_is_touched(desk: Desk) -> None:
    with mounted("-t", "tmpfs", "-o", "size=3m,mode=755", "none", desk.root):
        big = desk.bundle("big", "1", {"usr/big": "x" * 4_000_000}, key="")
        before = desk.snapshot()
        result = desk("--json", "install", "--allow-unsigned", big)
        assert (result.code, result.json["error"]["kind"], result.json["error"]["errno"]) == (
            9,
            "NoSpace",
            "ENOSPC",
        )
        assert "bytes are needed for new and old together" in result.err
        assert "next: free some space" in result.err
        assert desk.snapshot() == before
        assert desk.leftovers() == []


@needs_root
def test_a_filesystem_without_inodes_is_found_too(desk: Desk) -> None:
    with mounted("-t", "tmpfs", "-o", "nr_inodes=30,mode=755", "none", desk.root):
        many = desk.bundle("many", "1", {f"usr/{number}": "x" for number in range(40)}, key="")
        before = desk.snapshot()
        result = desk("install", "--allow-unsigned", many)
        assert (result.code, "inodes are needed" in result.err) == (9, True)
        assert desk.snapshot() == before


@needs_root
@pytest.mark.parametrize("name", CHANGING)
def test_a_read_only_root_is_told_with_what_to_type(name: str, settled: Desk) -> None:
    with mounted("--bind", settled.root, settled.root):
        subprocess.run(["mount", "-o", "remount,bind,ro", settled.root], check=True)
        before = settled.snapshot()
        result = settled(*CHANGING[name])
        assert result.code == 1
        assert "EROFS" in result.err
        assert "remount" in result.err
        assert settled.snapshot() == before
        assert all(settled(*arguments).code == 0 for arguments in ASKING.values())


@needs_root
@pytest.mark.parametrize("name", CHANGING)
def test_another_user_may_not_change_the_root(name: str, settled: Desk) -> None:
    open_to_all(settled)
    before = settled.snapshot()
    result = as_nobody(settled, *CHANGING[name])
    assert (result.code, result.out) == (1, "")
    assert "now: the root is as it was" in result.err
    assert "next: run the command as root" in result.err
    assert "Traceback" not in result.err
    assert settled.snapshot() == before


@needs_root
@pytest.mark.parametrize("name", ASKING)
def test_another_user_may_ask(name: str, settled: Desk) -> None:
    open_to_all(settled)
    result = as_nobody(settled, *ASKING[name])
    assert (result.code, result.err) == (0, "")
    assert result.out == settled(*ASKING[name]).out


@needs_root
def test_another_user_cannot_read_a_private_key_and_is_told(settled: Desk) -> None:
    open_to_all(settled)
    result = as_nobody(settled, "sign", "app-2.tar.zst", "--key", "key")
    assert (result.code, "EACCES" in result.err) == (1, True), result.err
