"""Acts. Which of the files that will go are still, byte for byte, what the database says?

Several processes look, because each file is read. What they do not vouch for (another content, another type, anything
that went wrong) is left to whoever looks at it alone.
"""

import struct
from collections.abc import Callable, Sequence

from intact.model.installed import OwnedEntry
from intact.model.objects import CAPABILITY, Kind, Observed
from intact.model.paths import RelPath
from intact.system.forks import in_parts
from intact.system.port import Disk

__all__ = ["still_as_installed"]

_ROW = struct.Struct("<IIIQqQQ")  # mode, uid, gid, size, mtime_ns, inode, links
_NOT_VOUCHED_FOR = bytes(_ROW.size)  # no file has inode number 0


def still_as_installed(
    disk: Disk, entries: Sequence[OwnedEntry], *, capabilities: bool = False
) -> dict[RelPath, Observed]:
    """Describe the files among these whose content is what was installed, with its digest.

    Args:
        entries: regular files that were installed without extended attributes.
        capabilities: leave out those that have got capabilities since.
    """

    def look(part: range, _progress: Callable[[int], None]) -> bytes:
        return b"".join(_row(disk, entries[number], capabilities=capabilities) for number in part)

    found: dict[RelPath, Observed] = {}
    for part, answer in in_parts(len(entries), look):
        if answer is None:
            continue
        for number, row in zip(part, _ROW.iter_unpack(answer), strict=True):
            mode, uid, gid, size, mtime_ns, inode, links = row
            if inode:
                entry = entries[number]
                found[entry.location] = Observed(
                    Kind.FILE, mode, uid, gid, size, mtime_ns, inode, links, "", entry.digest
                )
    return found


def _row(disk: Disk, entry: OwnedEntry, *, capabilities: bool) -> bytes:
    seen = disk.observe_whole(entry.location, xattrs=capabilities, size=entry.size)
    if (
        seen is None
        or (seen.xattrs and any(name == CAPABILITY for name, _ in seen.xattrs))
        or seen.kind is not Kind.FILE
        or seen.digest is None
        or seen.digest != entry.digest
    ):
        return _NOT_VOUCHED_FOR
    return _ROW.pack(seen.mode, seen.uid, seen.gid, seen.size, seen.mtime_ns, seen.inode, seen.links)
