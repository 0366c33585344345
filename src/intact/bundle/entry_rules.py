"""Pure. Can these entries stand beside each other in one root?

Works in linear time: a million entries are thinkable.
"""

from collections.abc import Callable, Sequence

from intact.bundle.fields import Faults
from intact.bundle.values import CAPABILITY
from intact.model.entries import DirectoryEntry, Entry, FileEntry, HardlinkEntry, SymlinkEntry
from intact.model.exhaustive import assert_never
from intact.model.limits import Limits
from intact.model.paths import RelPath

__all__ = ["check_ceilings", "check_entries", "is_privileged"]

_STATE = RelPath("var/lib/intact")
_VOLATILE = (RelPath("proc"), RelPath("sys"), RelPath("dev"), RelPath("run"))
_ROOTS = frozenset({"root", "0"})
_FIRST_PARTS = frozenset({*_VOLATILE, "var"})


def check_entries(entries: Sequence[Entry], place_of: Callable[[int], str], faults: Faults) -> None:
    """Note duplicates, entries inside files or links, hardlinks to nothing, and reserved places.

    Args:
        entries: those with the empty path were faulty already and are passed over.
        place_of: says for an index where that entry stands in the manifest.
    """
    found = _by_path(entries, place_of, faults)
    sound_parents: set[RelPath] = set()
    for index, entry in enumerate(entries):
        if not entry.path:
            continue
        reserved = _reserved(entry)
        if reserved:
            faults.add(f"{place_of(index)}.path", reserved)
        blocking = _blocking_parent(entry.path, found, entries, sound_parents)
        if blocking is not None:
            faults.add(
                f"{place_of(index)}.path", f"{entry.path} lies inside {blocking}, which is no directory"
            )
        if isinstance(entry, HardlinkEntry) and entry.target:
            target = found.get(entry.target)
            if target is None or not isinstance(entries[target], FileEntry):
                faults.add(f"{place_of(index)}.target", f"{entry.target} is not a file of this manifest")


def check_ceilings(entries: Sequence[Entry], faults: Faults, limits: Limits) -> None:
    """Note that there are more entries, or more bytes in them, than a bundle may have."""
    if len(entries) > limits.entries:
        faults.add("entries", f"there are {len(entries)}; {limits.entries} is the most")
    total = sum(entry.size for entry in entries if isinstance(entry, FileEntry))
    if total > limits.content:
        faults.add("files", f"they have {total} bytes together; {limits.content} is the most")


def is_privileged(entry: Entry) -> bool:
    """Tell whether installing this gives rights that a signer needs a special permission for.

    These are set-id bits, file capabilities, write permission for group or others, and any owner or group
    but root.
    """
    match entry:
        case FileEntry() | DirectoryEntry():
            return (
                bool(entry.mode & 0o6022)
                or not {entry.owner, entry.group} <= _ROOTS
                or any(name == CAPABILITY for name, _ in entry.xattrs)
            )
        case SymlinkEntry():
            return not {entry.owner, entry.group} <= _ROOTS
        case HardlinkEntry():
            return False  # it is its target once more
        case _:
            assert_never(entry)


def _by_path(entries: Sequence[Entry], place_of: Callable[[int], str], faults: Faults) -> dict[RelPath, int]:
    found: dict[RelPath, int] = {}
    for index, entry in enumerate(entries):
        first = found.setdefault(entry.path, index)
        if first != index and entry.path:
            faults.add(f"{place_of(index)}.path", f"{entry.path} is already at {place_of(first)}")
    return found


def _reserved(entry: Entry) -> str | None:
    first = entry.path.partition("/")[0]
    if first not in _FIRST_PARTS:
        return None
    if entry.path == _STATE or entry.path.is_below(_STATE):
        return f"{_STATE} is where pkg keeps its own state"
    if first == "var" or (entry.path == first and isinstance(entry, DirectoryEntry)):
        return None
    return f"what lies in {first} does not outlive a reboot; nothing can be installed there"


def _blocking_parent(
    path: RelPath, found: dict[RelPath, int], entries: Sequence[Entry], sound: set[RelPath]
) -> RelPath | None:
    """Return the entry above `path` that can't hold anything.

    Args:
        sound: directories that were seen on the way up from an entry before, of that entry alone: all that were ever
            seen can be a thousand times as long as the manifest.
    """
    parent = path.parent
    fresh = []
    while parent and parent not in sound:
        at = found.get(parent)
        if at is not None and not isinstance(entries[at], DirectoryEntry):
            return parent
        fresh.append(parent)
        parent = parent.parent
    if fresh:
        sound.clear()
        sound.update(fresh)
    return None
