"""Acts. How does a new file come to be: exclusively, private until it is whole, and then with its attributes?"""

import os
from collections.abc import Iterable
from contextlib import suppress

from intact.model.errors import machine_error
from intact.model.objects import Attributes, Observed
from intact.model.paths import RelPath
from intact.system.attributes import apply_attributes, observed

__all__ = ["CREATE", "LinuxFileWriter", "close_quietly", "put_file", "write_all"]

CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


def write_all(fd: int, data: bytes | memoryview) -> None:
    """Append all of `data`; raises OSError."""
    written = os.write(fd, data)
    if written != len(data):  # seldom: no room for more, or a signal came
        view = memoryview(data)[written:]
        while view:
            view = view[os.write(fd, view) :]


def put_file(parent: int, name: str, content: Iterable[bytes | memoryview], attributes: Attributes) -> int:
    """Create a file with this content and these attributes; return its inode number.

    Raises:
        OSError: the system refused. What `content` raises comes through; the file is then closed as it is.
    """
    fd = os.open(name, CREATE, 0o600, dir_fd=parent)
    try:
        for piece in content:
            write_all(fd, piece)
        inode = apply_attributes(fd, attributes)
    except BaseException:
        close_quietly(fd)
        raise
    os.close(fd)  # may report ENOSPC or EIO (NFS, quotas)
    return inode


def close_quietly(fd: int) -> None:
    """Close a file that something has happened to: the first error is the one to tell."""
    with suppress(OSError):
        os.close(fd)


class LinuxFileWriter:
    """A new file, written through its only descriptor."""

    def __init__(self, fd: int, path: RelPath) -> None:
        self._fd = fd
        self._path = path

    def write(self, data: bytes | memoryview) -> None:
        """Append all of `data`."""
        try:
            write_all(self._fd, data)
        except OSError as error:
            raise machine_error("write", error, f"/{self._path}") from error

    def finish(self, attributes: Attributes) -> Observed:
        """Set the attributes and tell what the file has become."""
        try:
            apply_attributes(self._fd, attributes)
            return observed(os.fstat(self._fd))
        except OSError as error:
            raise machine_error("set_attributes", error, f"/{self._path}") from error
