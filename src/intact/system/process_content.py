"""Acts. Which running processes still have a file, and what is in it?

A link to a file without a name is not possible on Linux: linkat(2) refuses one whose link count is 0, unless it was
made by O_TMPFILE. So its content is copied, for as long as the process has it. What is copied is hashed on the way; the
text of a link in /proc is a hint for people, and proves nothing.
"""

import errno
import hashlib
import os
import re
import stat
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, NamedTuple

from intact.model.entries import Digest
from intact.model.objects import Identity
from intact.model.values import dataclass
from intact.system.processes import descriptor_tables, each_once, entry_of, processes_listed
from intact.system.syscalls import cached_status

__all__ = ["Copied", "HeldFile", "copy_held", "held_at", "held_files", "name_in_proc", "opened_held"]

_PIECE = 1 << 20
_BLOCK = 1 << 16
_NOTHING = bytes(_BLOCK)
_LINK = re.compile(r"/proc/(\d+)/(?:task/\d+/)?(exe|map_files|fd)(?:/[0-9a-f-]+)?")
_DELETED = " (deleted)"


@dataclass(frozen=True, slots=True)
class HeldFile:
    """A regular file that a process has.

    Attributes:
        link: the name in /proc that leads to it.
        how: ``exe``, ``map_files`` or ``fd``.
        shown: what the kernel calls it, without the mark of a deleted one; not to be believed.
        is_deleted: it has no name any more, or not that one.
    """

    pid: int
    link: str
    how: str
    identity: Identity
    size: int
    shown: str
    is_deleted: bool


def held_files(
    *, sizes: Collection[int] | None = None, pids: Collection[int] | None = None
) -> Iterator[HeldFile]:
    """Yield each regular file that a process executes, maps or has open; one that several have, several times.

    Args:
        sizes: only files of these sizes in bytes.
        pids: only these processes.

    Raises:
        OSError: there is no /proc.
    """
    for pid in _ourselves_last(each_once(processes_listed)):
        if pids is not None and pid not in pids:
            continue
        seen: set[Identity] = set()
        for how, link in _links(pid):
            with suppress(OSError):  # it has gone meanwhile, or is not for us
                identity, mode, size, names = cached_status(link)
                if not stat.S_ISREG(mode) or identity in seen or (sizes is not None and size not in sizes):
                    continue
                seen.add(identity)
                yield _described(pid, link, how, (identity, size, names))


def _described(pid: int, link: str, how: str, status: tuple[Identity, int, int]) -> HeldFile:
    identity, size, names = status
    shown = os.readlink(link)
    # A live file may have a name that ends like the kernel's mark.
    is_marked = shown.endswith(_DELETED) and (names == 0 or not os.path.lexists(shown))
    name = shown.removesuffix(_DELETED) if is_marked else shown
    return HeldFile(pid, link, how, identity, size, name, is_marked)


def _ourselves_last(pids: Iterable[int]) -> Iterator[int]:
    """What we have ourselves we were given (an inherited descriptor), and who gave it has it for longer."""
    own = os.getpid()
    yield from (pid for pid in pids if pid != own)
    yield own


def held_at(link: str) -> HeldFile | None:
    """Return the regular file that a name in /proc leads to; None if that is no name of what a process has.

    Raises:
        OSError: the process does not have it, or it is not for us.
    """
    found = _LINK.fullmatch(link)
    if found is None:
        return None
    identity, mode, size, names = cached_status(link)
    if not stat.S_ISREG(mode):
        raise OSError(errno.EINVAL, "it is no regular file", link)
    return _described(int(found[1]), link, found[2], (identity, size, names))


def _links(pid: int) -> Iterator[tuple[str, str]]:
    door = entry_of(pid)
    yield "exe", f"/proc/{door}/exe"
    tables, _ = descriptor_tables(pid, door)
    for how, entry in (("map_files", door), *(("fd", one) for one in tables)):
        with suppress(OSError):
            for name in os.listdir(f"/proc/{entry}/{how}"):
                yield how, f"/proc/{entry}/{how}/{name}"


def name_in_proc(path: Path) -> str:
    """Return what /proc calls a file that was here: links of its directory followed, as far as that still exists."""
    try:
        fd = os.open(path.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError:
        return str(path if path.is_absolute() else Path.cwd() / path)
    try:
        return str(Path(os.readlink(f"/proc/self/fd/{fd}")) / path.name)
    finally:
        os.close(fd)


@contextmanager
def opened_held(file: HeldFile) -> Iterator[BinaryIO]:
    """Open the file anew, with an offset of our own.

    Raises:
        OSError: the process has let go of it, or we may not.
    """
    fd = os.open(file.link, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with open(fd, "rb") as opened:
        status = os.fstat(fd)
        if Identity(status.st_dev, status.st_ino) != file.identity or not stat.S_ISREG(status.st_mode):
            raise FileNotFoundError(2, "the process has another file there now", file.link)
        yield opened


class Copied(NamedTuple):
    """What was copied.

    Attributes:
        size: in bytes; at most what the file had when it was opened, so that a growing one has an end.
        was_stable: nobody wrote to the file meanwhile.
        growth: by how many bytes it grew meanwhile, which are not in the copy.
    """

    digest: Digest
    size: int
    was_stable: bool
    growth: int


def copy_held(
    source: BinaryIO, write: Callable[[bytes], object], skip: Callable[[int], object] | None = None
) -> Copied:
    """Copy an opened file.

    Args:
        skip: leaves so many bytes out, where there are only zeros: a file with holes gets holes.
    """
    before = os.fstat(source.fileno())
    state = hashlib.sha256()
    left = before.st_size
    while left and (piece := source.read(min(_PIECE, left))):
        left -= len(piece)
        state.update(piece)
        for start in range(0, len(piece), _BLOCK) if skip is not None else ():
            block = piece[start : start + _BLOCK]
            if block == _NOTHING and skip is not None:
                skip(len(block))
            else:
                write(block)
        if skip is None:
            write(piece)
    after = os.fstat(source.fileno())
    is_same = (before.st_size, before.st_mtime_ns) == (after.st_size, after.st_mtime_ns)
    growth = max(0, after.st_size - before.st_size)
    return Copied(Digest(state.hexdigest()), before.st_size - left, is_same, growth)
