"""Acts. How are owner, mode, extended attributes and times of an open object read and given?"""

import errno
import os
import stat

from intact.model.entries import Xattrs
from intact.model.objects import Attributes, Kind, Observed

__all__ = ["apply_attributes", "observed", "read_xattrs"]

_KINDS = {stat.S_IFREG: Kind.FILE, stat.S_IFDIR: Kind.DIRECTORY, stat.S_IFLNK: Kind.SYMLINK}
_NO_XATTRS = {errno.ENOTSUP, errno.ENODATA, errno.EPERM, errno.EACCES}


def observed(status: os.stat_result, target: str = "", xattrs: Xattrs = ()) -> Observed:
    """Return what an lstat says, in our words."""
    return Observed(
        kind=_KINDS.get(stat.S_IFMT(status.st_mode), Kind.OTHER),
        mode=stat.S_IMODE(status.st_mode),
        uid=status.st_uid,
        gid=status.st_gid,
        size=status.st_size,
        mtime_ns=status.st_mtime_ns,
        inode=status.st_ino,
        links=status.st_nlink,
        target=target,
        xattrs=xattrs,
    )


def apply_attributes(fd: int, attributes: Attributes) -> None:
    """Owner first, because chown clears set-id bits and capabilities; times last."""
    status = os.fstat(fd)
    if (status.st_uid, status.st_gid) != (attributes.uid, attributes.gid):
        os.fchown(fd, attributes.uid, attributes.gid)
    os.fchmod(fd, attributes.mode)
    for name, value in attributes.xattrs:
        os.setxattr(fd, name, value)
    if attributes.mtime_ns is not None:
        os.utime(fd, ns=(attributes.mtime_ns, attributes.mtime_ns))


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
