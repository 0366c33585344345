"""Acts. What stands at a name outside the root, and may a file take its place?

A regular file, and a symbolic link to one or to nothing. A device, a FIFO, a socket or a directory is something that
others work with: whoever names /dev/null or /dev/stdout does not want a file there instead.
"""

import errno
import os
import stat
from pathlib import Path

from intact.model.access_lists import DEFAULT_LIST
from intact.model.entries import Xattrs
from intact.model.errors import machine_error
from intact.system.attributes import read_xattrs

__all__ = ["default_list", "followed", "look_at", "name_identity", "obstacle"]

_READ = os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC
_MOST_LINKS = 40  # as the kernel has it
_KINDS = {
    stat.S_IFDIR: "a directory",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFIFO: "a FIFO",
    stat.S_IFSOCK: "a socket",
}


def look_at(path: Path) -> tuple[os.stat_result, Xattrs] | None:
    """Return status and extended attributes of what stands at `path`, not following a link; None if nothing does.

    Raises:
        MachineError: it cannot be looked at.
    """
    try:
        status = path.lstat()
        if not stat.S_ISREG(status.st_mode):
            return status, ()
        descriptor = os.open(path, _READ)
        try:
            return os.fstat(descriptor), read_xattrs(descriptor)
        finally:
            os.close(descriptor)
    except FileNotFoundError:
        return None
    except PermissionError:  # who may not read it can still replace it, and does not know its attributes
        return path.lstat(), ()
    except OSError as error:
        raise machine_error("look", error, str(path)) from error


def followed(path: Path) -> Path:
    """Return what a chain of symbolic links names in the end, whether or not it is there.

    Raises:
        MachineError: ELOOP, the chain has no end.
    """
    for _ in range(_MOST_LINKS):
        try:
            target = os.readlink(path)
        except OSError:  # no link, or nothing: this is the end
            return path
        path = path.parent / target
    raise machine_error("follow", OSError(errno.ELOOP, os.strerror(errno.ELOOP)), str(path))


def obstacle(path: Path, *, takes_directory_links: bool = False) -> str | None:
    """Say what stands at `path` if no file may take its place; None if one may, or if nothing is there.

    Args:
        takes_directory_links: a link to a directory may be replaced.

    Raises:
        MachineError: it cannot be looked at.
    """
    try:
        status = path.lstat()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise machine_error("look", error, str(path)) from error
    if not stat.S_ISLNK(status.st_mode):
        return _KINDS.get(stat.S_IFMT(status.st_mode))
    if _leads_into_proc(path):  # /dev/stdout, also where that is a regular file
        return "a link to an open file"
    try:
        end = stat.S_IFMT(path.stat().st_mode)
    except OSError:  # it leads nowhere
        return None
    if end == stat.S_IFDIR and takes_directory_links:
        return None
    return f"a link to {_KINDS[end]}" if end in _KINDS else None


def _leads_into_proc(path: Path) -> bool:
    try:
        proc = os.lstat("/proc/self").st_dev
        for _ in range(_MOST_LINKS):
            if path.lstat().st_dev == proc:
                return True
            path = path.parent / os.readlink(path)
    except OSError:  # no /proc, or this is the end of the chain
        pass
    return False


def name_identity(path: Path) -> tuple[object, ...]:
    """Return what is the same for two spellings of one name, and for no other name."""
    try:
        parent = os.stat(path.parent)
    except OSError:  # it has still to be made
        return (path.absolute(),)
    return parent.st_dev, parent.st_ino, path.name


def default_list(directory: Path) -> bytes | None:
    """Return the access list that a directory hands on to what is made in it; None if it has none."""
    try:
        return os.getxattr(directory, DEFAULT_LIST)
    except OSError:
        return None
