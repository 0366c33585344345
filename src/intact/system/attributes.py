"""Acts. How are owner, mode, extended attributes and times of an open object read and given?"""

import errno
import os
import stat

from intact.model.entries import Digest, Xattrs
from intact.model.objects import Attributes, Kind, Observed

__all__ = ["apply_attributes", "give_mode", "insist_on_same", "observed", "read_xattrs"]

_KINDS = {stat.S_IFREG: Kind.FILE, stat.S_IFDIR: Kind.DIRECTORY, stat.S_IFLNK: Kind.SYMLINK}
_NO_XATTRS = {errno.ENOTSUP, errno.ENODATA, errno.EPERM, errno.EACCES}


def observed(
    status: os.stat_result, target: str = "", xattrs: Xattrs = (), digest: Digest | None = None
) -> Observed:
    """Return what an lstat says, in our words."""
    return Observed(
        _KINDS.get(stat.S_IFMT(status.st_mode), Kind.OTHER),
        stat.S_IMODE(status.st_mode),
        status.st_uid,
        status.st_gid,
        status.st_size,
        status.st_mtime_ns,
        status.st_ino,
        status.st_nlink,
        target,
        digest,
        xattrs,
    )


def insist_on_same(fd: int, seen: Observed) -> None:
    """Make sure that what was opened is what was looked at, and no link that somebody put in its place.

    Raises:
        OSError: ESTALE, it is something else.
    """
    now = observed(os.fstat(fd))
    if (now.kind, now.inode, now.mode, now.uid, now.gid) != (
        seen.kind,
        seen.inode,
        seen.mode,
        seen.uid,
        seen.gid,
    ):
        raise OSError(errno.ESTALE, "somebody has put something else in its place")


def give_mode(parent: int, name: str, mode: int) -> None:
    """Give a directory that we have just made the bits that the umask took away.

    By its descriptor: whoever may write to the parent can have put a link to something else in its place, and what
    was put there is left alone.
    """
    status = os.stat(name, dir_fd=parent, follow_symlinks=False)
    is_ours = stat.S_ISDIR(status.st_mode) and status.st_uid == os.geteuid()
    has = stat.S_IMODE(status.st_mode)
    if not is_ours or has & 0o777 & ~mode or has == mode:  # mkdir(2) takes bits away, and may inherit S_ISGID
        return
    fd = os.open(name, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=parent)
    try:
        if os.fstat(fd).st_ino == status.st_ino:
            os.chmod(f"/proc/self/fd/{fd}", mode)  # fchmod(2) does not take an O_PATH descriptor
    finally:
        os.close(fd)


def apply_attributes(fd: int, attributes: Attributes) -> int:
    """Owner first, because chown clears set-id bits and capabilities; times last. Return the inode number."""
    status = os.fstat(fd)
    is_theirs = (status.st_uid, status.st_gid) == (attributes.uid, attributes.gid)
    if not is_theirs:
        os.fchown(fd, attributes.uid, attributes.gid)
    if not is_theirs or stat.S_IMODE(status.st_mode) != attributes.mode:
        os.fchmod(fd, attributes.mode)
    for name, value in attributes.xattrs:
        os.setxattr(fd, name, value)
    if attributes.mtime_ns is not None:
        os.utime(fd, ns=(attributes.mtime_ns, attributes.mtime_ns))
    return status.st_ino


def read_xattrs(fd: int) -> Xattrs:
    """Return the extended attributes of an open object, sorted; none where there can be none.

    Raises:
        OSError: they are there and could not be read.
    """
    try:
        return tuple((name, os.getxattr(fd, name)) for name in sorted(os.listxattr(fd)))
    except OSError as error:
        if error.errno in _NO_XATTRS:
            return ()
        raise
