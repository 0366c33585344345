"""Pure. What shall a directory be that several packages have?

A package that only has something in a directory says nothing about it, and the database then remembers root's 0755 for
it. So a directory is right if it is as any of its packages says, and it is made anew as one that says something else.
"""

from collections.abc import Sequence

from intact.model.installed import OwnedEntry
from intact.model.objects import Kind, Observed

__all__ = ["decisive", "is_as_somebody_says"]

_IMPLIED = (0o755, 0, 0)


def decisive(entries: Sequence[OwnedEntry]) -> OwnedEntry:
    """Choose the entry that counts: the narrowest of those that say something of their own."""
    own = [one for one in entries if (one.mode, one.uid, one.gid) != _IMPLIED]
    return min(own or entries, key=lambda one: (one.mode, one.package))


def is_as_somebody_says(entries: Sequence[OwnedEntry], seen: Observed | None) -> bool:
    """Tell whether a directory has the mode and owner that one of its packages gave it."""
    if seen is None or seen.kind is not Kind.DIRECTORY:
        return False
    return any((one.mode, one.uid, one.gid) == (seen.mode, seen.uid, seen.gid) for one in entries)
