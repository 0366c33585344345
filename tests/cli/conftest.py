"""Fixtures of the command line's tests."""

import sys
from pathlib import Path

import pytest

from intact.cli.main import run_command
from support.command_line import Desk, Result


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
