"""Acts. How does content get to a name outside any package, whole, durable, and whatever runs the old file?

It is written under a scratch name in the directory of its destination, with its final owner, mode and attributes,
and synced; then one rename. Nothing that exists is ever opened for writing: a running program keeps the old file.
"""

import errno
import os
import secrets
import stat
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from intact.model.access_lists import ACCESS_LIST, under_mode
from intact.model.entries import Xattrs
from intact.model.errors import machine_error
from intact.system.hostfiles import remove_scratch, sync_directory

__all__ = [
    "SCRATCH_PREFIX",
    "Look",
    "Placement",
    "keep_backup",
    "make_directories",
    "make_durable",
    "put",
    "same_content",
    "scratch_name",
    "stage",
    "sync_names",
]

SCRATCH_PREFIX = ".intact-"
_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_READ = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC
_PIECE = 1 << 20
_MOST_NAME_BYTES = 255


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
    """

    mode: int
    uid: int | None = None
    gid: int | None = None
    xattrs: Xattrs = ()
    mtime_ns: int | None = None
    keeps_list: bool = True


@dataclass(frozen=True, slots=True)
class Placement:
    """Content that is complete and durable under a scratch name, and waits for its own."""

    scratch: Path
    target: Path

    def drop(self) -> None:
        """Give it up."""
        remove_scratch(self.scratch)


def scratch_name(target: Path) -> Path:
    """Invent a name in the target's directory that nobody can guess; it ends as the target does (``.o``, ``.so``)."""
    start = f"{SCRATCH_PREFIX}{secrets.token_hex(8)}-"
    name = os.fsencode(target.name)[-(_MOST_NAME_BYTES - len(start)) :]
    return target.parent / (start + os.fsdecode(name))


def stage(source: BinaryIO, target: Path, look: Look) -> Placement:
    """Copy everything that `source` has to a scratch file beside `target`, complete and durable.

    Raises:
        MachineError: it could not be written; nothing is left.
    """
    scratch = scratch_name(target)
    try:
        descriptor = os.open(scratch, _CREATE, 0o600)
    except OSError as error:
        raise machine_error("create", error, str(target)) from error
    try:
        with os.fdopen(descriptor, "wb", buffering=0) as file:
            while piece := source.read(_PIECE):
                _write(file, piece)
            _dress(file.fileno(), look)
            os.fsync(file.fileno())
    except OSError as error:
        remove_scratch(scratch)
        raise machine_error("write", error, str(target)) from error
    except BaseException:
        remove_scratch(scratch)
        raise
    return Placement(scratch, target)


def _write(file: BinaryIO, piece: bytes) -> None:
    rest = memoryview(piece)
    while rest:
        rest = rest[file.write(rest) :]


def _dress(descriptor: int, look: Look) -> None:
    """Owner first, because chown clears set-id bits and capabilities; the time last.

    An access list brings its own mode along, so it comes as one under ours: at no moment may anybody more than asked for.
    """
    if look.uid is not None or look.gid is not None:
        os.fchown(descriptor, -1 if look.uid is None else look.uid, -1 if look.gid is None else look.gid)
    xattrs = dict(look.xattrs)
    access_list = xattrs.pop(ACCESS_LIST, None)
    for name, value in xattrs.items():
        os.setxattr(descriptor, name, value)
    if access_list is not None:
        os.setxattr(descriptor, ACCESS_LIST, under_mode(access_list, look.mode))
    elif not look.keeps_list:
        with suppress(OSError):  # ENODATA, or a filesystem without
            os.removexattr(descriptor, ACCESS_LIST)
    os.fchmod(descriptor, look.mode)
    if look.mtime_ns is not None:
        os.utime(descriptor, ns=(look.mtime_ns, look.mtime_ns))


def make_durable(path: Path) -> None:
    """Sync a file that somebody else wrote.

    Raises:
        MachineError: it is not there, is no regular file, or could not be synced.
    """
    try:
        descriptor = os.open(path, _READ | os.O_NOFOLLOW)
        try:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise OSError(errno.EINVAL, "it is not a regular file")
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise machine_error("sync", error, str(path)) from error


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


def keep_backup(target: Path, backup: Path) -> None:
    """Give what stands at `target` a second name, in the place of an older backup; the first one stays.

    Raises:
        MachineError: the filesystem has no links, or refused.
    """
    scratch = scratch_name(backup)
    try:
        os.link(target, scratch, follow_symlinks=False)
        os.rename(scratch, backup)
    except OSError as error:
        remove_scratch(scratch)
        raise machine_error("backup", error, str(backup)) from error


def put(placement: Placement) -> None:
    """Give staged content its name; whatever stood there is replaced, and whoever uses that keeps it.

    Raises:
        MachineError: the name is a directory or a mount point, or the system refused; what stood there still does.
    """
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


def make_directories(path: Path) -> None:
    """Make a directory and those above it, durably; does nothing if it is there.

    Raises:
        MachineError: something else has its name, or the system refused.
    """
    try:
        if path.is_dir():
            return
        make_directories(path.parent)
        path.mkdir(exist_ok=True)
        sync_directory(path.parent)
    except OSError as error:
        raise machine_error("mkdir", error, str(path)) from error


def sync_names(paths: Iterable[Path]) -> None:
    """Make the names of `paths` durable.

    Raises:
        MachineError: a directory could not be synced.
    """
    directory = None
    try:
        for directory in sorted({one.parent for one in paths}):
            sync_directory(directory)
    except OSError as error:
        raise machine_error("sync", error, str(directory)) from error
