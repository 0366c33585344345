"""Acts. Which of the files and directories that will go are still, byte for byte, what the database says?

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
_NOT_VOUCHED_FOR = bytes(_ROW.size)  # nothing has inode number 0


def still_as_installed(
    disk: Disk, entries: Sequence[OwnedEntry], *, rights: bool = False
) -> dict[RelPath, Observed]:
    """Describe those of these files whose content is what was installed, with its digest, and of these directories.

    Args:
        entries: regular files and directories that were installed without extended attributes.
        rights: leave out files that have got capabilities since, and directories that have got any attribute.
    """

    def look(part: range, _progress: Callable[[int], None]) -> bytes:
        return b"".join(_row(disk, entries[number], rights=rights) for number in part)

    found: dict[RelPath, Observed] = {}
    for part, answer in in_parts(len(entries), look):
        if answer is None:
            continue
        for number, row in zip(part, _ROW.iter_unpack(answer), strict=True):
            mode, uid, gid, size, mtime_ns, inode, links = row
            if inode:
                entry = entries[number]
                found[entry.location] = Observed(
                    entry.kind, mode, uid, gid, size, mtime_ns, inode, links, "", entry.digest
                )
    return found


def _row(disk: Disk, entry: OwnedEntry, *, rights: bool) -> bytes:
    seen = disk.observe_whole(entry.location, xattrs=rights, size=entry.size)
    if seen is None or seen.kind is not entry.kind or seen.digest != entry.digest:
        return _NOT_VOUCHED_FOR
    if seen.xattrs and (seen.kind is Kind.DIRECTORY or any(name == CAPABILITY for name, _ in seen.xattrs)):
        return _NOT_VOUCHED_FOR
    try:
        return _ROW.pack(seen.mode, seen.uid, seen.gid, seen.size, seen.mtime_ns, seen.inode, seen.links)
    except struct.error:  # a time beyond the year 2262
        return _NOT_VOUCHED_FOR
