"""Acts. A disk that writes down what reaches it, in order: each write, and each flush.

A FUSE filesystem with one file in it, `disk`, on which a loop device stands. The loop driver turns the block
layer's writes into writes of this file and its flushes (REQ_OP_FLUSH, and what stands for FUA) into fsync. So the
log is what a drive with a volatile cache would have seen. A file `mark` takes remarks from outside; the remark
``fail after N`` lets N more writes through, and answers with EIO from then on.

    python -m proof.recorder MOUNTPOINT IMAGE LOG

The log is a sequence of records: one letter (W write, F flush, M remark), offset and length as 64-bit
numbers, and the data of that length.
"""

import errno
import mmap
import stat
import struct
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mfusepy  # type: ignore[import-untyped]

__all__ = ["Record", "read_log"]

_HEAD = struct.Struct("<cQQ")
_DISK, _MARK = "/disk", "/mark"
_MARK_SIZE = 4096
_FAIL = b"fail after "


@dataclass(frozen=True, slots=True)
class Record:
    """One event at the disk.

    Attributes:
        kind: ``W``, ``F`` or ``M``.
        data: what was written, or the remark.
    """

    kind: str
    offset: int = 0
    data: bytes = b""


def read_log(path: Path) -> Iterator[Record]:
    """Read a log from its beginning."""
    with path.open("rb") as log:
        while head := log.read(_HEAD.size):
            kind, offset, length = _HEAD.unpack(head)
            yield Record(kind.decode(), offset, log.read(length))


class _Recorder(mfusepy.Operations):  # type: ignore[misc]  # untyped
    use_ns = True

    def __init__(self, image: Path, log: Path) -> None:
        self._size = image.stat().st_size
        with image.open("r+b") as file:
            self._disk = mmap.mmap(file.fileno(), self._size)
        self._log = log.open("ab", buffering=0)
        self._left: int | None = None

    def _note(self, kind: bytes, offset: int, data: bytes) -> None:
        self._log.write(_HEAD.pack(kind, offset, len(data)) + data)

    def getattr(self, path: str, fh: int | None = None) -> dict[str, Any]:  # noqa: ARG002
        if path == "/":
            return {"st_mode": stat.S_IFDIR | 0o755, "st_nlink": 2}
        size = {_DISK: self._size, _MARK: _MARK_SIZE}.get(path)
        if size is None:
            raise mfusepy.FuseOSError(errno.ENOENT)
        return {"st_mode": stat.S_IFREG | 0o600, "st_nlink": 1, "st_size": size}

    def open(self, path: str, flags: int) -> int:  # noqa: ARG002
        return 1 if path == _DISK else 2

    def read(self, path: str, size: int, offset: int, fh: int) -> bytes:  # noqa: ARG002
        return self._disk[offset : offset + size]

    def write(self, path: str, data: bytes, offset: int, fh: int) -> int:  # noqa: ARG002
        if path == _MARK:
            self._note(b"M", 0, data)
            if data.startswith(_FAIL):
                self._left = int(data[len(_FAIL) :])
        else:
            self._count()
            self._note(b"W", offset, data)
            self._disk[offset : offset + len(data)] = data
        return len(data)

    def _count(self) -> None:
        if self._left is not None:
            self._left -= 1
            self._insist_on_health()

    def _insist_on_health(self) -> None:
        if self._left is not None and self._left < 0:
            raise mfusepy.FuseOSError(errno.EIO)

    def truncate(self, path: str, length: int, fh: int | None = None) -> int:  # noqa: ARG002
        return 0

    def fsync(self, path: str, datasync: int, fh: int) -> int:  # noqa: ARG002
        if path == _DISK:
            self._insist_on_health()
            self._note(b"F", 0, b"")
        return 0


def main() -> None:
    """Serve until it is unmounted."""
    mountpoint, image, log = sys.argv[1:]
    mfusepy.FUSE(
        _Recorder(Path(image), Path(log)),
        mountpoint,
        foreground=True,
        nothreads=True,
        fsname="intact-recorder",
    )


if __name__ == "__main__":
    main()
