"""Acts. Was it the disk or the database? SQLite tells neither plainly, nor the errno.

A system call that fails below SQLite comes out as one of a few texts; EDQUOT, for one, as a disk I/O error. Then the
file is read here, and where one was being made, another is written beside it, to learn the errno; if that works (the
fault has passed), it is told as EIO with SQLite's words.
"""

import errno
import sqlite3
from pathlib import Path

from intact.model.errors import DatabaseDamaged, IntactError, machine_error
from intact.system.hostfiles import refusal_to_write

__all__ = ["told"]

_OF_THE_SYSTEM = {
    "disk I/O error": errno.EIO,
    "unable to open database file": errno.EIO,
    "unable to open database": errno.EIO,  # by ATTACH, which adds its name
    "database or disk is full": errno.ENOSPC,
    "attempt to write a readonly database": errno.EROFS,
}
_CHUNK = 1 << 20


def told(call: str, error: Exception, path: Path, place: str, *, writing: bool = False) -> IntactError:
    """Return the error that people are told.

    Args:
        call: what was being done.
        error: what SQLite, or the reading of its rows, raised.
        path: the file.
        place: its name for people.
        writing: it was being made.
    """
    words = str(error).partition(":")[0]
    number = _OF_THE_SYSTEM.get(words) if isinstance(error, sqlite3.Error) else None
    refused = _refusal_to_read(path) if isinstance(error, sqlite3.Error) else None
    if refused is not None:  # whatever SQLite has made of it
        return machine_error(call, refused, place)
    if number is None:
        return DatabaseDamaged(
            f"the database cannot be read: {error}",
            path=place,
            root_state="nothing was changed by this command",
            remedy="make it anew with `pkg recover --rebuild`; the packages' own files are not affected",
        )
    return machine_error(call, _refusal(path, number, words, writing=writing), place)


def _refusal(path: Path, number: int, words: str, *, writing: bool) -> OSError:
    refused = refusal_to_write(path.parent) if writing and number == errno.EIO else None
    return refused or OSError(number, f"SQLite: {words}")


def _refusal_to_read(path: Path) -> OSError | None:
    """Read the whole file; return what the system has against it."""
    try:
        with path.open("rb") as file:
            while file.read(_CHUNK):
                pass
    except FileNotFoundError:
        return None  # it was to be made; the fault was somewhere else
    except OSError as error:
        return error
    return None
