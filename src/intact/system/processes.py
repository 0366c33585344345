"""Acts. Which processes execute, map or hold open one of these files?

By device and inode of what the kernel has opened, never by a text: a link in /proc leads to the object itself, whatever
it is called by now, in whichever mount namespace or chroot, and on a filesystem whose numbers in `maps` are others than
those of stat(2) (btrfs, overlayfs). The numbers in `maps` only save looking at each mapping of each process: a mapping
whose inode number is that of a file in question is looked at every time, any other once for all processes.

Only what the kernel has in memory is asked, so that a dead network filesystem does not stop us.
"""

import ctypes
import errno
import mmap
import os
import re
from collections.abc import Callable, Container, Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path

from intact.model.objects import Identity
from intact.model.processes import Usage, Use
from intact.model.values import dataclass, field, replace
from intact.system.syscalls import (
    cached_identity,
    cached_status,
    cached_time,
    having_inodes,
    share_descriptors,
)

__all__ = [
    "Sighting",
    "Wanted",
    "descriptor_tables",
    "each_once",
    "entry_of",
    "find_uses",
    "has_kept",
    "processes_listed",
]

_MOST_LISTS = 20
_MOST_THREADS = 1000
_NAMES_OF_ONE_THREAD = 3  # st_nlink of /proc/PID/task is the number of threads, and two

# A line of maps: address, rights, offset, device, inode, name; the kernel writes a newline in a name as \\012.
_MAPPING = re.compile(
    rb"(?P<address>\S+)(?P<rest> (?P<rights>\S+) \S+ (?P<numbers>\S+:\S+ (?P<inode>\d+)) .*)"
)
_RESTS = re.compile(rb" .*")  # the `rest` of each line, ten times as fast
_ORDER = {usage: number for number, usage in enumerate(Usage)}
_REFUSED = frozenset({errno.EACCES, errno.EPERM})


@dataclass(slots=True)
class Sighting:
    """What was seen.

    Attributes:
        uses: each process and file once for each way in which it uses it.
        looked_at: number of processes.
        hidden: processes that we may not look into, or not fully.
    """

    uses: list[Use] = field(default_factory=list)
    looked_at: int = 0
    hidden: list[int] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Wanted:
    """The files in question; there can be very many, of which processes have few.

    Attributes:
        inodes: the inode number of each of them; others may have the same.
        has: tells whether this is one of them; asked only for such a number.
        places: each of them, and where it stands now, or None for one that has no name any more; asked only where we may
            not look at all that a process has.
    """

    inodes: Container[int]
    has: Callable[[Identity], bool]
    places: Callable[[], Mapping[Identity, str | None]]


def find_uses(wanted: Wanted, pids: Iterable[int] | None = None) -> Sighting:
    """Look at every process that there is, or at some.

    Raises:
        OSError: there is no /proc.
    """
    seen = Sighting()
    search = _Search(wanted)
    for pid in each_once(processes_listed) if pids is None else pids:
        seen.looked_at += 1
        seen.uses += search.uses_of(pid)
        if search.was_refused:
            seen.hidden.append(pid)
    return seen


def processes_listed() -> set[int]:
    """Return the numbers of the processes that are there now; raises OSError without a /proc."""
    return {int(one) for one in os.listdir("/proc") if one.isdigit()}


def each_once(listing: Callable[[], set[int]]) -> Iterator[int]:
    """Yield each process that is listed, also those that started while we were at the others.

    Who uses an old file may start another that does, and end, before its turn comes. Lists are short after the first;
    the bound is there for machines that start processes faster than anybody can look at them.
    """
    known: set[int] = set()
    for _ in range(_MOST_LISTS):
        new = listing() - known
        if not new:
            return
        known |= new
        yield from sorted(new)


def has_kept(use: Use, size: int, mtime_ns: int) -> bool:
    """Tell whether the file in use still has this size and time; inode numbers are given again.

    Where we may not look closer (a mapping of a process, as a normal user), it counts as the file.
    """
    try:
        return (cached_status(use.link)[2], cached_time(use.link)) == (size, mtime_ns)
    except OSError as error:
        return error.errno in _REFUSED


def entry_of(pid: int) -> int:
    """Return the number whose entry in /proc shows what a process has.

    That is another thread when the main one has ended, which has nothing any more; ``/proc/TID`` is there for each
    thread, though no listing names it (proc_tid(5)).
    """
    with suppress(OSError):
        try:
            os.readlink(f"/proc/{pid}/exe")
        except FileNotFoundError:  # so it is for threads of the kernel, too, and for what has ended
            return next((one for one in map(int, os.listdir(f"/proc/{pid}/task")) if one != pid), pid)
    return pid


def descriptor_tables(pid: int, door: int) -> tuple[list[int], bool]:
    """Return the threads that together have every descriptor of a process, and whether these are all.

    As good as always that is one: threads share their descriptors, unless one has taken leave (CLONE_FILES in
    unshare(2)). Where the kernel does not tell (kcmp(2)), each thread is looked at, if they are not too many.

    Args:
        door: what `entry_of` says.
    """
    task = f"/proc/{pid}/task"
    try:
        if os.stat(task).st_nlink == _NAMES_OF_ONE_THREAD:
            return [door], True
        others = [one for one in map(int, os.listdir(task)) if one not in {door, pid}]
    except OSError:  # it has ended
        return [door], True
    shared = {one: share_descriptors(door, one) for one in others}
    unclear = [one for one, answer in shared.items() if answer is None]
    own = [one for one, answer in shared.items() if answer is False]
    return [door, *own, *unclear[:_MOST_THREADS]], len(unclear) <= _MOST_THREADS


class _Search:
    """One look at all processes; remembers mappings that are none of the files in question."""

    def __init__(self, wanted: Wanted) -> None:
        self._wanted = wanted
        self._others: set[bytes] = set()
        self._shown: dict[bytes, Identity] | None = None
        self.was_refused = False

    def uses_of(self, pid: int) -> list[Use]:
        self.was_refused = False
        door = pid
        executable = self._identity(f"/proc/{pid}/exe")
        if executable is None and not self.was_refused and (door := entry_of(pid)) != pid:
            executable = self._identity(f"/proc/{door}/exe")
        found: set[Use] = set()
        if executable is not None and self._is_wanted(executable):
            found.add(Use(pid, executable, Usage.EXECUTABLE, f"/proc/{door}/exe"))
        uses = [*self._mappings(door)]
        tables, are_all = descriptor_tables(pid, door)
        self.was_refused |= not are_all
        for table in tables:
            uses += self._open_files(table)
        found |= {
            replace(one, pid=pid) for one in uses if one.usage is Usage.OPEN or one.identity != executable
        }
        code = {one.identity for one in found if one.usage is Usage.LIBRARY}
        rest = (one for one in found if one.usage is not Usage.MAPPED or one.identity not in code)
        return sorted(rest, key=lambda one: (_ORDER[one.usage], one.identity))

    def _is_wanted(self, identity: Identity) -> bool:
        return identity.inode in self._wanted.inodes and self._wanted.has(identity)

    def _identity(self, link: str) -> Identity | None:
        try:
            return cached_identity(link)
        except OSError as error:
            self.was_refused |= error.errno in _REFUSED
            return None  # it has gone, or its filesystem has

    def _mappings(self, pid: int) -> Iterator[Use]:
        try:
            with open(f"/proc/{pid}/maps", "rb", buffering=0) as maps:
                text = maps.read()
        except OSError as error:
            self.was_refused |= error.errno in _REFUSED
            return
        if self._others.issuperset(_RESTS.findall(text)):
            return
        for line in text.split(b"\n"):
            if (found := _MAPPING.fullmatch(line)) is None or found["rest"] in self._others:
                continue
            if found["inode"] == b"0":  # memory without a file
                self._others.add(found["rest"])
                continue
            link = _link(pid, found["address"])
            identity = self._mapped(link, found["numbers"])
            if identity is not None and self._is_wanted(identity):
                usage = Usage.LIBRARY if found["rights"][2:3] == b"x" else Usage.MAPPED
                yield Use(pid, identity, usage, link)
            elif identity is not None and int(found["inode"]) not in self._wanted.inodes:
                self._others.add(found["rest"])

    def _mapped(self, link: str, numbers: bytes) -> Identity | None:
        try:
            return cached_identity(link)
        except OSError as error:
            # The links of map_files need CAP_SYS_ADMIN or CAP_CHECKPOINT_RESTORE, proc_pid_map_files(5).
            return self._by_numbers().get(numbers) if error.errno in _REFUSED else None

    def _by_numbers(self) -> Mapping[bytes, Identity]:
        """Say with which device and inode `maps` shows the files in question: we map them ourselves, and look."""
        if self._shown is None:
            self._shown = {}
            for identity, path in self._wanted.places().items():
                if path is None:  # nobody can map it any more; most filesystems show the numbers of stat(2)
                    major, minor = os.major(identity.device), os.minor(identity.device)
                    self._shown[b"%02x:%02x %d" % (major, minor, identity.inode)] = identity
                    continue
                with suppress(OSError, ValueError):  # it is gone, or empty, and nobody maps what is empty
                    self._shown[_numbers_in_maps(Path(path))] = identity
        return self._shown

    def _open_files(self, pid: int) -> Iterator[Use]:
        directory = f"/proc/{pid}/fd"
        try:
            directory_fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError as error:
            self.was_refused |= error.errno in _REFUSED
            return
        try:
            for name in having_inodes(directory_fd, os.listdir(directory_fd), self._wanted.inodes):
                link = f"{directory}/{name}"
                identity = self._identity(link)
                if identity is None and self.was_refused:
                    # If this is refused as well, so is all that this thread has (proc_pid_fd(5)).
                    with suppress(FileNotFoundError):  # it was closed meanwhile
                        os.readlink(link)
                elif identity is not None and self._is_wanted(identity):
                    yield Use(pid, identity, Usage.OPEN, link)
        except OSError as error:
            self.was_refused |= error.errno in _REFUSED
        finally:
            os.close(directory_fd)


def _link(pid: int, address: bytes) -> str:
    """Name the link of a mapping; unlike in `maps`, its numbers have no leading zeros."""
    start, _, end = address.partition(b"-")
    return f"/proc/{pid}/map_files/{int(start, 16):x}-{int(end, 16):x}"


def _numbers_in_maps(path: Path) -> bytes:
    with path.open("rb") as file, mmap.mmap(file.fileno(), 1, mmap.MAP_PRIVATE) as mapped:
        start = ctypes.addressof(ctypes.c_char.from_buffer(mapped))
        for line in Path("/proc/self/maps").read_bytes().split(b"\n"):
            found = _MAPPING.fullmatch(line)
            if found is not None and int(found["address"].partition(b"-")[0], 16) == start:
                return found["numbers"]
    raise ValueError(path)
