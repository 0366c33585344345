"""Acts. Where is it measured? A new ext4 with a journal for every run, in memory, so that no disk decides."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from support.layers import unmount

__all__ = ["fetch_memory", "filesystem", "insist_on_possibility", "load", "open_ground"]

_MEMORY = Path("/dev/shm")
_PROGRAMS = ("mount", "umount", "losetup", "mkfs.ext4", "tar", "zstd", "sync", "sha256sum", "xargs")
_NOT_POSSIBLE = 3


def insist_on_possibility() -> None:
    """End with 3, and say what is missing, where this machine cannot measure."""
    missing = [name for name in _PROGRAMS if shutil.which(name) is None]
    if missing:
        print(f"missing: {', '.join(missing)} (apt-get install mount e2fsprogs tar zstd)", file=sys.stderr)
    elif os.geteuid() != 0:
        print(
            "scripts/bench mounts filesystems, and needs root for that (sudo scripts/bench)", file=sys.stderr
        )
    else:
        fault = _try_mount()
        if not fault:
            return
        print(
            f"an ext4 cannot be loop-mounted here: {fault}\n"
            "in a container, give it the loop devices and CAP_SYS_ADMIN (docker run --privileged)",
            file=sys.stderr,
        )
    sys.exit(_NOT_POSSIBLE)


def _try_mount() -> str:
    with open_ground() as ground:
        try:
            with filesystem(ground, 16):
                return ""
        except subprocess.CalledProcessError as error:
            return str(error.stderr.decode(errors="replace").strip() or error)


@contextmanager
def open_ground() -> Iterator[Path]:
    """Provide a directory in memory."""
    place = _MEMORY / f"intact-bench-{os.getpid()}"
    place.mkdir()
    try:
        yield place
    finally:
        shutil.rmtree(place, ignore_errors=True)


@contextmanager
def filesystem(ground: Path, size: int, *, bytes_per_inode: int = 16384) -> Iterator[Path]:
    """Mount a new ext4 of `size` MiB."""
    image, top = ground / "image", ground / "top"
    with image.open("wb") as file:
        file.truncate(size << 20)
    lazy = "lazy_itable_init=0,lazy_journal_init=0"  # or the kernel would be at work while we measure
    inodes = ("-i", str(bytes_per_inode))
    subprocess.run(
        ["mkfs.ext4", "-q", "-F", "-m", "0", *inodes, "-E", lazy, image], check=True, capture_output=True
    )
    top.mkdir(exist_ok=True)
    subprocess.run(["mount", "-t", "ext4", "-o", "loop", image, top], check=True, capture_output=True)
    try:
        yield top
    finally:
        unmount(top)
        image.unlink()


def fetch_memory(size: int) -> None:
    """Touch `size` MiB of memory, or half of what is free, and give them back, so that what is run next need not wait for them.

    In a virtual machine the host may hold back what nobody has used for a few seconds; to get it again takes one to two
    milliseconds for each MiB, and whoever comes first pays.
    """
    line = (
        "import mmap, sys; mmap.mmap(-1, int(sys.argv[1]) << 20, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS |"
        " mmap.MAP_POPULATE)"
    )
    free = os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") >> 20
    subprocess.run([sys.executable, "-I", "-S", "-c", line, str(min(size, free // 2))], check=True)


def load() -> float:
    """Return how many processes wanted to run in the last minute, on average."""
    return os.getloadavg()[0]
