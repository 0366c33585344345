"""Acts. Who may change this root now?

An flock on an open file: it ends with its holder, whatever ends the holder, so there is no stale lock.
The text inside only tells people who holds it; nothing decides by it.
"""

import errno
import fcntl
import os
import time

from intact.model.errors import Locked, machine_error

__all__ = ["hold_lock"]

_POLL = 0.05
_MOST_TEXT = 512


def hold_lock(fd: int, place: str, *, timeout: float, holder: str) -> None:
    """Take the exclusive lock on `fd`, waiting at most `timeout` seconds, and leave `holder` in it.

    Raises:
        Locked: another process keeps it; the message names that process.
    """
    deadline = time.monotonic() + timeout
    while not _try(fd, place):
        if time.monotonic() >= deadline:
            raise Locked(
                f"another pkg is at work: {_holder(fd)}",
                path=place,
                remedy="wait for it, or run the command again with a longer --lock-timeout SECONDS",
            )
        time.sleep(_POLL)
    try:
        os.ftruncate(fd, 0)
        os.pwrite(fd, holder.encode(errors="backslashreplace")[:_MOST_TEXT], 0)
    except OSError as error:
        if error.errno not in {errno.ENOSPC, errno.EDQUOT}:  # the name is a courtesy, the lock is not
            raise machine_error("lock", error, place) from error


def _try(fd: int, place: str) -> bool:
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        raise machine_error("lock", error, place) from error
    return True


def _holder(fd: int) -> str:
    text = os.pread(fd, _MOST_TEXT, 0).decode(errors="replace").strip()
    return text or "it has not said who it is"
