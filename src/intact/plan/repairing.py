"""Pure. What has to be put in place so that a package is as it was installed?

Each path gets its recorded type, content, mode, owner and attributes again. Names of one file (hardlinks) are put in
place together. What stood there is a person's work, or may be: it is kept.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence

from intact.model.entries import Digest
from intact.model.installed import OwnedEntry
from intact.model.objects import (
    CAPABILITY,
    Attributes,
    Kind,
    LiveContent,
    NewDirectory,
    NewFile,
    NewHardlink,
    NewObject,
    NewSymlink,
    Observed,
)
from intact.model.paths import RelPath
from intact.model.values import dataclass, field
from intact.plan.change import AttributeChange, Change

__all__ = ["Repair", "decide_repair", "differing_rights", "is_apart", "is_broken", "needed_content"]


@dataclass(slots=True)
class Repair:
    """What a repair does.

    Attributes:
        changes: paths that get another object.
        attributes: directories that get other attributes.
        missing: files for which nobody has the content.
        obstacles: what stands in the way, a line each.
    """

    changes: list[Change] = field(default_factory=list)
    attributes: list[AttributeChange] = field(default_factory=list)
    missing: list[OwnedEntry] = field(default_factory=list)
    obstacles: list[str] = field(default_factory=list)


def is_broken(entry: OwnedEntry, seen: Observed | None) -> bool:
    """Tell whether a path is not as it was installed; a link to a directory may stand for a directory."""
    if seen is None:
        return True
    if seen.kind is not entry.kind:
        return not (entry.kind is Kind.DIRECTORY and seen.kind is Kind.SYMLINK)
    if (seen.uid, seen.gid) != (entry.uid, entry.gid):
        return True
    if entry.kind is Kind.SYMLINK:
        return seen.target != entry.target
    return seen.mode != entry.mode or _has_other_content(entry, seen) or bool(differing_rights(entry, seen))


def differing_rights(entry: OwnedEntry, seen: Observed) -> list[str]:
    """Name the extended attributes that are missing, or have another value, or give a right that nobody gave.

    Any other attribute that was added is somebody's remark.
    """
    wanted, there = dict(entry.xattrs), dict(seen.xattrs)
    names = wanted.keys() | ({CAPABILITY} if entry.kind is Kind.FILE else set())
    return sorted(name for name in names if wanted.get(name) != there.get(name))


def is_apart(
    entry: OwnedEntry, first: OwnedEntry | None, seen: Observed | None, seen_first: Observed | None
) -> bool:
    """Tell whether two names were put there as one file (hardlinks) and are two now.

    Args:
        first: the entry of the name that `entry` is a further name of; None if there is none.
    """
    if first is None or seen is None or seen_first is None:
        return False
    # A filesystem without hardlinks got copies, with inodes of their own.
    were_one = entry.hardlink == first.location and entry.inode == first.inode
    return were_one and seen.kind is seen_first.kind is Kind.FILE and seen.inode != seen_first.inode


def _has_other_content(entry: OwnedEntry, seen: Observed) -> bool:
    return entry.kind is Kind.FILE and seen.digest != entry.digest


def needed_content(
    entries: Iterable[OwnedEntry], observed: Mapping[RelPath, Observed | None]
) -> dict[Digest, int]:
    """Return the digests, with their sizes, of the broken files whose content is not in its place."""
    found = {}
    for entry in entries:
        seen = observed.get(entry.location)
        has_content = seen is not None and seen.kind is Kind.FILE and seen.digest == entry.digest
        if entry.kind is Kind.FILE and entry.digest is not None and not has_content:
            found[entry.digest] = entry.size
    return found


def decide_repair(
    entries: Sequence[OwnedEntry],
    observed: Mapping[RelPath, Observed | None],
    source: Callable[[Digest], RelPath | None],
    is_empty: Callable[[RelPath], bool],
) -> Repair:
    """Decide what is put in place.

    Args:
        entries: what the packages own, one for each location.
        observed: what stands there, files with their digest.
        source: where in the root a content can be copied from; None if nobody has it.
        is_empty: tells whether a directory has nothing in it.
    """
    repair = Repair()
    groups: dict[RelPath, list[OwnedEntry]] = {}
    for entry in entries:
        groups.setdefault(entry.hardlink or entry.location, []).append(entry)
    for names in groups.values():
        if any(is_broken(one, observed.get(one.location)) for one in names) or _are_apart(names, observed):
            _repair_names(names, observed, source, is_empty, repair)
    return repair


def _are_apart(names: Sequence[OwnedEntry], observed: Mapping[RelPath, Observed | None]) -> bool:
    first, *others = sorted(names, key=lambda one: one.hardlink is not None)
    seen = observed.get(first.location)
    return any(is_apart(one, first, observed.get(one.location), seen) for one in others)


def _repair_names(
    names: Sequence[OwnedEntry],
    observed: Mapping[RelPath, Observed | None],
    source: Callable[[Digest], RelPath | None],
    is_empty: Callable[[RelPath], bool],
    repair: Repair,
) -> None:
    first = names[0]
    seen = observed.get(first.location)
    if first.kind is Kind.DIRECTORY and seen is not None and seen.kind is Kind.DIRECTORY:
        repair.attributes.append(AttributeChange(first.location, _attributes(first), seen))
        return
    blocked = [
        one.location for one in names if _is_blocked(observed.get(one.location), is_empty, one.location)
    ]
    if blocked:
        repair.obstacles += [
            f"/{at}: a directory stands there, with something in it; move it away first" for at in blocked
        ]
        return
    new = _object(names, observed, source)
    if new is None:
        repair.missing += names
        return
    repair.changes.append(_change(first, new, seen))
    repair.changes += [
        _change(one, NewHardlink(first.location), observed.get(one.location)) for one in names[1:]
    ]


def _is_blocked(seen: Observed | None, is_empty: Callable[[RelPath], bool], location: RelPath) -> bool:
    return seen is not None and seen.kind is Kind.DIRECTORY and not is_empty(location)


def _object(
    names: Sequence[OwnedEntry],
    observed: Mapping[RelPath, Observed | None],
    source: Callable[[Digest], RelPath | None],
) -> NewObject | None:
    first = names[0]
    if first.kind is Kind.DIRECTORY:
        return NewDirectory(_attributes(first))
    if first.kind is Kind.SYMLINK:
        return NewSymlink(first.target, first.uid, first.gid)
    if first.digest is None:
        return None
    place = next((one.location for one in names if _stands(one, observed.get(one.location))), None)
    place = place or source(first.digest)
    if place is None:
        return None
    return NewFile(_attributes(first), first.size, first.digest, LiveContent(place))


def _stands(entry: OwnedEntry, seen: Observed | None) -> bool:
    return seen is not None and seen.kind is Kind.FILE and seen.digest == entry.digest


def _change(entry: OwnedEntry, new: NewObject, seen: Observed | None) -> Change:
    keep = seen is not None and seen.kind is not Kind.DIRECTORY and not _stands(entry, seen)
    return Change(entry.location, new, seen, keep=keep)


def _attributes(entry: OwnedEntry) -> Attributes:
    return Attributes(entry.mode, entry.uid, entry.gid, entry.mtime_ns, entry.xattrs)
