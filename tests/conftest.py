"""Fixtures that every test may use."""

import os
import secrets
import shutil
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from intact.cli.main import run_command
from support.command_line import Desk, Result
from support.workshop import Workshop

# A shell's background job ignores SIGINT, and so would each process that a test interrupts.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def fast_path(tmp_path: Path) -> Iterator[Path]:
    """A directory in memory, where syncs cost nothing; on disk where there is no /dev/shm."""
    memory = Path("/dev/shm")
    if not os.access(memory, os.W_OK):
        yield tmp_path
        return
    place = memory / f"intact-test-{os.getpid()}-{secrets.token_hex(4)}"
    place.mkdir()
    yield place
    shutil.rmtree(place)


@pytest.fixture
def workshop(fast_path: Path) -> Workshop:
    """An empty root, and a place for bundles."""
    return Workshop(fast_path / "workshop")


@pytest.fixture
def desk(fast_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Desk:
    """An empty root in a working directory of its own."""
    monkeypatch.chdir(fast_path)
    for name in ("PKG_ROOT", "PKG_KEY_PASSPHRASE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")
    (fast_path / "root").mkdir()

    def run(arguments: list[str]) -> Result:
        capfd.readouterr()
        monkeypatch.setattr(sys, "argv", ["pkg", *arguments])
        code = run_command(arguments)
        captured = capfd.readouterr()
        return Result(code, captured.out, captured.err)

    return Desk(fast_path, run)


@pytest.fixture
def trusting(desk: Desk) -> Desk:
    """A desk with a key, which its root trusts."""
    desk.good("key", "generate", "key", "--comment", "publisher@example.org")
    desk.good("key", "trust", "key.pub", "--yes")
    return desk
