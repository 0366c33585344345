"""A digest is that of everything that can be read, whatever the size was a moment ago."""

import errno
import hashlib
import os
from pathlib import Path

import pytest

from intact.system.reading import READ, digest_of

LARGE = (1 << 17) + 3


@pytest.mark.parametrize("size", [0, 1, 5, 1 << 17, LARGE])
@pytest.mark.parametrize("said", [None, 0, 1, 5, 1 << 17, LARGE])
def test_all_of_a_file_is_hashed(tmp_path: Path, size: int, said: int | None) -> None:
    content = os.urandom(size)
    (tmp_path / "x").write_bytes(content)
    fd = os.open(tmp_path / "x", READ)
    try:
        assert digest_of(fd, said) == hashlib.sha256(content).hexdigest()
    finally:
        os.close(fd)


def test_an_error_behind_a_short_read_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = [b"abc"]

    def read(_fd: int, _most: int) -> bytes:
        if answers:
            return answers.pop()
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "read", read)
    with pytest.raises(OSError, match="Input/output error"):
        digest_of(-1, 5)
