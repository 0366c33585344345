"""Acts. How does a person come to the end of his quota, on ext4 (quotactl(2)) and on btrfs (quota groups)?

A quota is not seen by statvfs(2): whoever asks how much is free is told what the filesystem has.
"""

import ctypes
import errno
import os
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from proof.filling import cramped

__all__ = ["KINDS", "NotPossible", "end_quota", "give_quota", "with_quotas"]

KINDS = ("ext4", "btrfs")
_MKFS = {"ext4": ("-O", "quota", "-E", "quotatype=usrquota")}
_OPTIONS = {"ext4": ("usrquota",)}
_KIB = 1024
_QUOTACTL_FD = 443  # the same number on every architecture, since Linux 5.14
_GET, _SET, _USER = 0x800007, 0x800008, 0
_LIMITS_OF_BLOCKS = 1  # QIF_BLIMITS
_SUBVOLUME = "subvolume"
_GROUP = "0/256"  # of the first subvolume

_libc = ctypes.CDLL(None, use_errno=True)


class NotPossible(Exception):
    """This machine has no such quotas; the text says why."""


class _Limits(ctypes.Structure):
    """Struct if_dqblk of linux/quota.h; limits in KiB, space in bytes."""

    _fields_ = (
        ("hard_blocks", ctypes.c_uint64),
        ("soft_blocks", ctypes.c_uint64),
        ("space", ctypes.c_uint64),
        ("hard_inodes", ctypes.c_uint64),
        ("soft_inodes", ctypes.c_uint64),
        ("inodes", ctypes.c_uint64),
        ("time_blocks", ctypes.c_uint64),
        ("time_inodes", ctypes.c_uint64),
        ("valid", ctypes.c_uint32),
    )


@contextmanager
def with_quotas(kind: str, place: Path) -> Iterator[Path]:
    """Provide a small filesystem that counts what belongs to whom.

    Raises:
        NotPossible: the kernel or the tools cannot do it.
    """
    if kind not in KINDS:
        raise NotPossible(f"nobody has tried quotas on {kind}")
    with ExitStack() as stack:
        try:
            top = stack.enter_context(
                cramped(kind, place, mkfs=_MKFS.get(kind, ()), options=_OPTIONS.get(kind, ()))
            )
        except subprocess.CalledProcessError as error:
            raise NotPossible(f"mkfs or the kernel takes no {kind} with quotas (CONFIG_QFMT_V2)") from error
        if kind == "btrfs":
            # The top itself must not be limited: setting another limit needs room within the one before.
            _btrfs("quota", "enable", str(top))
            _btrfs("subvolume", "create", str(top / _SUBVOLUME))
            top /= _SUBVOLUME
        yield top


def give_quota(kind: str, top: Path, user: int, kib: int) -> None:
    """Let this user take so much more than he has now.

    Raises:
        NotPossible: the kernel or the tools cannot do it.
    """
    subprocess.run(["sync", "--file-system", str(top)], check=True)
    if kind == "btrfs":
        limit = _used_of_btrfs(top) + kib * _KIB
        _btrfs("qgroup", "limit", str(limit), _GROUP, str(top.parent))
        return
    limits = _Limits()
    _quotactl(top, _GET, user, limits)
    _limit(top, user, -(-limits.space // _KIB) + kib)


def end_quota(kind: str, top: Path, user: int) -> None:
    """Let this user take what there is."""
    if kind == "btrfs":
        _btrfs("qgroup", "limit", "none", _GROUP, str(top.parent))
    else:
        _limit(top, user, 0)


def _limit(top: Path, user: int, kib: int) -> None:
    limits = _Limits(hard_blocks=kib, valid=_LIMITS_OF_BLOCKS)
    _quotactl(top, _SET, user, limits)


def _quotactl(top: Path, command: int, user: int, limits: _Limits) -> None:
    fd = os.open(top, os.O_RDONLY | os.O_DIRECTORY)
    try:
        done = _libc.syscall(
            ctypes.c_long(_QUOTACTL_FD),
            ctypes.c_uint(fd),
            ctypes.c_uint(command << 8 | _USER),
            ctypes.c_uint(user),
            ctypes.byref(limits),
        )
        number = ctypes.get_errno()
    finally:
        os.close(fd)
    if done != 0:
        raise NotPossible(f"quotactl_fd(2): {errno.errorcode.get(number, number)}")


def _btrfs(*words: str) -> str:
    try:
        done = subprocess.run(["btrfs", *words], check=True, capture_output=True, text=True)
    except (OSError, subprocess.CalledProcessError) as error:
        reason = getattr(error, "stderr", "").strip() or str(error)
        raise NotPossible(f"btrfs {' '.join(words[:2])}: {reason}") from error
    return done.stdout


def _used_of_btrfs(top: Path) -> int:
    for line in _btrfs("qgroup", "show", "--raw", "--sync", str(top.parent)).splitlines():
        group, *numbers = line.split() or [""]
        if group == _GROUP:
            return int(numbers[0])
    raise NotPossible("btrfs counts nothing")
