"""Acts. What is in an open file?"""

import errno
import os
import stat
from contextlib import closing
from functools import partial

from intact.model.entries import Digest
from intact.model.objects import Observed
from intact.system.attributes import observed, read_xattrs
from intact.system.workers import Beside

__all__ = ["READ", "digest_of", "insist_on_file", "observe_open"]

READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_HASHED = 1 << 17  # to fill a larger buffer takes longer than to hash a small file
_LARGE = 8 << 20  # below that, another thread takes longer to begin than it saves
_READ_AHEAD = 1 << 20


def insist_on_file(fd: int) -> os.stat_result:
    """Return what is known of an open regular file; raises OSError for anything else."""
    status = os.fstat(fd)
    if not stat.S_ISREG(status.st_mode):
        raise OSError(errno.EINVAL, "not a regular file")
    return status


def digest_of(fd: int, size: int) -> Digest:
    """Hash the rest of an open file.

    Args:
        size: bytes that it should have. A small file of just this size is read once; a large one is read here while
            another thread hashes.
    """
    import hashlib  # noqa: PLC0415  loading OpenSSL takes longer than most questions

    part = os.read(fd, _HASHED)
    state = hashlib.sha256(part)
    if len(part) == size and size < _HASHED:
        return Digest(state.hexdigest())
    if size < _LARGE:
        while part := os.read(fd, _HASHED):
            state.update(part)
    else:
        with closing(Beside()) as beside:
            while part := os.read(fd, _READ_AHEAD):
                beside.begin(partial(state.update, part))
            beside.finish()
    return Digest(state.hexdigest())


def observe_open(parent: int, name: str, *, xattrs: bool) -> Observed:
    """Describe a regular file with its digest: both of one object, whoever exchanges names meanwhile.

    Raises:
        OSError: it is anything else, or cannot be read.
    """
    fd = os.open(name, READ, dir_fd=parent)
    try:
        status = insist_on_file(fd)
        return observed(status, "", read_xattrs(fd) if xattrs else (), digest_of(fd, status.st_size))
    finally:
        os.close(fd)
