"""Pure. Which system calls change anything, which only look, and what are their numbers here?

Numbers from arch/x86/entry/syscalls/syscall_64.tbl and include/uapi/asm-generic/unistd.h of Linux.
"""

import platform
from types import MappingProxyType
from typing import Final

__all__ = ["CHANGING", "LOOKING", "NAMES", "OPENAT", "number_of"]

_X86_64: Final = MappingProxyType(
    {
        "read": 0,
        "write": 1,
        "open": 2,
        "stat": 4,
        "fstat": 5,
        "lstat": 6,
        "pread64": 17,
        "pwrite64": 18,
        "writev": 20,
        "access": 21,
        "sendfile": 40,
        "flock": 73,
        "fsync": 74,
        "fdatasync": 75,
        "truncate": 76,
        "ftruncate": 77,
        "rename": 82,
        "mkdir": 83,
        "rmdir": 84,
        "creat": 85,
        "link": 86,
        "unlink": 87,
        "symlink": 88,
        "readlink": 89,
        "chmod": 90,
        "fchmod": 91,
        "chown": 92,
        "fchown": 93,
        "lchown": 94,
        "statfs": 137,
        "fstatfs": 138,
        "setxattr": 188,
        "lsetxattr": 189,
        "fsetxattr": 190,
        "getxattr": 191,
        "fgetxattr": 193,
        "listxattr": 194,
        "flistxattr": 196,
        "removexattr": 197,
        "fremovexattr": 199,
        "getdents64": 217,
        "openat": 257,
        "mkdirat": 258,
        "mknodat": 259,
        "fchownat": 260,
        "newfstatat": 262,
        "unlinkat": 263,
        "renameat": 264,
        "linkat": 265,
        "symlinkat": 266,
        "readlinkat": 267,
        "fchmodat": 268,
        "faccessat": 269,
        "sync_file_range": 277,
        "utimensat": 280,
        "fallocate": 285,
        "pwritev": 296,
        "syncfs": 306,
        "renameat2": 316,
        "copy_file_range": 326,
        "statx": 332,
    }
)
_AARCH64: Final = MappingProxyType(
    {
        "setxattr": 5,
        "lsetxattr": 6,
        "fsetxattr": 7,
        "getxattr": 8,
        "fgetxattr": 10,
        "listxattr": 11,
        "flistxattr": 13,
        "removexattr": 14,
        "fremovexattr": 16,
        "flock": 32,
        "mknodat": 33,
        "mkdirat": 34,
        "unlinkat": 35,
        "symlinkat": 36,
        "linkat": 37,
        "renameat": 38,
        "statfs": 43,
        "fstatfs": 44,
        "truncate": 45,
        "ftruncate": 46,
        "fallocate": 47,
        "faccessat": 48,
        "fchmod": 52,
        "fchmodat": 53,
        "fchownat": 54,
        "fchown": 55,
        "openat": 56,
        "getdents64": 61,
        "read": 63,
        "write": 64,
        "writev": 66,
        "pread64": 67,
        "pwrite64": 68,
        "pwritev": 70,
        "sendfile": 71,
        "readlinkat": 78,
        "newfstatat": 79,
        "fstat": 80,
        "fsync": 82,
        "fdatasync": 83,
        "sync_file_range": 84,
        "utimensat": 88,
        "syncfs": 267,
        "renameat2": 276,
        "copy_file_range": 285,
        "statx": 291,
    }
)
_TABLES = {"x86_64": _X86_64, "aarch64": _AARCH64}
_HERE = _TABLES.get(platform.machine(), MappingProxyType[str, int]({}))

LOOKING: Final = frozenset(
    {
        *("read", "pread64", "open", "stat", "fstat", "lstat", "newfstatat", "statx", "access", "faccessat"),
        *("readlink", "readlinkat", "getdents64", "statfs", "fstatfs", "flock"),
        *("getxattr", "fgetxattr", "listxattr", "flistxattr"),
    }
)
OPENAT: Final = "openat"  # changes something only with O_CREAT
CHANGING: Final = frozenset({*_X86_64, *_AARCH64} - LOOKING - {OPENAT})
NAMES: Final = MappingProxyType({number: name for name, number in _HERE.items()})


def number_of(name: str) -> int | None:
    """Return a call's number on this machine; None if it has none here."""
    return _HERE.get(name)
