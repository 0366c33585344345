"""The lock of a root: one holder, a message that names it, and nothing that outlives it."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from intact.model.errors import Locked, MachineError
from intact.model.paths import RelPath
from intact.system.linux import LinuxDisk

LOCK = RelPath("lock")
HOLDER = """
import sys
from intact.model.paths import RelPath
from intact.system.linux import LinuxDisk
disk = LinuxDisk(sys.argv[1])
with disk.locked(RelPath("lock"), timeout=5, holder=sys.argv[2]):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[LinuxDisk]:
    opened = LinuxDisk(str(tmp_path))
    yield opened
    opened.close()


@pytest.fixture
def holder(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process that has the lock."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(tmp_path), "pid 7, `pkg install x`, since noon"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.wait()
    process.stdout.close()
    if process.stdin is not None:
        process.stdin.close()


def test_a_second_holder_is_refused_and_the_first_one_named(
    disk: LinuxDisk, holder: subprocess.Popen[str]
) -> None:
    assert holder.poll() is None
    with pytest.raises(Locked) as caught, disk.locked(LOCK, timeout=0, holder="me"):
        pass
    assert caught.value.message == "another pkg is at work: pid 7, `pkg install x`, since noon"
    assert caught.value.path == "/lock"
    assert "--lock-timeout" in (caught.value.remedy or "")
    assert caught.value.exit_code == 7


def test_it_is_waited_for_and_not_longer_than_said(disk: LinuxDisk, holder: subprocess.Popen[str]) -> None:
    assert holder.poll() is None
    began = time.monotonic()
    with pytest.raises(Locked), disk.locked(LOCK, timeout=0.3, holder="me"):
        pass
    assert time.monotonic() - began >= 0.3


def test_who_waits_gets_it_when_the_holder_ends(disk: LinuxDisk, holder: subprocess.Popen[str]) -> None:
    assert holder.stdin is not None
    holder.stdin.close()
    with disk.locked(LOCK, timeout=20, holder="me"):
        assert (Path(disk.root) / "lock").read_text() == "me"


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_a_holder_that_is_killed_leaves_no_lock(
    how: signal.Signals, disk: LinuxDisk, holder: subprocess.Popen[str]
) -> None:
    holder.send_signal(how)
    holder.wait()
    with disk.locked(LOCK, timeout=0, holder="me"):
        pass


def test_a_name_in_the_file_is_no_lock(disk: LinuxDisk, tmp_path: Path) -> None:
    (tmp_path / "lock").write_text("pid 1, `pkg remove everything`, since ever")
    with disk.locked(LOCK, timeout=0, holder="me"):
        assert (tmp_path / "lock").read_text() == "me"


def test_a_shorter_name_leaves_nothing_of_a_longer_one(disk: LinuxDisk, tmp_path: Path) -> None:
    for name in ("a very long name of a holder", "x"):
        with disk.locked(LOCK, timeout=0, holder=name):
            pass
    assert (tmp_path / "lock").read_text() == "x"


def test_a_name_that_is_no_unicode_or_too_long_is_written_as_far_as_it_goes(
    disk: LinuxDisk, tmp_path: Path
) -> None:
    with disk.locked(LOCK, timeout=0, holder="caf\udcc3 " + "x" * 1000):
        text = (tmp_path / "lock").read_bytes()
    assert text.startswith(b"caf\\udcc3 xxx")
    assert len(text) == 512


def test_a_holder_that_has_not_said_who_it_is(disk: LinuxDisk, holder: subprocess.Popen[str]) -> None:
    assert holder.poll() is None
    (Path(disk.root) / "lock").write_text("")
    with pytest.raises(Locked, match="it has not said who it is"), disk.locked(LOCK, timeout=0, holder="me"):
        pass


def test_the_lock_file_is_for_its_owner_alone(disk: LinuxDisk, tmp_path: Path) -> None:
    with disk.locked(LOCK, timeout=0, holder="me"):
        assert (tmp_path / "lock").stat().st_mode & 0o7777 == 0o600


def test_a_link_in_its_place_is_not_followed(disk: LinuxDisk, tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("untouched")
    (tmp_path / "lock").symlink_to(victim)
    with pytest.raises(MachineError, match="ELOOP"), disk.locked(LOCK, timeout=0, holder="me"):
        pass
    assert victim.read_text() == "untouched"


def test_a_directory_in_its_place_is_told(disk: LinuxDisk, tmp_path: Path) -> None:
    (tmp_path / "lock").mkdir()
    with pytest.raises(MachineError, match="EISDIR"), disk.locked(LOCK, timeout=0, holder="me"):
        pass


def test_no_descriptor_is_left_open(disk: LinuxDisk, holder: subprocess.Popen[str]) -> None:
    assert holder.poll() is None
    before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208  a listing of descriptors
    for _ in range(5):
        with pytest.raises(Locked), disk.locked(LOCK, timeout=0, holder="me"):
            pass
    assert len(os.listdir("/proc/self/fd")) == before  # noqa: PTH208
