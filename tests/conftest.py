"""Fixtures that every test may use."""

import os
import secrets
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

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
