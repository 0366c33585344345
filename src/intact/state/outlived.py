"""Pure. How is it noted who still had a file when its backup was deleted?

A note of this boot only: no process outlives a reboot, and what does not fit is no note at all. It decides nothing
but what `pkg ps` shows.
"""

import json
from collections.abc import Iterable, Sequence

from intact.model.objects import Identity
from intact.model.paths import RelPath
from intact.model.values import dataclass

__all__ = ["OutlivedFile", "outlived_text", "parse_outlived"]

_FORMAT = 1


@dataclass(frozen=True, slots=True)
class OutlivedFile:
    """A file that has no name any more, and that a process had when its last name went.

    Attributes:
        transaction: the one that took it out of the root.
        location: where it stood in the root.
        package: to which it belonged, with the version; both empty for nobody's.
        size: in bytes; with the time of its content it tells the file from a later one with the same inode.
        mtime_ns: nanoseconds since 1970.
    """

    transaction: int
    location: RelPath
    package: str
    version: str
    identity: Identity
    size: int
    mtime_ns: int


def outlived_text(files: Iterable[OutlivedFile], boot: str) -> bytes:
    """Write the note."""
    rows = [
        [one.transaction, one.location, one.package, one.version, *one.identity, one.size, one.mtime_ns]
        for one in files
    ]
    return json.dumps({"format": _FORMAT, "boot": boot, "files": rows}).encode()


def parse_outlived(text: bytes, boot: str) -> Sequence[OutlivedFile]:
    """Read the note; empty if it is of another boot, or not to be understood."""
    try:
        document = json.loads(text)
        if (document["format"], document["boot"]) != (_FORMAT, boot):
            return ()
        return tuple(
            OutlivedFile(
                int(transaction),
                RelPath.parse(location),
                str(package),
                str(version),
                Identity(int(device), int(inode)),
                int(size),
                int(mtime_ns),
            )
            for transaction, location, package, version, device, inode, size, mtime_ns in document["files"]
        )
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return ()
