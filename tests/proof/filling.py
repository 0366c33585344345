"""Acts. How does a filesystem become really full, to the block and to the inode, and how does it get room again?

Nothing is injected: what is left over is taken by files of somebody else.
"""

import errno
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from proof.images import make_image, mounted

__all__ = ["cramped", "free_bytes", "free_inodes", "leave_bytes", "leave_inodes", "make_room"]

_KIB = 1024
_MOST_INODES = "512"  # so that taking all of them takes a moment only
_TMPFS_OPTIONS = ("size=16m", f"nr_inodes={_MOST_INODES}", "mode=755")
_MOST_ADJUSTMENTS = 64
_SECONDS_TO_CLEAN = 60
_BALLAST, _CROWD = "ballast", "crowd"


@contextmanager
def cramped(
    kind: str, place: Path, *, mkfs: tuple[str, ...] = (), options: tuple[str, ...] = ()
) -> Iterator[Path]:
    """Provide a small filesystem of its own, made anew, at a new directory below `place`.

    Args:
        mkfs: further words for its mkfs.
        options: further mount options.

    Raises:
        CalledProcessError: the kernel does not take it.
    """
    if kind == "tmpfs":
        with mounted("none", place / "cramped", kind, *_TMPFS_OPTIONS, *options) as top:
            yield top
        return
    image = place / "cramped.image"
    words = ["-N", _MOST_INODES] if kind == "ext4" else []
    if kind == "btrfs":
        # Blocks that were taken for data can be had for directories only once its cleaner has given them back: every
        # so many seconds, and after ten more if they are discarded as well.
        options = ("commit=1", "nodiscard", *options)
    make_image(kind, image, *words, *mkfs)
    try:
        with mounted(image, place / "cramped", kind, *options) as top:
            yield top
    finally:
        image.unlink(missing_ok=True)


def _settle(top: Path) -> None:
    """Write out what is pending: only then is what statvfs says what there is."""
    subprocess.run(["sync", "--file-system", str(top)], check=True)


def free_bytes(top: Path) -> int:
    """Return how many bytes are free."""
    status = os.statvfs(top)
    return status.f_bavail * status.f_frsize


def free_inodes(top: Path) -> int:
    """Return how many inodes are free."""
    return os.statvfs(top).f_favail


def leave_bytes(top: Path, kib: int) -> None:
    """Take all but so much for one large file, or as near as whole blocks come to it.

    It ends earlier where no further block can be had although some are said to be free.

    Raises:
        AssertionError: the free space does not settle.
    """
    wanted, block = kib * _KIB, os.statvfs(top).f_frsize
    with (top / _BALLAST).open("ab") as ballast:
        for _ in range(_MOST_ADJUSTMENTS):
            _settle(top)
            spare = free_bytes(top) - wanted
            if 0 <= spare < block:
                return
            size = os.fstat(ballast.fileno()).st_size
            if spare < 0:  # the file's own bookkeeping has taken a block
                ballast.truncate(max(0, size - -(spare // block) * block))
            elif not _grow(ballast.fileno(), size, spare // block * block, block):
                return
    raise AssertionError(f"{free_bytes(top)} bytes are free, not {wanted}")


def _grow(fd: int, size: int, more: int, block: int) -> bool:
    """Add to a file, less than asked for if it must be; tell whether anything could be added."""
    while more >= block:
        if _fits(fd, size, more):
            return True
        os.ftruncate(fd, size)
        more = more // 2 // block * block
    return False


def _fits(fd: int, size: int, more: int) -> bool:
    try:
        os.posix_fallocate(fd, size, more)
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        return False
    return True


def leave_inodes(top: Path, count: int) -> None:
    """Take all but so many inodes for empty files.

    Raises:
        AssertionError: the filesystem has fewer.
    """
    crowd = top / _CROWD
    crowd.mkdir()
    surplus = free_inodes(top) - count
    if surplus < 0:
        raise AssertionError(f"{free_inodes(top)} inodes are free, not {count}")
    for number in range(surplus):
        (crowd / str(number)).touch()
    _settle(top)


def make_room(top: Path) -> None:
    """Give back everything that was taken.

    Raises:
        AssertionError: that makes no room.
    """
    (top / _BALLAST).unlink(missing_ok=True)
    shutil.rmtree(top / _CROWD, ignore_errors=True)
    _settle(top)
    deadline = time.monotonic() + _SECONDS_TO_CLEAN
    while not _has_room(top):
        if time.monotonic() > deadline:
            raise AssertionError(f"there is no room, and {free_bytes(top)} bytes are free")
        time.sleep(0.05)


def _has_room(top: Path) -> bool:
    """Tell whether somebody who knows nothing of `pkg` could work here."""
    try:
        (top / "probe").mkdir(exist_ok=True)
        (top / "probe/one").write_bytes(bytes(_KIB))
        (top / "probe/one").rename(top / "probe/two")
        shutil.rmtree(top / "probe")
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        return False
    return True
