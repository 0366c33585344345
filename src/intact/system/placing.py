"""Acts. How does content get to a name outside any package, whole, durable, and whatever runs the old file?

It is written under a scratch name in the directory of its destination, with its final owner, mode and attributes,
and synced; then one rename. Nothing that exists is ever opened for writing: a running program keeps the old file.

Files that are placed together are a batch: all of them are durable before the first is renamed, and polite signals
wait from there to the last sync. Whatever comes, a scratch name is left by SIGKILL and by a power cut only.
"""

import errno
import os
import secrets
import shutil
import stat
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO, TypeVar

from intact.model.access_lists import ACCESS_LIST, under_mode
from intact.model.entries import Xattrs
from intact.model.errors import MachineError, machine_error
from intact.model.values import dataclass
from intact.system.attributes import read_xattrs
from intact.system.hostfiles import remove_scratch, sync_directory
from intact.system.signals import signals_held

__all__ = [
    "SCRATCH_PREFIX",
    "Batch",
    "Look",
    "Placement",
    "make_directories",
    "make_durable",
    "remove_directories",
    "same_content",
    "scratch_name",
    "stage",
]

SCRATCH_PREFIX = ".intact-"
_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_READ = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC
_PIECE = 1 << 20
_MOST_NAME_BYTES = 255
_NOTHING = "nothing was placed; the old files are as they were"
_SOME = "each file is a whole old or a whole new one"
_ALL = "everything was placed, whole and durable"
_Result = TypeVar("_Result")


@dataclass(frozen=True, slots=True)
class Look:
    """How a file is to look.

    Attributes:
        mode: permission bits, set-id bits included. It has the last word: an access list is brought under it.
        uid: None leaves what the system gives.
        gid: as above.
        xattrs: extended attributes, capabilities and access lists included.
        mtime_ns: None for the time of writing.
        keeps_list: without an access list in `xattrs`, leave the one that the directory has handed on.
        insists_on_owner: False leaves the owner that the system gives if we may not set it.
        insists_on_group: False as above; what the group may do beyond others is not handed to another one.
    """

    mode: int
    uid: int | None = None
    gid: int | None = None
    xattrs: Xattrs = ()
    mtime_ns: int | None = None
    keeps_list: bool = True
    insists_on_owner: bool = True
    insists_on_group: bool = True


@dataclass(frozen=True, slots=True)
class Placement:
    """Content under a scratch name that waits for its own."""

    scratch: Path
    target: Path

    def drop(self) -> None:
        """Give it up, whatever a command has made there."""
        try:
            is_directory = stat.S_ISDIR(self.scratch.lstat().st_mode)
        except OSError:  # it has its own name by now, or was never made
            return
        if is_directory:
            shutil.rmtree(self.scratch, ignore_errors=True)
        remove_scratch(self.scratch)


class Batch:
    """Files that are placed together."""

    def __init__(self, placements: Iterable[Placement]) -> None:
        self._placements = tuple(placements)
        self._state = _NOTHING

    def tidily(self, act: Callable[[], _Result]) -> _Result:
        """Do `act`; whatever happens, and whenever a signal comes, no scratch file is left.

        Raises:
            KeyboardInterrupt: a signal came; its text says what was placed.
        """
        try:
            try:
                return act()
            finally:
                self._drop()
        except KeyboardInterrupt as interrupt:
            self._drop()  # it may have come when that was about to begin
            interrupt.args = (self._state,)
            raise

    def put(self, placements: Sequence[Placement]) -> None:
        """Give these their names, in their order, and make the names durable; signals wait.

        Raises:
            MachineError: the system refused; `details` has what was placed.
        """
        failure: MachineError | None = None
        try:
            with signals_held():
                try:
                    self._put(placements)
                except MachineError as error:
                    failure = error
        except KeyboardInterrupt:
            if failure is None:
                raise
        if failure is not None:
            raise failure

    def _put(self, placements: Sequence[Placement]) -> None:
        placed: list[Path] = []
        try:
            for one in placements:
                _put_one(one)
                placed.append(one.target)
                self._state = _SOME
            _sync_names(placed)
            self._state = _ALL
        except MachineError as error:
            with suppress(MachineError):
                _sync_names(placed)
            error.details = (*error.details, *(f"{one}: was placed" for one in placed))
            if placed:
                error.root_state = _SOME
            raise

    def _drop(self) -> None:
        with signals_held():
            for one in self._placements:
                one.drop()


def scratch_name(target: Path) -> Path:
    """Invent a name in the target's directory that nobody can guess; it ends as the target does (``.o``, ``.so``)."""
    start = f"{SCRATCH_PREFIX}{secrets.token_hex(8)}-"
    name = os.fsencode(target.name)[-(_MOST_NAME_BYTES - len(start)) :]
    return target.parent / (start + os.fsdecode(name))


def stage(source: BinaryIO, placement: Placement, look: Look) -> bool:
    """Copy everything that `source` has to the scratch file, complete and durable.

    Returns:
        False if owner or group could not be given, and need not be.

    Raises:
        MachineError: it could not be read or written.
    """
    try:
        descriptor = os.open(placement.scratch, _CREATE, 0o600)
    except OSError as error:
        raise machine_error("create", error, str(placement.target)) from error
    try:
        with os.fdopen(descriptor, "wb", buffering=0) as file:
            while piece := source.read(_PIECE):
                _write(file, piece)
            is_complete = _dress(file.fileno(), look)
            os.fsync(file.fileno())
    except OSError as error:
        raise machine_error("write", error, str(placement.target)) from error
    return is_complete


def _write(file: BinaryIO, piece: bytes) -> None:
    rest = memoryview(piece)
    while rest:
        rest = rest[file.write(rest) :]


def _dress(descriptor: int, look: Look) -> bool:
    """Owner first, because chown clears set-id bits and capabilities; the time last.

    An access list brings its own mode along, so it comes as one under ours: at no moment may anybody more than asked for.
    """
    mode, is_complete = _own(descriptor, look)
    xattrs = dict(look.xattrs)
    access_list = xattrs.pop(ACCESS_LIST, None)
    has = dict(read_xattrs(descriptor)) if xattrs else {}
    for name, value in xattrs.items():
        if has.get(name) != value:  # what needs root may be there already
            os.setxattr(descriptor, name, value)
    if access_list is not None:
        os.setxattr(descriptor, ACCESS_LIST, under_mode(access_list, mode))
    elif not look.keeps_list:
        with suppress(OSError):  # ENODATA, or a filesystem without
            os.removexattr(descriptor, ACCESS_LIST)
    os.fchmod(descriptor, mode)
    if look.mtime_ns is not None:
        os.utime(descriptor, ns=(look.mtime_ns, look.mtime_ns))
    return is_complete


def _own(descriptor: int, look: Look) -> tuple[int, bool]:
    """Give it its owner and group; return the mode that goes with those, and whether it has them."""
    status = os.fstat(descriptor)
    mode, is_complete = look.mode, True
    if look.gid is not None and look.gid != status.st_gid:
        try:
            os.fchown(descriptor, -1, look.gid)
        except PermissionError:
            if look.insists_on_group:
                raise
            mode, is_complete = mode & ~0o070 | mode & (mode & 0o007) << 3, False
    if look.uid is not None and look.uid != status.st_uid:
        try:
            os.fchown(descriptor, look.uid, -1)
        except PermissionError:
            if look.insists_on_owner:
                raise
            is_complete = False
    return mode, is_complete


def make_durable(placement: Placement, look: Look | None) -> None:
    """Sync what somebody else wrote under the scratch name; give it a look before, if there is one.

    A file with another name (`ln x {}`) is not ours to change, and keeps its own.

    Raises:
        MachineError: it is not there, is no regular file, or could not be synced.
    """
    try:
        descriptor = os.open(placement.scratch, _READ | os.O_NOFOLLOW)
        try:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode):
                raise OSError(errno.EINVAL, "it is not a regular file")
            if look is not None and status.st_nlink == 1:
                _dress(descriptor, look)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise machine_error("sync", error, str(placement.target)) from error


def same_content(one: Path, other: Path) -> bool:
    """Tell whether two regular files hold the same bytes; what cannot be read is not the same."""
    try:
        with open(one, "rb", opener=_opener) as first, open(other, "rb", opener=_opener) as second:
            while True:
                piece = first.read(_PIECE)
                if piece != second.read(_PIECE):
                    return False
                if not piece:
                    return True
    except OSError:
        return False


def _opener(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)


def _put_one(placement: Placement) -> None:
    """Give staged content its name; whatever stood there is replaced, and whoever uses that keeps it."""
    try:
        try:
            os.rename(placement.scratch, placement.target)
        except OSError as error:
            if error.errno != errno.ETXTBSY:
                raise
            _put_beside_busy(placement)
    except OSError as error:
        raise machine_error("place", error, str(placement.target)) from error


def _put_beside_busy(placement: Placement) -> None:
    """Where a running program cannot be replaced (HP-UX, some network filesystems): move it out of the way first."""
    aside = scratch_name(placement.target)
    os.rename(placement.target, aside)
    try:
        os.rename(placement.scratch, placement.target)
    except OSError:
        os.rename(aside, placement.target)
        raise
    remove_scratch(aside)  # stays if it is busy for that, too


def make_directories(path: Path, umask: int) -> list[Path]:
    """Make a directory and those above it, durably, as mkdir(1) would; return those that were not there, outermost first.

    Raises:
        MachineError: something else has its name, or the system refused; nothing is left.
    """
    made: list[Path] = []
    try:
        missing = [one for one in (path, *path.parents) if not one.is_dir()]
        ours = os.umask(umask)
        try:
            for one in reversed(missing):
                if not one.is_dir():  # `new/a/..` is there by now
                    one.mkdir()
                    made.append(one)
        finally:
            os.umask(ours)
        for one in made:
            sync_directory(one.parent)
    except OSError as error:
        remove_directories(made)
        raise machine_error("mkdir", error, str(path)) from error
    except BaseException:
        remove_directories(made)
        raise
    return made


def remove_directories(paths: Sequence[Path]) -> None:
    """Remove directories that we have made, outermost first in `paths`, unless something is in them by now."""
    for one in reversed(paths):
        with suppress(OSError):
            one.rmdir()


def _sync_names(paths: Iterable[Path]) -> None:
    directory = None
    try:
        for directory in sorted({one.parent for one in paths}):
            sync_directory(directory)
    except OSError as error:
        raise machine_error("sync", error, str(directory)) from error
