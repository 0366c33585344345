"""Acts. Which running processes still have a file, and what is in it?

A link to a file without a name is not possible on Linux: linkat(2) refuses one whose link count is 0, unless it was
made by O_TMPFILE. So its content is copied, for as long as the process has it. What is copied is hashed on the way; the
text of a link in /proc is a hint for people, and proves nothing.
"""

import hashlib
import os
import stat
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from intact.model.entries import Digest
from intact.model.objects import Identity
from intact.model.values import dataclass
from intact.system.processes import each_once, entry_of, processes_listed
from intact.system.syscalls import cached_status

__all__ = ["HeldFile", "copy_held", "held_files", "name_in_proc", "opened_held"]

_PIECE = 1 << 20
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
    for pid in each_once(processes_listed):
        if pids is not None and pid not in pids:
            continue
        seen: set[Identity] = set()
        for how, link in _links(pid):
            with suppress(OSError):  # it has gone meanwhile, or is not for us
                identity, mode, size, names = cached_status(link)
                if not stat.S_ISREG(mode) or identity in seen or (sizes is not None and size not in sizes):
                    continue
                seen.add(identity)
                shown = os.readlink(link)
                # A live file may have a name that ends like the kernel's mark.
                is_marked = shown.endswith(_DELETED) and (names == 0 or not os.path.lexists(shown))
                name = shown.removesuffix(_DELETED) if is_marked else shown
                yield HeldFile(pid, link, how, identity, size, name, is_marked)


def _links(pid: int) -> Iterator[tuple[str, str]]:
    door = entry_of(pid)
    yield "exe", f"/proc/{door}/exe"
    for how in ("map_files", "fd"):
        with suppress(OSError):
            for name in os.listdir(f"/proc/{door}/{how}"):
                yield how, f"/proc/{door}/{how}/{name}"


def name_in_proc(path: Path) -> str:
    """Return what /proc calls a file that was here: links of its directory followed, as far as that still exists."""
    try:
        fd = os.open(path.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError:
        return str(Path.cwd() / path)
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


def copy_held(source: BinaryIO, write: Callable[[bytes], object]) -> tuple[Digest, bool]:
    """Copy an opened file; return the digest of what was copied, and whether it stayed the same meanwhile."""
    before = os.fstat(source.fileno())
    state = hashlib.sha256()
    while piece := source.read(_PIECE):
        state.update(piece)
        write(piece)
    after = os.fstat(source.fileno())
    is_same = (before.st_size, before.st_mtime_ns) == (after.st_size, after.st_mtime_ns)
    return Digest(state.hexdigest()), is_same
