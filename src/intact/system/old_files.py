"""Acts. How does an old file stay beside the one that takes its place?

As a second name of the same file, where that is possible. A file that gives rights to whoever runs it becomes a copy
without them: the old version of a set-id program is what an attacker looks for.
"""

import errno
import os
import stat
from pathlib import Path

from intact.model.entries import Xattrs
from intact.model.errors import machine_error
from intact.model.objects import CAPABILITY, SET_ID_BITS
from intact.system.placing import Look, Placement, stage

__all__ = ["keep_old"]

_READ = os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC
# No links here; none to a file of others (fs.protected_hardlinks); too many already.
_NO_LINK = {errno.EPERM, errno.EACCES, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK, errno.EXDEV}


def keep_old(old: Path, seen: tuple[os.stat_result, Xattrs], backup: Placement) -> bool:
    """Give what stands at `old` the scratch name of a backup; the first one stays.

    Args:
        seen: what was found there.

    Returns:
        False if the backup is without the rights of the old file.

    Raises:
        MachineError: it could neither be linked nor copied.
    """
    status, xattrs = seen
    harmless = tuple(one for one in xattrs if one[0] != CAPABILITY)
    is_privileged = stat.S_ISREG(status.st_mode) and (status.st_mode & SET_ID_BITS or harmless != xattrs)
    try:
        if not is_privileged and _has_linked(old, backup.scratch):
            return True
        if stat.S_ISLNK(status.st_mode):
            os.symlink(os.readlink(old), backup.scratch)
            return True
        look = Look(
            stat.S_IMODE(status.st_mode) & ~SET_ID_BITS,
            status.st_uid,
            status.st_gid,
            harmless,
            status.st_mtime_ns,
            keeps_list=False,
            insists_on_owner=False,
            insists_on_group=False,
        )
        with open(old, "rb", buffering=0, opener=lambda path, _: os.open(path, _READ)) as source:
            stage(source, backup, look)
    except OSError as error:
        raise machine_error("backup", error, str(backup.target)) from error
    return not is_privileged


def _has_linked(old: Path, scratch: Path) -> bool:
    try:
        os.link(old, scratch, follow_symlinks=False)
    except OSError as error:
        if error.errno not in _NO_LINK:
            raise
        return False
    return True
