"""What is being written is written back meanwhile; and nobody has to wait for that, or to believe in it."""

import errno
import os
import threading
from contextlib import suppress
from pathlib import Path

import pytest

from intact.model.errors import MachineError
from intact.model.paths import ROOT
from intact.system.linux import LinuxDisk
from intact.system.writeback import writing_back
from proof.listener import Call, is_possible
from proof.supervise import CONTINUE, supervised

needs_listener = pytest.mark.skipif(not is_possible(), reason="needs seccomp's user notification")


def _directory(place: Path) -> int:
    return os.open(place, os.O_RDONLY | os.O_DIRECTORY)


def test_the_thread_and_the_descriptors_end_with_the_block(tmp_path: Path) -> None:
    fd = _directory(tmp_path)
    with writing_back([fd], portion=10) as note:
        note(9)
        assert threading.active_count() == 1
        note(1)
        assert threading.active_count() == 2
    assert threading.active_count() == 1
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(fd)


def test_without_a_portion_there_is_no_thread_and_the_descriptors_are_closed(tmp_path: Path) -> None:
    fd = _directory(tmp_path)
    with writing_back([fd], portion=10) as note:
        note(9)
        assert threading.active_count() == 1
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(fd)


def test_an_error_in_the_block_ends_the_thread_too(tmp_path: Path) -> None:
    with suppress(ZeroDivisionError), writing_back([_directory(tmp_path)], portion=1) as note:
        note(1)
        raise ZeroDivisionError
    assert threading.active_count() == 1


def _write_then_sync(arguments: list[str]) -> int:
    """Tell by the exit code what the sync that counts has said."""
    (root,) = arguments
    disk = LinuxDisk(root)
    disk.watch_filesystem(ROOT)
    with writing_back([_directory(Path(root))], portion=1) as note:
        note(1)
    try:
        disk.sync_filesystem(ROOT)
    except MachineError as error:
        return error.errno
    return 0


@needs_listener
def test_it_syncs_early_and_keeps_errors_to_itself(tmp_path: Path) -> None:
    calls: list[str] = []

    def first_one_fails(_number: int, call: Call) -> int:
        calls.append(call.name)
        return errno.EIO if calls.count("syncfs") == 1 else CONTINUE

    ended = supervised([str(tmp_path)], tmp_path, first_one_fails, command=_write_then_sync)
    assert (ended.code, ended.said, calls.count("syncfs")) == (0, "", 2)


@needs_listener
def test_the_sync_that_counts_comes_all_the_same(tmp_path: Path) -> None:
    count = 0

    def second_one_fails(_number: int, call: Call) -> int:
        nonlocal count
        count += call.name == "syncfs"
        return errno.EIO if call.name == "syncfs" and count == 2 else CONTINUE

    ended = supervised([str(tmp_path)], tmp_path, second_one_fails, command=_write_then_sync)
    assert ended.code == errno.EIO
