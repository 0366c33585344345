"""Acts. How does a file outside the root (a bundle, a key) get to its name, whole or not at all?

A new file is written without a name, or under a temporary one where the filesystem knows only files with names; it is
synced, renamed, and the directory is synced. An interrupted write leaves the old file as it was, and a killed one, unless
it is between its name and the rename, nothing else beside it.
"""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from intact.model.errors import MachineError, machine_error
from intact.system import syscalls
from intact.system.destinations import obstacle

__all__ = [
    "append",
    "append_file",
    "insist_on_replaceable",
    "refusal_to_write",
    "remove_scratch",
    "replace_file",
    "scratch_file",
    "sync_directory",
    "write_new_file",
]

_CREATE = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_NAMELESS = os.O_RDWR | os.O_TMPFILE | os.O_CLOEXEC
_LITTLE = 1 << 16
_COPIED = 1 << 20


@contextmanager
def replace_file(path: Path, mode: int = 0o644) -> Iterator[BinaryIO]:
    """Write the new content of `path`; it appears when the block ends without an exception.

    Raises:
        MachineError: it could not be written, or is a device, a FIFO or the like; what was there is untouched.
    """
    insist_on_replaceable(path)
    temporary = path.parent / f".{os.urandom(16).hex()}.tmp"
    try:
        descriptor = _open_nameless(path.parent)
        is_nameless = descriptor is not None
        if descriptor is None:
            descriptor = os.open(temporary, _CREATE, 0o600)
    except OSError as error:
        raise machine_error("create", error, str(path)) from error
    try:
        with os.fdopen(descriptor, "w+b") as file:
            yield file
            file.flush()
            os.fchmod(file.fileno(), mode)
            os.fsync(file.fileno())
            if is_nameless:
                syscalls.link_open_file(file.fileno(), os.fspath(temporary))
        os.rename(temporary, path)
        sync_directory(path.parent)
    except OSError as error:
        remove_scratch(temporary)
        raise machine_error("write", error, str(path)) from error
    except BaseException:
        remove_scratch(temporary)
        raise


def insist_on_replaceable(path: Path) -> None:
    """Make sure that a file may take the place of what stands at `path`, if anything does.

    Raises:
        MachineError: it is a device, a FIFO or the like, or cannot be looked at.
    """
    against = obstacle(path)
    if against is not None:
        refused = OSError(
            errno.EISDIR if path.is_dir() else errno.EEXIST,
            f"it is {against}; a file does not take its place",
        )
        told = machine_error("create", refused, str(path))
        told.remedy = told.remedy or "name another file"
        raise told


def _open_nameless(directory: Path) -> int | None:
    """Open a new file that has no name yet; None where that is impossible, or no name could be given to it."""
    try:
        descriptor = os.open(directory, _NAMELESS, 0o600)
    except OSError:  # whatever it is, a file with a name will tell
        return None
    if os.path.exists(f"/proc/self/fd/{descriptor}"):
        return descriptor
    os.close(descriptor)
    return None


def append(file: BinaryIO, content: bytes | memoryview) -> None:
    """Write to a new file; the disk begins meanwhile, so that the sync at its end waits less.

    Raises:
        OSError: it could not be written.
    """
    file.write(content)
    file.flush()
    syscalls.start_write_back(file.fileno())


def append_file(source: BinaryIO, target: BinaryIO) -> None:
    """Copy all of a file behind what a new one has.

    Raises:
        OSError: something could not be read or written.
    """
    source.flush()
    target.seek(0, os.SEEK_END)
    piece = memoryview(bytearray(_COPIED))  # the same memory again and again: quicker than copy_file_range(2)
    at = 0
    while count := os.preadv(source.fileno(), [piece], at):
        append(target, piece[:count])
        at += count


def remove_scratch(path: Path) -> None:
    """Remove a file that nobody wants any more, if that is possible."""
    with suppress(OSError):  # the error that led here is the one to tell
        os.unlink(path)


def sync_directory(path: Path) -> None:
    """Make the names in a directory durable; raises OSError."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_new_file(path: Path, content: bytes, mode: int) -> None:
    """Create a file that must not exist, durably, never readable by more than `mode` allows.

    Raises:
        MachineError: EEXIST if the name is taken, or the system refused.
    """
    try:
        descriptor = os.open(path, _CREATE, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fchmod(file.fileno(), mode)
            os.fsync(file.fileno())
        sync_directory(path.parent)
    except OSError as error:
        raise machine_error("create", error, str(path)) from error


@contextmanager
def scratch_file(directory: Path) -> Iterator[BinaryIO]:
    """Yield an anonymous file on the filesystem of `directory`; it is gone when the block ends.

    Raises:
        MachineError: it could not be created.
    """
    temporary = directory / f".{os.urandom(8).hex()}.tmp"
    try:
        descriptor = os.open(temporary, _CREATE, 0o600)
        os.unlink(temporary)
    except OSError as error:
        raise machine_error("create", error, str(directory)) from error
    file = os.fdopen(descriptor, "w+b")
    try:
        yield file
    finally:
        with suppress(OSError):  # what a full disk kept from being written was told when it was written
            file.close()


def refusal_to_write(directory: Path) -> OSError | None:
    """Write a little on the filesystem of `directory`; return what the system has against it."""
    try:
        with scratch_file(directory) as file:
            file.write(bytes(_LITTLE))
            file.flush()
            os.fsync(file.fileno())
    except MachineError as error:
        return OSError(error.errno, os.strerror(error.errno))
    except OSError as error:
        return error
    return None
