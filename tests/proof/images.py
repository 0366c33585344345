"""Acts. Filesystems for the proof: made anew, mounted, and taken away again, whatever happens."""

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from support.layers import unmount
from support.weather import mirrored

__all__ = ["copy_sparse", "make_image", "missing_tools", "mounted", "scratch", "unmount"]

_MANNERS = {
    "fuse without flags": ("--no-flags",),
    "fuse ignoring flags": ("--ignore-flags",),
    "fuse without links": ("--no-flags", "--no-links"),
}
_MAKE = {
    "ext4": (24, ["mkfs.ext4", "-q", "-F", "-m", "0"]),
    "xfs": (320, ["mkfs.xfs", "-q", "-f", "-K"]),
    "btrfs": (128, ["mkfs.btrfs", "-q", "-f", "-K", "-m", "single", "-d", "single"]),
}  # mebibytes, and the command: near the smallest that each accepts


def missing_tools() -> list[str]:
    """Name the programs that are not installed here."""
    wanted = ["mount", "umount", "losetup", *(command[0] for _, command in _MAKE.values())]
    return [name for name in wanted if shutil.which(name) is None]


def make_image(kind: str, path: Path, *options: str) -> None:
    """Make a filesystem in a file.

    Args:
        options: more words for its mkfs.
    """
    size, command = _MAKE[kind]
    with path.open("wb") as file:
        file.truncate(size << 20)
    subprocess.run([*command, *options, str(path)], check=True, capture_output=True)


def copy_sparse(source: Path, target: Path) -> None:
    """Copy an image without its holes."""
    subprocess.run(["cp", "--sparse=always", str(source), str(target)], check=True)


@contextmanager
def mounted(image: Path | str, place: Path, kind: str, *more: str) -> Iterator[Path]:
    """Mount an image (or any source) at a new directory.

    Args:
        more: further mount options.

    Raises:
        CalledProcessError: the kernel does not take it.
    """
    place.mkdir(parents=True, exist_ok=True)
    words = list(more)
    if kind in _MAKE and not str(image).startswith("/dev/"):
        words.append("loop")
    # A copy of a btrfs or xfs has the same identity as the original; only one is mounted at a time per name.
    if kind == "xfs":
        words.append("nouuid")
    options = ["-o", ",".join(words)] if words else []
    subprocess.run(["mount", "-t", kind, *options, str(image), str(place)], check=True, capture_output=True)
    try:
        yield place
    finally:
        unmount(place)


@contextmanager
def scratch(kind: str, place: Path) -> Iterator[Path]:
    """Provide an empty filesystem of this kind below `place`, which is in memory; for overlayfs that of its layers."""
    if kind in {"tmpfs", "overlayfs"}:
        yield place
        return
    if kind in _MANNERS:
        with mirrored(place, *_MANNERS[kind]) as top:
            yield top
        return
    image = place / f"{kind}.image"
    make_image(kind, image)
    try:
        with mounted(image, place / kind, kind) as top:
            yield top
    finally:
        image.unlink(missing_ok=True)
