"""Stopped before each system call that changes something: who can read or run what?

`pkg` runs as a process of its own; a third process, of another user, looks at the whole root while it stands still.
"""

import json
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from intact.model.entries import FileEntry
from proof.kills import kill_at, recovery_of
from proof.listener import Call, is_possible
from proof.supervise import CONTINUE, count_calls, load_all, run_pkg, supervised
from support.rival import become
from support.workshop import Package, Part, Workshop, file, symlink

pytestmark = [
    pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to look as another user"),
    pytest.mark.skipif(not is_possible(), reason="this kernel has no seccomp user notification"),
]

NOBODY = 65534
SECRET = b"only for its owner"
CAPABILITY = "security.capability"
NET_BIND = bytes.fromhex("0100000200040000000000000000000000000000")
STATE = "var/lib/intact"


def _able(path: str, content: str) -> Part:
    part = file(path, content, 0o755)
    assert isinstance(part.entry, FileEntry)
    return Part(replace(part.entry, xattrs=((CAPABILITY, NET_BIND),)), part.content)


def _package(version: str, *more: Part) -> Package:
    text = f"{SECRET.decode()} {version}"
    return Package(
        "app",
        version,
        file("usr/bin/su", f"su {version}", 0o4755),
        file("usr/bin/write", f"write {version}", 0o2755, owner="2"),
        _able("usr/bin/ping", f"ping {version}"),
        file("etc/app/key", text, 0o600),
        file("etc/app/setting", text, 0o640, config=True),
        file("srv/app/own", text, 0o600, owner="2"),
        *more,
    )


FIRST = _package("1", file("usr/bin/old-su", "old", 0o6755), symlink("usr/bin/link", "su"))
SECOND = _package("2", file("opt/new/su", "new", 0o4711), file("opt/new/key", SECRET.decode(), 0o400))
# Where set-id bits and capabilities may be, with the owner that they have there.
RIGHTS = {
    "usr/bin/su": (0o4755, 0),
    "usr/bin/old-su": (0o6755, 0),
    "opt/new/su": (0o4711, 0),
    "usr/bin/write": (0o2755, 2),
    "usr/bin/ping": (0o755, 0),
}


def _has_rights(path: Path) -> bool:
    seen = path.lstat()
    if not stat.S_ISREG(seen.st_mode):
        return False
    return bool(seen.st_mode & 0o6000) or CAPABILITY in os.listxattr(path, follow_symlinks=False)


def _is_final(root: Path, path: Path) -> bool:
    seen = path.lstat()
    return RIGHTS.get(str(path.relative_to(root))) == (stat.S_IMODE(seen.st_mode), seen.st_uid)


def _look(root: Path) -> list[str]:
    """Say what this user can read or run that is not for him."""
    found = []
    for directory, _, names in os.walk(root):
        for path in (Path(directory, name) for name in names):
            with suppress(OSError):
                if _has_rights(path) and not _is_final(root, path):
                    found.append(f"{path} has rights that it should not have there")
            with suppress(OSError):
                fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW)
                if SECRET in os.read(fd, 10_000):
                    found.append(f"{path} is readable")
                os.close(fd)
    return found


@contextmanager
def _looker(root: Path) -> Iterator[Callable[[], list[str]]]:
    """A process of another user, which looks when it is asked."""
    ask_out, ask_in = os.pipe()
    told_out, told_in = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.close(ask_in)
            become(NOBODY)
            while os.read(ask_out, 1):
                os.write(told_in, json.dumps(_look(root)).encode() + b"\n")
        finally:
            os._exit(0)
    os.close(ask_out)
    os.close(told_in)
    answers = os.fdopen(told_out)

    def look() -> list[str]:
        os.write(ask_in, b"?")
        found: list[str] = json.loads(answers.readline())
        return found

    try:
        yield look
    finally:
        os.close(ask_in)
        answers.close()
        os.waitpid(child, 0)


Prepare = Callable[[Workshop], Any]
STORIES: dict[str, tuple[list[Package], list[str]]] = {
    "install": ([], ["install", "--allow-unsigned", "SECOND"]),
    "upgrade": ([FIRST], ["install", "--allow-unsigned", "SECOND"]),
    "remove": ([FIRST], ["remove", "app"]),
    "rollback": ([FIRST, SECOND], ["rollback"]),
}


def _ready(name: str, workshop: Workshop) -> None:
    load_all()
    for package in STORIES[name][0]:
        workshop.install(package)
    workshop.bundle(SECOND)


def _command(name: str, workshop: Workshop) -> list[str]:
    words = [str(workshop.bundle(SECOND)) if one == "SECOND" else one for one in STORIES[name][1]]
    return ["--root", str(workshop.path), "--quiet", *words]


def _in_state(root: Path) -> list[str]:
    """Name the files with rights in the state directory."""
    return [str(path) for path in (root / STATE).rglob("*") if _has_rights(path)]


def _stopped_everywhere(name: str, workshop: Workshop) -> tuple[list[str], int]:
    """Look before each call; return what was found, and how often a file with rights was in the slots."""
    _ready(name, workshop)
    found: list[str] = []
    staged = 0

    with _looker(workshop.path) as look:

        def policy(number: int, call: Call) -> int:
            nonlocal staged
            found.extend(f"before call {number} ({call.name}): {one}" for one in look())
            staged += bool(_in_state(workshop.path))
            return CONTINUE

        ended = supervised(_command(name, workshop), workshop.place, policy)
        found.extend(look())
    assert ended.code == 0, ended
    return found, staged


@pytest.mark.parametrize("name", STORIES)
def test_sec_24_no_file_is_ever_open_to_others(name: str, workshop: Workshop) -> None:
    found, _ = _stopped_everywhere(name, workshop)
    assert found == []


def test_sec_24_the_looker_would_see_it(workshop: Workshop) -> None:
    _ready("upgrade", workshop)
    with _looker(workshop.path) as look:
        assert look() == []
        (workshop.path / "etc/app/key").chmod(0o604)
        (workshop.path / "usr/bin/other").write_text("x")
        (workshop.path / "usr/bin/other").chmod(0o4755)
        assert len(look()) == 2
        (workshop.path / STATE / "private").chmod(0o755)
        (workshop.path / STATE / "private/transactions").chmod(0o755)


@pytest.mark.parametrize("name", STORIES)
def test_sec_21_nothing_in_the_state_keeps_rights(name: str, workshop: Workshop) -> None:
    _, staged = _stopped_everywhere(name, workshop)
    assert staged or name == "remove"
    assert _in_state(workshop.path) == []


@pytest.mark.parametrize("name", STORIES)
def test_sec_21_nothing_in_the_state_keeps_rights_after_a_crash_at_each_call(
    name: str, workshop: Workshop
) -> None:
    _ready(name, workshop)
    count = len(count_calls(_command(name, workshop.copy("count")), workshop.place))
    for number in range(1, count + 1, 2):
        killed = workshop.copy("killed")
        supervised(_command(name, killed), workshop.place, kill_at(number))
        with _looker(killed.path) as look:
            assert look() == []
            ended = run_pkg(recovery_of(killed), workshop.place)
            assert ended.code == 0, (number, ended)
            assert look() == []
        assert _in_state(killed.path) == [], number
        rights = {str(path.relative_to(killed.path)) for path in killed.path.rglob("*") if _has_rights(path)}
        assert rights in _wholes(name), number
        for path in rights:
            assert _is_final(killed.path, killed.path / path), path


def _wholes(name: str) -> list[set[str]]:
    first = set(RIGHTS) - {"opt/new/su"}
    second = set(RIGHTS) - {"usr/bin/old-su"}
    return {
        "install": [set(), second],
        "upgrade": [first, second],
        "remove": [first, set()],
        "rollback": [second, first],
    }[name]


def test_sec_20_rights_leave_the_backups_and_come_back_with_a_rollback(workshop: Workshop) -> None:
    workshop.install(FIRST)
    before = {path: _whole(workshop.path / path) for path in _wholes("upgrade")[0]}
    assert before["usr/bin/ping"][-1] == NET_BIND
    workshop.install(SECOND)
    workshop.remove("app")
    assert _in_state(workshop.path) == []
    workshop.roll_back(2)
    assert {path: _whole(workshop.path / path) for path in before} == before
    assert _in_state(workshop.path) == []


def _whole(path: Path) -> tuple[object, ...]:
    seen = path.lstat()
    capability = os.getxattr(path, CAPABILITY) if CAPABILITY in os.listxattr(path) else None
    return seen.st_mode, seen.st_uid, seen.st_gid, path.read_bytes(), capability


def test_sec_20_who_holds_a_link_to_a_replaced_program_has_nothing_to_run(workshop: Workshop) -> None:
    """A hardlink that a user has made while fs.protected_hardlinks was 0, and an open descriptor of it."""
    workshop.install(FIRST)
    held = os.open(workshop.path / "usr/bin/su", os.O_RDONLY)
    workshop.install(SECOND)
    mode = os.fstat(held).st_mode
    os.close(held)
    assert mode & 0o6000 == 0


_BY_NAME = {"chmod", "chown", "lchown", "fchmodat", "setxattr", "lsetxattr"}
_GIVING = ("fchown", "fchmod", "fsetxattr")


@pytest.mark.parametrize("name", STORIES)
def test_sec_23_owner_then_mode_then_capabilities_through_one_descriptor(
    name: str, workshop: Workshop
) -> None:
    _ready(name, workshop)
    last: dict[int, int] = {}
    wrong: list[str] = []
    given = 0

    def policy(number: int, call: Call) -> int:
        nonlocal given
        if call.name == "openat":
            last.clear()  # descriptors may be used again
        if call.name in _GIVING:
            rank = _GIVING.index(call.name)
            if rank < last.get(call.arguments[0], 0):
                wrong.append(f"call {number}: {call.name} came late")
            last[call.arguments[0]] = rank
            given += 1
        return CONTINUE

    assert supervised(_command(name, workshop), workshop.place, policy, looking=True).code == 0
    assert wrong == []
    assert given


@pytest.mark.parametrize("name", STORIES)
def test_sec_15_nothing_is_given_by_name(name: str, workshop: Workshop) -> None:
    _ready(name, workshop)
    names = count_calls(_command(name, workshop), workshop.place)
    assert set(names) & _BY_NAME == set()
    assert "fchmod" in names


@pytest.mark.parametrize("name", STORIES)
def test_sec_16_what_is_created_is_new_private_and_no_link(name: str, workshop: Workshop) -> None:
    _ready(name, workshop)
    found: list[str] = []
    shared = 0

    def policy(number: int, call: Call) -> int:
        nonlocal shared
        if call.name == "openat" and call.arguments[2] & os.O_CREAT:
            flags, mode = call.arguments[2], call.arguments[3]
            if not flags & os.O_NOFOLLOW:
                found.append(f"call {number}: follows a link")
            if flags & os.O_EXCL and mode & 0o077:
                found.append(f"call {number}: created with mode {mode:o}")
            shared += not flags & os.O_EXCL
        private = workshop.path / STATE / "private"
        if private.exists() and stat.S_IMODE(private.stat().st_mode) & 0o077:
            found.append(f"call {number}: the private directory is open")
        return CONTINUE

    assert supervised(_command(name, workshop), workshop.place, policy).code == 0
    assert found == []
    assert shared <= 5, "the lock, and SQLite with the scratch files that pkg has created for it"
