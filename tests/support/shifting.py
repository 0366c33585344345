"""Acts. A file that somebody writes to while it is read: a FUSE filesystem with one file, and a log of all reads.

The first reads give the bytes of one file; all further ones, those of another. The kernel keeps no copy.

    python -m support.shifting MOUNTPOINT BEFORE AFTER READS LOG
"""

import errno
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

__all__ = ["NAME", "shifting"]

NAME = "bundle.tar.zst"
_SECONDS_TO_MOUNT = 20


class _Shifting(mfusepy.Operations):  # type: ignore[misc]  # untyped
    use_ns = True

    def __init__(self, before: bytes, after: bytes, reads: int, log: Path) -> None:
        self._before, self._after, self._left, self._log = before, after, reads, log

    def getattr(self, path: str, fh: int | None = None) -> dict[str, Any]:  # noqa: ARG002
        if path == "/":
            return {"st_mode": stat.S_IFDIR | 0o755, "st_nlink": 2}
        if path != f"/{NAME}":
            raise mfusepy.FuseOSError(errno.ENOENT)
        return {"st_mode": stat.S_IFREG | 0o644, "st_nlink": 1, "st_size": len(self._before)}

    def read(self, path: str, size: int, offset: int, fh: int) -> bytes:  # noqa: ARG002
        content = self._before if self._left > 0 else self._after
        self._left -= 1
        found = content[offset : offset + size]
        with self._log.open("a") as log:
            log.write(f"{offset} {len(found)}\n")
        return found


@contextmanager
def shifting(place: Path, before: bytes, after: bytes, reads: int) -> Iterator[tuple[Path, Path]]:
    """Mount it in the new directory `place`; yield the file and the log.

    Raises:
        RuntimeError: it does not come up.
    """
    top = place / "mounted"
    top.mkdir(parents=True)
    (place / "before").write_bytes(before)
    (place / "after").write_bytes(after)
    (place / "log").touch()
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parent.parent)}
    command: list[str | Path] = [
        sys.executable,
        "-m",
        "support.shifting",
        top,
        place / "before",
        place / "after",
        str(reads),
    ]
    server = subprocess.Popen([*command, place / "log"], env=environment)
    try:
        deadline = time.monotonic() + _SECONDS_TO_MOUNT
        while not top.is_mount():
            if server.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError("the filesystem does not come up; is libfuse3 installed?")
            time.sleep(0.01)
        yield top / NAME, place / "log"
    finally:
        subprocess.run(["umount", "--lazy", str(top)], check=False)
        try:
            server.wait(_SECONDS_TO_MOUNT)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()


def main() -> None:
    """Serve until it is unmounted."""
    mountpoint, before, after, reads, log = sys.argv[1:]
    content = _Shifting(Path(before).read_bytes(), Path(after).read_bytes(), int(reads), Path(log))
    mfusepy.FUSE(
        content, mountpoint, foreground=True, nothreads=True, direct_io=True, fsname="intact-shifting"
    )


if __name__ == "__main__":
    main()
