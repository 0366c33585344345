"""Acts. Does a filesystem do what it says? Tried with scratch files in a directory of our own."""

import errno
import os
from contextlib import suppress

from intact.system.syscalls import RENAME_EXCHANGE, RENAME_NOREPLACE, renameat2

__all__ = ["FUSE_MAGIC", "flags_are_honoured"]

FUSE_MAGIC = 0x65735546
_ONE, _OTHER = "probe-1", "probe-2"
_REFUSED = frozenset({errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP})


def flags_are_honoured(directory_fd: int) -> bool:
    """Tell whether renameat2 exchanges and spares when it says so; an honest refusal counts as yes.

    Raises:
        OSError: the scratch files could not be made.
    """
    try:
        for name in (_ONE, _OTHER):
            _make(directory_fd, name)
        return _exchanges(directory_fd) and _spares(directory_fd)
    finally:
        for name in (_ONE, _OTHER):
            with suppress(FileNotFoundError):
                os.unlink(name, dir_fd=directory_fd)


def _make(directory_fd: int, name: str) -> None:
    with suppress(FileNotFoundError):  # a crash may have left it
        os.unlink(name, dir_fd=directory_fd)
    fd = os.open(name, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600, dir_fd=directory_fd)
    try:
        os.write(fd, name.encode())
    finally:
        os.close(fd)


def _content(directory_fd: int, name: str) -> str | None:
    try:
        fd = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=directory_fd)
    except FileNotFoundError:
        return None
    with os.fdopen(fd) as file:
        return file.read()


def _exchanges(directory_fd: int) -> bool:
    try:
        renameat2(directory_fd, _ONE, directory_fd, _OTHER, RENAME_EXCHANGE)
    except OSError as error:
        return error.errno in _REFUSED
    return (_content(directory_fd, _ONE), _content(directory_fd, _OTHER)) == (_OTHER, _ONE)


def _spares(directory_fd: int) -> bool:
    try:
        renameat2(directory_fd, _ONE, directory_fd, _OTHER, RENAME_NOREPLACE)
    except OSError as error:
        return error.errno in _REFUSED | {errno.EEXIST}
    return False
