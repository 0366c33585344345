"""Thousands of files are unpacked by several processes; whatever becomes of one of them, the root is as with one."""

import errno
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from intact.model.errors import BundleDamaged, NoSpace
from intact.model.objects import Attributes
from intact.model.paths import RelPath
from intact.operations.root import Environment
from intact.operations.verify import verify
from intact.system import forks, linux
from intact.system.newfile import put_file
from intact.system.workers import processors
from support.workshop import Package, Workshop, file, hardlink, snapshot, state_files, symlink

FILES = 2600
MANY = Package(
    "many",
    "1",
    *(file(f"opt/many/{number % 50}/{number:04}", f"content {number}" * 9) for number in range(FILES)),
    file("opt/many/25/large", "large" * 500_000),
    file("opt/many/conf", "setting", config=True),
    symlink("opt/many/link", "0/0000"),
    hardlink("opt/many/second", "opt/many/1/0001"),
)
LATE = "opt/many/49/"  # in the second half
Content = Iterable[bytes | memoryview]

needs_two = pytest.mark.skipif(processors() < 2, reason="one processor makes no children")


@pytest.fixture(autouse=True)
def _alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Other tests of this process may have left a thread behind that waits for something for ever."""
    left, counted = threading.active_count() - 1, threading.active_count
    monkeypatch.setattr(threading, "active_count", lambda: counted() - left)


@pytest.fixture
def workshop(fast_path: Path) -> Workshop:
    """An empty root."""
    return Workshop(fast_path / "workshop")


@pytest.fixture
def expected(fast_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, tuple[object, ...]]:
    """What one process makes of it."""
    with monkeypatch.context() as alone:
        alone.setattr(forks, "processors", lambda: 1)
        other = Workshop(fast_path / "other")
        other.install(MANY)
    return snapshot(other)


class Putting:
    """Sees each file that is put into its place, and whether a child does it.

    Attributes:
        before: called with the name, and with the answer to that.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch, log: Path) -> None:
        self.before: Callable[[str, object], None] = lambda _name, _is_child: None
        self.here = os.getpid()
        self.log = os.open(log, os.O_RDWR | os.O_CREAT | os.O_APPEND)
        monkeypatch.setattr(linux, "put_file", self._put)

    def _put(self, parent: int, name: str, content: Content, attributes: Attributes) -> int:
        self.before(name, os.getpid() != self.here)
        number = put_file(parent, name, content, attributes)
        os.write(self.log, b"%d %s\n" % (os.getpid(), name.encode()))
        return number

    def put(self) -> list[tuple[bool, str]]:
        """Tell for each file whether a child put it there, and its name."""
        text = os.pread(self.log, 1 << 20, 0).decode()
        lines = [line.split() for line in text.splitlines()]
        return [(int(pid) != self.here, name) for pid, name in lines]


@pytest.fixture
def putting(monkeypatch: pytest.MonkeyPatch, fast_path: Path) -> Putting:
    """Sees what is put into its place."""
    return Putting(monkeypatch, fast_path / "log")


@needs_two
def test_a_child_takes_over_about_half_and_the_root_is_as_with_one_process(
    workshop: Workshop, expected: dict[str, tuple[object, ...]], putting: Putting
) -> None:
    workshop.install(MANY)
    assert snapshot(workshop) == expected
    put = putting.put()
    assert len({name for _, name in put}) == len(put) == FILES + 2
    assert FILES / 4 < sum(is_child for is_child, _ in put) < FILES * 3 / 4
    with workshop.opened() as root:
        assert verify(root, ["many"], Environment()).differences == ()
        with root.database() as database:
            recorded = {one.location: one.inode for one in database.entries("many")}
    assert all(
        recorded[RelPath(location)] == (workshop.path / location).lstat().st_ino
        for location, described in expected.items()
        if described[0] == "file"
    )
    assert workshop.install(MANY).changed is False


@needs_two
@pytest.mark.parametrize("how", ["killed", "no space", "ended"])
def test_what_a_child_did_not_finish_is_done_again(
    how: str, workshop: Workshop, expected: dict[str, tuple[object, ...]], putting: Putting
) -> None:

    def before(name: str, is_child: object) -> None:
        if is_child and name == "2449":
            if how == "no space":
                raise OSError(errno.ENOSPC, "No space left on device")
            if how == "ended":
                sys.exit(0)
            os.kill(os.getpid(), signal.SIGKILL)

    putting.before = before
    workshop.install(MANY)
    assert snapshot(workshop) == expected
    put = putting.put()
    assert (False, "2449") in put
    again = {name for is_child, name in put if is_child} & {name for is_child, name in put if not is_child}
    assert len(again) > FILES / 4


@needs_two
@pytest.mark.parametrize("name", ["0000", "2449"])
def test_what_goes_wrong_in_either_half_is_told_once_and_nothing_stays(
    name: str, workshop: Workshop, putting: Putting
) -> None:

    def before(put: str, _is_child: object) -> None:
        if put == name:
            raise OSError(errno.ENOSPC, "No space left on device")

    putting.before = before
    with pytest.raises(NoSpace, match=name):
        workshop.install(MANY)
    assert snapshot(workshop) == {}
    assert not any("transactions/" in one for one in state_files(workshop))


@needs_two
def test_damage_in_the_half_of_a_child_is_told_as_in_the_other(workshop: Workshop) -> None:
    bundle = workshop.bundle(MANY)
    stored = bytearray(bundle.read_bytes())
    stored[-2000] ^= 1
    bundle.write_bytes(stored)
    with pytest.raises(BundleDamaged, match="digest of the frame table"):
        workshop.install(MANY)
    assert snapshot(workshop) == {}


@needs_two
def test_an_interruption_ends_the_child_and_discards_what_both_have_made(
    workshop: Workshop, putting: Putting
) -> None:
    ended = os.memfd_create("ended")

    def before(name: str, is_child: object) -> None:
        if is_child and name == "2449":
            os.write(ended, b"%d" % os.getpid())
            os.kill(putting.here, signal.SIGINT)
            time.sleep(60)

    putting.before = before
    with pytest.raises(KeyboardInterrupt):
        workshop.install(MANY)
    child = int(os.pread(ended, 20, 0))
    assert not Path(f"/proc/{child}").exists()
    assert snapshot(workshop) == {}
    assert not any("transactions/" in one for one in state_files(workshop))


_KILLED = """
import os, signal, sys, time
from intact.cli.main import main
from intact.system import linux
from intact.system.newfile import put_file
from intact.system.workers import processors

here = os.getpid()

def put(parent, name, content, attributes):
    if name == "2449":
        os.kill(here, signal.SIGKILL)
        time.sleep(60)
    return put_file(parent, name, content, attributes)

linux.put_file = put
sys.argv = ["pkg", "--root", sys.argv[1], "install", "--allow-unsigned", sys.argv[2]]
main()
"""


@needs_two
def test_after_a_kill_the_child_is_gone_and_the_next_command_finds_the_root_as_it_was(
    workshop: Workshop, expected: dict[str, tuple[object, ...]]
) -> None:
    bundle = workshop.bundle(MANY)
    killed = subprocess.run(
        [sys.executable, "-I", "-B", "-c", _KILLED, str(workshop.path), str(bundle)],
        check=False,
        capture_output=True,
    )
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert snapshot(workshop) == {}
    assert any("transactions/" in one for one in state_files(workshop))
    workshop.install(MANY)  # within the time that it waits for a lock
    assert snapshot(workshop) == expected
    assert RelPath(LATE + "2449") in {RelPath(one) for one in expected}
