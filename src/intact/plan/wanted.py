"""Pure. What does a package want at which location, in terms of this root's accounts and links?"""

from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache

from intact.model.entries import DirectoryEntry, Entry, FileEntry, HardlinkEntry, SymlinkEntry
from intact.model.exhaustive import assert_never
from intact.model.installed import OwnedEntry
from intact.model.objects import (
    Attributes,
    BundleContent,
    Kind,
    NewDirectory,
    NewFile,
    NewHardlink,
    NewObject,
    NewSymlink,
)
from intact.model.paths import RelPath
from intact.model.values import dataclass

__all__ = ["Accounts", "UnknownAccount", "Wanted", "owned_entry", "want", "with_implied_directories"]

NANOSECONDS = 1_000_000_000
_shared = lru_cache(maxsize=256)(Attributes)  # most files of a package have the same


class UnknownAccount(LookupError):
    """The root has no user or group of that name."""


@dataclass(frozen=True, slots=True)
class Accounts:
    """User and group names of a root.

    Attributes:
        users: name to uid.
        groups: name to gid.
        owner: set when this process may not give files away: everything then belongs to this (uid, gid).
    """

    users: dict[str, int]
    groups: dict[str, int]
    owner: tuple[int, int] | None = None

    def ids(self, user: str, group: str) -> tuple[int, int]:
        """Resolve names, or numbers given as text.

        Raises:
            UnknownAccount: neither a known name nor a number.
        """
        if self.owner is not None:
            return self.owner
        return _number(user, self.users, "user"), _number(group, self.groups, "group")


def _number(name: str, known: dict[str, int], what: str) -> int:
    if name in known:
        return known[name]
    if name.isascii() and name.isdigit():
        return int(name)
    raise UnknownAccount(f"{what} {name}")


@dataclass(frozen=True, slots=True)
class Wanted:
    """One entry of an incoming package, at its location."""

    location: RelPath
    package: str
    entry: Entry
    new: NewObject

    @property
    def is_config(self) -> bool:
        """Tell whether local edits of this file survive."""
        return isinstance(self.entry, FileEntry) and self.entry.config


def want(
    entry: Entry, package: str, bundle: int, accounts: Accounts, locate: Callable[[RelPath], RelPath]
) -> Wanted:
    """Translate one manifest entry.

    Args:
        bundle: index of the bundle in the command.
        locate: maps a manifest path to its location.

    Raises:
        UnknownAccount: its owner or group does not exist here.
    """
    location = locate(entry.path)
    return Wanted(location, package, entry, _new_object(entry, bundle, accounts, locate))


def _new_object(
    entry: Entry, bundle: int, accounts: Accounts, locate: Callable[[RelPath], RelPath]
) -> NewObject:
    match entry:
        case FileEntry():
            attributes = _attributes(entry, accounts, entry.mtime * NANOSECONDS)
            return NewFile(attributes, entry.size, entry.digest, BundleContent(bundle, entry.path))
        case DirectoryEntry():
            return NewDirectory(_attributes(entry, accounts, None))
        case SymlinkEntry():
            return NewSymlink(entry.target, *accounts.ids(entry.owner, entry.group))
        case HardlinkEntry():
            return NewHardlink(locate(entry.target))
        case _:
            assert_never(entry)


def _attributes(entry: FileEntry | DirectoryEntry, accounts: Accounts, mtime_ns: int | None) -> Attributes:
    uid, gid = accounts.ids(entry.owner, entry.group)
    if accounts.owner is None:
        return _shared(entry.mode, uid, gid, mtime_ns, entry.xattrs)
    # Rights that belong to another owner must not go to this one; capabilities need root anyway.
    # A directory that its owner cannot write to could never be renamed or emptied again, except by root.
    mode = entry.mode & 0o1777 if isinstance(entry, FileEntry) else entry.mode | 0o700
    return _shared(mode, uid, gid, mtime_ns, tuple(x for x in entry.xattrs if x[0].startswith("user.")))


def with_implied_directories(entries: Iterable[Entry]) -> list[Entry]:
    """Add the parents that a manifest leaves out, as directories of root with mode 0755."""
    given = list(entries)
    known = {entry.path for entry in given if isinstance(entry, DirectoryEntry)}
    implied: dict[RelPath, Entry] = {}
    for entry in given:
        parent = entry.path.parent
        while parent and parent not in known and parent not in implied:
            implied[parent] = DirectoryEntry(parent, 0o755, "root", "root")
            parent = parent.parent
    return sorted([*given, *implied.values()], key=lambda entry: entry.path)


def owned_entry(wanted: Wanted, files: Mapping[RelPath, Wanted]) -> OwnedEntry:
    """Say what the database remembers of an entry once it is there.

    Args:
        files: the wanted regular files by location, for hardlinks.
    """
    location, path, package, new = wanted.location, wanted.entry.path, wanted.package, wanted.new
    match new:
        case NewFile(attributes, size, digest, _):
            return OwnedEntry(
                location,
                path,
                package,
                Kind.FILE,
                attributes.mode,
                attributes.uid,
                attributes.gid,
                size=size,
                mtime_ns=attributes.mtime_ns,
                digest=digest,
                config=wanted.is_config,
                xattrs=attributes.xattrs,
            )
        case NewDirectory(attributes):
            return OwnedEntry(
                location,
                path,
                package,
                Kind.DIRECTORY,
                attributes.mode,
                attributes.uid,
                attributes.gid,
                xattrs=attributes.xattrs,
            )
        case NewSymlink(target, uid, gid):
            return OwnedEntry(location, path, package, Kind.SYMLINK, 0o777, uid, gid, target=target)
        case NewHardlink(target_location):
            first = owned_entry(files[target_location], files)
            return OwnedEntry(
                location,
                path,
                package,
                Kind.FILE,
                first.mode,
                first.uid,
                first.gid,
                size=first.size,
                mtime_ns=first.mtime_ns,
                digest=first.digest,
                xattrs=first.xattrs,
                hardlink=target_location,
            )
        case _:
            assert_never(new)
