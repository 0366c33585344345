"""Acts. How does a new object of a staging tree come to be: exclusively, whole, and with its attributes?

Nobody else can get into a staging tree, so what stays ours may have its final mode from its first moment on, and what
others will get has it with its owner.
"""

import os
import stat
from collections.abc import Iterable
from contextlib import suppress

from intact.model.errors import machine_error
from intact.model.objects import Attributes, Observed
from intact.model.paths import RelPath
from intact.system.attributes import apply_attributes, observed

__all__ = ["CREATE", "LinuxFileWriter", "close_quietly", "put_directory", "put_file", "write_all"]

CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_PRIVATE, _FILLABLE, _ORDINARY = 0o600, 0o700, 0o777


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
    fd = _create(parent, name, attributes.mode if _stays_ours(attributes) else _PRIVATE)
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


def put_directory(parent: int, name: str, attributes: Attributes) -> int | None:
    """Create a directory that can be filled; return its inode number if it has all its attributes, else None.

    Raises:
        OSError: the system refused.
    """
    can_be_filled = attributes.mode & _FILLABLE == _FILLABLE
    is_simple = can_be_filled and not attributes.xattrs and attributes.mtime_ns is None
    mode = attributes.mode if is_simple and _stays_ours(attributes) else _FILLABLE
    before = os.umask(0)
    try:
        os.mkdir(name, mode, dir_fd=parent)
    finally:
        os.umask(before)
    status = os.stat(name, dir_fd=parent, follow_symlinks=False)
    found = (stat.S_IMODE(status.st_mode), status.st_uid, status.st_gid)
    is_complete = is_simple and found == (attributes.mode, attributes.uid, attributes.gid)
    return (
        status.st_ino if is_complete else None
    )  # else: a parent with S_ISGID or a default ACL, another owner, …


def _create(parent: int, name: str, mode: int) -> int:
    before = os.umask(0)  # for this one call: the mode is what was asked for
    try:
        return os.open(name, CREATE, mode, dir_fd=parent)
    finally:
        os.umask(before)


def _stays_ours(attributes: Attributes) -> bool:
    """Tell whether an object is created with its owner, and without rights that a change of owner has to come before."""
    is_ours = (attributes.uid, attributes.gid) == (os.geteuid(), os.getegid())
    return is_ours and not attributes.mode & ~_ORDINARY


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
