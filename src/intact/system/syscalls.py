"""Acts. Which system calls does Python's `os` module not have?"""

import ctypes
import fcntl
import os
from collections.abc import Container, Iterable, Iterator

from intact.model.objects import Identity

__all__ = [
    "ATTR_APPEND",
    "ATTR_IMMUTABLE",
    "RENAME_EXCHANGE",
    "RENAME_NOREPLACE",
    "cached_identity",
    "cached_status",
    "cached_time",
    "clone_file",
    "die_with_parent",
    "having_inodes",
    "keep_freed_memory",
    "keeps_its_number",
    "link_open_file",
    "renameat2",
    "share_descriptors",
    "start_write_back",
    "statfs_magic",
    "statx_attributes",
    "syncfs",
]

RENAME_NOREPLACE = 1
RENAME_EXCHANGE = 2
ATTR_IMMUTABLE = 0x10  # STATX_ATTR_*, see statx(2)
ATTR_APPEND = 0x20
_AT_SYMLINK_NOFOLLOW = 0x100
_AT_SYMLINK_FOLLOW = 0x400
_AT_FDCWD = -100
_AT_STATX_FORCE_SYNC = 0x2000
_AT_STATX_DONT_SYNC = 0x4000
_STATX_WANTED = 0x347  # STATX_TYPE, STATX_MODE, STATX_NLINK, STATX_MTIME, STATX_INO, STATX_SIZE
_STATX_INO = 0x100
_PR_SET_PDEATHSIG = 1
_FICLONE = 0x40049409  # _IOW(0x94, 9, int), see ioctl_ficlone(2)
_FICLONE_ELSEWHERE = 0x80049409
_SYNC_FILE_RANGE_WRITE = 2
_M_TRIM_THRESHOLD = -1  # malloc.h of glibc
_M_MMAP_THRESHOLD = -3
_MOST_KEPT = 32 << 20  # HEAP_MAX_SIZE / 2, the most that it takes
_OTHER_IOCTLS = ("alpha", "mips", "parisc", "ppc", "sparc")  # architectures that number writing differently

_libc = ctypes.CDLL(None, use_errno=True)
_RENAMEAT2_NUMBER = {
    "x86_64": 316,
    "aarch64": 276,
    "riscv64": 276,
    "armv7l": 382,
    "i686": 353,
    "ppc64le": 357,
    "s390x": 347,
}


_KCMP_FILES = 2  # include/uapi/linux/kcmp.h
_KCMP_NUMBER = {
    "x86_64": 312,
    "aarch64": 272,
    "riscv64": 272,
    "armv7l": 378,
    "i686": 349,
    "ppc64le": 354,
    "s390x": 343,
}


def _raise_errno(result: int) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def renameat2(source_fd: int, source: str, target_fd: int, target: str, flags: int) -> None:
    """Rename with flags (Linux 3.15); raises OSError, EINVAL where the filesystem lacks the flag."""
    arguments = (
        ctypes.c_int(source_fd),
        ctypes.c_char_p(os.fsencode(source)),
        ctypes.c_int(target_fd),
        ctypes.c_char_p(os.fsencode(target)),
        ctypes.c_uint(flags),
    )
    wrapper = getattr(_libc, "renameat2", None)  # glibc 2.28, musl 1.2.6
    if wrapper is not None:
        _raise_errno(wrapper(*arguments))
        return
    number = _RENAMEAT2_NUMBER[os.uname().machine]
    _raise_errno(_libc.syscall(ctypes.c_long(number), *arguments))


def link_open_file(fd: int, name: str, directory_fd: int = _AT_FDCWD) -> None:
    """Give an open file (O_TMPFILE) a name, as open(2) describes it; raises OSError.

    ``os.link`` does not follow the link in /proc before Python 3.14.
    """
    source = ctypes.c_char_p(f"/proc/self/fd/{fd}".encode())
    target = ctypes.c_char_p(os.fsencode(name))
    _raise_errno(
        _libc.linkat(ctypes.c_int(_AT_FDCWD), source, ctypes.c_int(directory_fd), target, _AT_SYMLINK_FOLLOW)
    )


def clone_file(source_fd: int, target_fd: int) -> None:
    """Let the target share all of the source's extents (reflink); raises OSError where that is impossible."""
    elsewhere = os.uname().machine.startswith(_OTHER_IOCTLS)
    fcntl.ioctl(target_fd, _FICLONE_ELSEWHERE if elsewhere else _FICLONE, source_fd)


def keep_freed_memory() -> None:
    """Have the allocator keep large pieces that are freed for the next ones, which the kernel would have to clear first."""
    call = getattr(_libc, "mallopt", None)  # musl has none
    if call is not None:
        call(ctypes.c_int(_M_MMAP_THRESHOLD), ctypes.c_int(_MOST_KEPT))
        call(ctypes.c_int(_M_TRIM_THRESHOLD), ctypes.c_int(_MOST_KEPT))


def die_with_parent(number: int) -> None:
    """Get this signal when the thread that has made this process ends (prctl(2), PR_SET_PDEATHSIG); raises OSError."""
    _raise_errno(_libc.prctl(ctypes.c_int(_PR_SET_PDEATHSIG), ctypes.c_ulong(number)))


def syncfs(fd: int) -> None:
    """Write back the filesystem of `fd`; raises OSError for each write-back error since `fd` was opened.

    Errors are reported since Linux 5.8 (commit 735e4ae5); before, an EIO could pass unseen.
    """
    _raise_errno(_libc.syncfs(ctypes.c_int(fd)))


def start_write_back(fd: int) -> None:
    """Let the kernel begin to write what is new in a file to the disk; durable it becomes by a sync alone.

    It tells no error: whatever fails meanwhile, that sync reports.
    """
    call = getattr(_libc, "sync_file_range", None)  # musl 1.1
    if call is not None:
        call(ctypes.c_int(fd), ctypes.c_int64(0), ctypes.c_int64(0), ctypes.c_uint(_SYNC_FILE_RANGE_WRITE))


class _Statx(ctypes.Structure):
    # struct statx of include/uapi/linux/stat.h, the same on every architecture.
    _fields_ = (
        ("stx_mask", ctypes.c_uint32),
        ("stx_blksize", ctypes.c_uint32),
        ("stx_attributes", ctypes.c_uint64),
        ("stx_nlink", ctypes.c_uint32),
        ("stx_uid", ctypes.c_uint32),
        ("stx_gid", ctypes.c_uint32),
        ("stx_mode", ctypes.c_uint16),
        ("pad", ctypes.c_uint16),
        ("stx_ino", ctypes.c_uint64),
        ("stx_size", ctypes.c_uint64),
        ("before_times", ctypes.c_byte * 16),
        ("other_times", ctypes.c_byte * 48),
        ("stx_mtime_seconds", ctypes.c_int64),
        ("stx_mtime_nanoseconds", ctypes.c_uint32),
        ("before_devices", ctypes.c_byte * 12),
        ("stx_dev_major", ctypes.c_uint32),
        ("stx_dev_minor", ctypes.c_uint32),
        ("rest", ctypes.c_byte * 112),
    )


_statx_now = _Statx()
_statx_now_pointer = ctypes.byref(_statx_now)
_statx = getattr(_libc, "statx", None)  # glibc 2.28, musl 1.2.5
if _statx is not None:
    _statx.argtypes = (ctypes.c_int, ctypes.c_char_p, ctypes.c_int, ctypes.c_uint, ctypes.c_void_p)


def cached_identity(path: str) -> Identity:
    """Tell which object `path` leads to, from what the kernel has in memory; raises OSError.

    A network or FUSE filesystem that has stopped answering is not asked (AT_STATX_DONT_SYNC), so this cannot hang on
    one. Meant for the links in /proc, which lead to opened objects; not for use by several threads.
    """
    return cached_status(path)[0]


def having_inodes(directory_fd: int, names: Iterable[str], inodes: Container[int]) -> Iterator[str]:
    """Yield the names in an opened directory that lead to one of these inode numbers, or where that cannot be seen.

    The cheapest look that there is, for very many names: what is yielded has to be looked at once more.
    """
    if _statx is None:
        yield from names
        return
    for name in names:
        result = _statx(directory_fd, name.encode(), _AT_STATX_DONT_SYNC, _STATX_INO, _statx_now_pointer)
        if result != 0 or _statx_now.stx_ino in inodes:
            yield name


def share_descriptors(one: int, other: int) -> bool | None:
    """Tell whether two threads have one table of descriptors (kcmp(2)); None where that is not told to us."""
    number = _KCMP_NUMBER.get(os.uname().machine)
    if number is None:
        return None
    found = _libc.syscall(ctypes.c_long(number), one, other, _KCMP_FILES, 0, 0)
    return None if found < 0 else found == 0


def cached_status(path: str) -> tuple[Identity, int, int, int]:
    """Return identity, type and mode, size in bytes and number of names, as `cached_identity` gets them; raises OSError."""
    if _statx is None:
        status = os.stat(path)
        return Identity(status.st_dev, status.st_ino), status.st_mode, status.st_size, status.st_nlink
    _raise_errno(_statx(_AT_FDCWD, os.fsencode(path), _AT_STATX_DONT_SYNC, _STATX_WANTED, _statx_now_pointer))
    found = _statx_now
    identity = Identity(os.makedev(found.stx_dev_major, found.stx_dev_minor), found.stx_ino)
    return identity, found.stx_mode, found.stx_size, found.stx_nlink


def cached_time(path: str) -> int:
    """Return when the content was changed, in nanoseconds since 1970, as `cached_identity` gets it; raises OSError."""
    if _statx is None:
        return os.stat(path).st_mtime_ns
    cached_status(path)
    return int(_statx_now.stx_mtime_seconds * 1_000_000_000 + _statx_now.stx_mtime_nanoseconds)


def keeps_its_number(path: str) -> bool:
    """Tell whether a file has the same inode number at two looks, for which its filesystem is asked; raises OSError."""
    if _statx is None:
        return os.lstat(path).st_ino == os.lstat(path).st_ino
    numbers = set()
    flags = _AT_STATX_FORCE_SYNC | _AT_SYMLINK_NOFOLLOW
    for _ in range(2):
        _raise_errno(_statx(_AT_FDCWD, os.fsencode(path), flags, _STATX_INO, _statx_now_pointer))
        numbers.add(_statx_now.stx_ino)
    return len(numbers) == 1


def statx_attributes(parent_fd: int, name: str) -> int:
    """Return the attribute bits of an object, not following a link (statx(2), Linux 4.11); 0 where unknown.

    Not for use by several threads.
    """
    if _statx is None:
        return 0
    _raise_errno(_statx(parent_fd, os.fsencode(name), _AT_SYMLINK_NOFOLLOW, 0, _statx_now_pointer))
    return int(_statx_now.stx_attributes)


class _Statfs(ctypes.Structure):
    # Only the first field is read; the rest is room for every architecture's struct statfs.
    _fields_ = (("f_type", ctypes.c_long), ("rest", ctypes.c_byte * 512))


def statfs_magic(fd: int) -> int:
    """Return the magic number of the filesystem of `fd` (statfs(2)), which os.statvfs leaves out."""
    result = _Statfs()
    _raise_errno(_libc.fstatfs(ctypes.c_int(fd), ctypes.byref(result)))
    return int(result.f_type) & 0xFFFFFFFF
