"""Acts. With which steps are experiments made? Each of them works in its own empty directory."""

import errno
import os
from collections.abc import Callable

from intact.model.probes import Outcome, Result

__all__ = ["attempt", "content_of", "make_file", "name_of", "untried"]

_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


def name_of(error: OSError) -> str:
    """Return the errno's name."""
    return errno.errorcode.get(error.errno or 0, f"errno {error.errno}")


def untried(reason: str) -> Outcome:
    """Say why there is no answer."""
    return Outcome(Result.UNTRIED, "", reason)


def attempt(act: Callable[[], object]) -> Outcome:
    """Do it, and tell whether the system refused."""
    try:
        act()
    except OSError as error:
        return Outcome(Result.REFUSED, name_of(error))
    return Outcome(Result.DONE)


def make_file(directory: int, name: str | bytes, content: bytes, mode: int = 0o600) -> None:
    """Create a file."""
    fd = os.open(name, _CREATE, 0o600, dir_fd=directory)
    try:
        view = memoryview(content)
        while view:
            view = view[os.write(fd, view) :]
        os.fchmod(fd, mode)
    finally:
        os.close(fd)


def content_of(directory: int, name: str) -> bytes | None:
    """Read a file; None if there is none."""
    try:
        fd = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=directory)
    except FileNotFoundError:
        return None
    with os.fdopen(fd, "rb") as file:
        return file.read()
