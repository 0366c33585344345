"""Acts. A filesystem with the manners of other machines: a FUSE mirror of a directory.

It refuses what some systems refuse, so that the ways round it can be tried here:

    --no-flags        renameat2 knows no flags (NFS, old kernels): EINVAL
    --ignore-flags    … or takes them and does a plain rename (some FUSE filesystems)
    --no-links        link(2) is refused (vfat, many FUSE filesystems): EPERM
    --busy            a file that is open for execution can't be renamed over or removed (HP-UX): ETXTBSY;
                      a file counts as running if a line of the file `running` beside the mirrored directory is its
                      name, or a pattern of it
    --fold-case       names that differ by capitals only are one (macOS, FAT, ext4 with casefold)
    --stuck           fsync never comes back (a network filesystem without its server)
    --unstable        inode numbers change with every look

    python -m support.weather MOUNTPOINT MIRRORED [FLAG...]
"""

import errno
import fnmatch
import gc
import itertools
import os
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import mfusepy  # type: ignore[import-untyped]

__all__ = ["MANNERS", "mirrored"]

MANNERS = ("--no-flags", "--ignore-flags", "--no-links", "--busy", "--fold-case", "--stuck", "--unstable")
_STAT = ("st_mode", "st_nlink", "st_size", "st_uid", "st_gid", "st_ino")
_SECONDS_TO_MOUNT = 20


class _Mirror(mfusepy.Operations):  # type: ignore[misc]  # untyped
    use_ns = True

    def __init__(self, top: Path, manners: frozenset[str]) -> None:
        self._top = str(top)
        self._running = top.parent / "running"
        self._manners = manners
        self._numbers = itertools.count(1000)

    def _at(self, path: str) -> str:
        return self._top + (path.lower() if "--fold-case" in self._manners else path)

    def _insist_on_idle(self, path: str) -> None:
        if "--busy" not in self._manners or not self._running.exists():
            return
        if any(fnmatch.fnmatchcase(path, line) for line in self._running.read_text().splitlines()):
            raise mfusepy.FuseOSError(errno.ETXTBSY)

    def getattr(self, path: str | None, fh: int | None = None) -> dict[str, Any]:
        if path is None and fh is not None:  # open, and deleted since
            status = os.fstat(fh)
        else:
            status = os.lstat(self._at(path or "/"))
        found: dict[str, Any] = {name: getattr(status, name) for name in _STAT}
        found |= {f"st_{one}time": getattr(status, f"st_{one}time_ns") for one in "amc"}
        if "--unstable" in self._manners and not stat.S_ISDIR(status.st_mode):
            found["st_ino"] = next(self._numbers)
        return found

    def readdir(self, path: str, fh: int) -> list[tuple[str, dict[str, Any], int]]:  # noqa: ARG002
        # With inode numbers: an entry whose number is 0 counts as deleted.
        below = path.rstrip("/")
        dots = [(name, self.getattr(path), 0) for name in (".", "..")]
        return dots + [(name, self.getattr(f"{below}/{name}"), 0) for name in os.listdir(self._at(path))]

    def readlink(self, path: str) -> str:
        return os.readlink(self._at(path))

    def mkdir(self, path: str, mode: int) -> int:
        os.mkdir(self._at(path), mode)
        return 0

    def rmdir(self, path: str) -> int:
        os.rmdir(self._at(path))
        return 0

    def unlink(self, path: str) -> int:
        self._insist_on_idle(path)
        os.unlink(self._at(path))
        return 0

    def symlink(self, target: str, source: str) -> int:
        os.symlink(source, self._at(target))
        return 0

    def link(self, target: str, source: str) -> int:
        if "--no-links" in self._manners:
            raise mfusepy.FuseOSError(errno.EPERM)
        os.link(self._at(source), self._at(target), follow_symlinks=False)
        return 0

    def rename(self, old: str, new: str) -> int:
        if os.path.lexists(self._at(new)):
            self._insist_on_idle(new)
        os.rename(self._at(old), self._at(new))
        return 0

    def chmod(self, path: str, mode: int) -> int:
        os.chmod(self._at(path), stat.S_IMODE(mode))
        return 0

    def chown(self, path: str, uid: int, gid: int) -> int:
        # FUSE says "leave it" with the largest unsigned number.
        uid, gid = (-1 if one in {-1, 0xFFFFFFFF} else one for one in (uid, gid))
        os.chown(self._at(path), uid, gid, follow_symlinks=False)
        return 0

    def utimens(self, path: str, times: tuple[int, int] | None = None) -> int:
        if times is None:
            os.utime(self._at(path), follow_symlinks=False)
        else:
            os.utime(self._at(path), ns=times, follow_symlinks=False)
        return 0

    def create(self, path: str, mode: int, fi: Any = None) -> int:  # noqa: ANN401, ARG002
        return os.open(self._at(path), os.O_RDWR | os.O_CREAT | os.O_EXCL, mode)

    def open(self, path: str, flags: int) -> int:
        return os.open(self._at(path), flags & ~(os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW))

    def read(self, path: str, size: int, offset: int, fh: int) -> bytes:  # noqa: ARG002
        return os.pread(fh, size, offset)

    def write(self, path: str, data: bytes, offset: int, fh: int) -> int:  # noqa: ARG002
        return os.pwrite(fh, data, offset)

    def truncate(self, path: str, length: int, fh: int | None = None) -> int:  # noqa: ARG002
        os.truncate(self._at(path), length)
        return 0

    def fsync(self, path: str, datasync: int, fh: int) -> int:  # noqa: ARG002
        if "--stuck" in self._manners:
            time.sleep(3600)
        os.fsync(fh)
        return 0

    def release(self, path: str, fh: int) -> int:  # noqa: ARG002
        os.close(fh)
        return 0

    def statfs(self, path: str) -> dict[str, int]:
        status = os.statvfs(self._at(path))
        names = (
            "f_bsize",
            "f_frsize",
            "f_blocks",
            "f_bfree",
            "f_bavail",
            "f_files",
            "f_ffree",
            "f_favail",
            "f_namemax",
        )
        return {name: getattr(status, name) for name in names}


class _Fuse(mfusepy.FUSE):  # type: ignore[misc]  # untyped
    """The library does every rename as a plain one, whatever its flags; an honest filesystem refuses them."""

    honest = True

    def rename_fuse_3(self, old: bytes, new: bytes, flags: int) -> int:
        if flags and self.honest:
            return -errno.EINVAL
        return int(super().rename_fuse_3(old, new, flags))


def main() -> None:
    """Serve until it is unmounted."""
    mountpoint, mirrored_directory, *manners = sys.argv[1:]
    _Fuse.honest = "--ignore-flags" not in manners
    mirror = _Mirror(Path(mirrored_directory), frozenset(manners))
    options = {
        "attr_timeout": 0,
        "entry_timeout": 0,
        "negative_timeout": 0,
        "hard_remove": True,
        "use_ino": True,
    }
    _Fuse(mirror, mountpoint, foreground=True, nothreads=True, fsname="intact-weather", **options)


@contextmanager
def mirrored(place: Path, *manners: str) -> Iterator[Path]:
    """Mount a mirror with these manners in the new directory `place`; yield where it is mounted.

    Raises:
        RuntimeError: it does not come up.
    """
    backing, top = place / "mirrored", place / "mirror"
    backing.mkdir(parents=True)
    top.mkdir()
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parent.parent)}
    command = [sys.executable, "-m", "support.weather", str(top), str(backing), *manners]
    server = subprocess.Popen(command, env=environment)
    try:
        deadline = time.monotonic() + _SECONDS_TO_MOUNT
        while not top.is_mount():
            if server.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError("the mirror does not come up; is libfuse3 installed?")
            time.sleep(0.01)
        yield top
    finally:
        gc.collect()  # descriptors of a test that has failed would keep it mounted
        subprocess.run(["umount", "--lazy", str(top)], check=False)
        try:
            server.wait(_SECONDS_TO_MOUNT)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()


if __name__ == "__main__":
    main()
