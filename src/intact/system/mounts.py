"""Acts. Which mount points does the kernel know below an opened directory?"""

import os
from collections.abc import Callable, Iterable

from intact.model.errors import machine_error
from intact.model.paths import ROOT, RelPath

__all__ = ["borders_above", "mount_points_below"]

_ESCAPES = ((b"\\040", b" "), (b"\\011", b"\t"), (b"\\012", b"\n"), (b"\\134", b"\\"))


def mount_points_below(root_fd: int) -> frozenset[RelPath]:
    """Name the mount points below the root that is open at `root_fd`, the root included.

    Raises:
        MachineError: /proc/self/mountinfo cannot be read.
    """
    try:
        # The kernel's own name of the opened root: no walking of our own, so no race.
        top = os.fsencode(os.readlink(f"/proc/self/fd/{root_fd}")).rstrip(b"/")
        with open("/proc/self/mountinfo", "rb") as table:
            lines = table.read().splitlines()
    except OSError as error:
        raise machine_error("mount_points", error, "/proc/self/mountinfo") from error
    found = {ROOT}
    for line in lines:
        place = line.split(b" ")[4]
        for escaped, plain in _ESCAPES:
            place = place.replace(escaped, plain)
        if place.startswith(top + b"/"):
            found.add(RelPath(os.fsdecode(place[len(top) + 1 :])))
    return frozenset(found)


def borders_above(
    locations: Iterable[RelPath], top: int, device_of: Callable[[RelPath], int | None]
) -> frozenset[RelPath]:
    """Name the directories above these locations that are on another device than what holds them.

    Args:
        top: device of the root.
        device_of: tells that of a directory; None if there is none. Nothing is below what is not there.
    """
    found = set()
    devices: dict[RelPath, int | None] = {ROOT: top}
    for parent in dict.fromkeys(location.rpartition("/")[0] for location in locations):
        unknown, at = [], RelPath(parent)
        while at not in devices:
            unknown.append(at)
            at = at.parent
        for directory in reversed(unknown):
            above = devices[directory.parent]
            devices[directory] = device_of(directory) if above is not None else None
            if devices[directory] is not None and devices[directory] != above:
                found.add(directory)
    return frozenset(found)
