"""Pure. Which refusals of the kernel are a reason to take another way?"""

import errno
from typing import Final

__all__ = ["BUSY", "CANNOT_EXCHANGE", "CANNOT_LINK", "GONE", "TAKEN"]

CANNOT_EXCHANGE: Final = frozenset({errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP, errno.EXDEV})
"""The filesystem lacks a flag of renameat2 (EINVAL, see rename(2)); ENOSYS under gVisor and proot; EXDEV on
overlayfs for a directory of a lower layer."""

CANNOT_LINK: Final = frozenset({errno.EPERM, errno.EOPNOTSUPP, errno.EMLINK, errno.EXDEV, errno.ENOSYS})
"""vfat and some FUSE filesystems answer EPERM, a full link count EMLINK."""

BUSY: Final = frozenset({errno.ETXTBSY, errno.EBUSY})
"""HP-UX and some network filesystems refuse to replace a running executable."""

TAKEN: Final = frozenset({errno.EEXIST, errno.ENOTEMPTY})
GONE: Final = frozenset({errno.ENOENT, errno.ENOTDIR})
