"""Acts. What stands at the paths that a plan is about?

Looks, and reads what will be replaced or removed. A file whose content stays counts as untouched if its inode, size
and time are still those with which it was installed.
"""

import os
from collections.abc import Callable, Container, Iterable, Mapping, Sequence

from intact.model.installed import OwnedEntry
from intact.model.objects import Kind, Observed
from intact.model.paths import RelPath
from intact.model.values import dataclass, replace
from intact.operations.leaving import still_as_installed
from intact.plan.assemble import Terrain
from intact.plan.change import Change
from intact.state.layout import mount_of
from intact.system.forks import all_in_parts
from intact.system.port import Disk

__all__ = ["Obstacle", "in_the_way", "observe_locations", "parts_names", "survey_terrain", "with_rights"]

_MANY = 2000  # files and directories for which it is worth to ask others
_BETWEEN, _BEHIND = "\0", "/"  # of all characters, the two that are in no name
_OVERLAYFS = 0x794C7630
_EXECUTABLE = 0o111


def observe_locations(
    disk: Disk,
    locations: Iterable[RelPath],
    owned: Mapping[RelPath, Sequence[OwnedEntry]],
    staying: Container[RelPath] = (),
    *,
    rights: bool = False,
) -> dict[RelPath, Observed | None]:
    """Describe what stands at each location, files with their digest.

    A file that will be replaced or removed is read: inode, size and time can be those of the installation although
    somebody has edited it (``cp -p``, ``rsync --inplace --times``), and that edit would be lost.

    Args:
        owned: what the database says about the locations.
        staying: locations whose content does not change, so that a quick look is enough.
        rights: extended attributes of all files, too, and not only where a package brought some.
    """
    found: dict[RelPath, Observed | None] = {}
    plain = [owners[0] for at, owners in owned.items() if at not in staying and _is_plain(owners[0])]
    vouched_for = still_as_installed(disk, plain, rights=rights) if len(plain) >= _MANY else {}
    absent: set[str] = set()
    for location in sorted(dict.fromkeys(locations)):  # in order for the most part, unlike a set
        if location in vouched_for:
            found[location] = vouched_for[location]
            continue
        if absent and location.parent in absent:  # parents sort before what is in them
            found[location] = None
            absent.add(location)
            continue
        before = owned.get(location)
        has_rights = rights or bool(before and before[0].xattrs)
        known = (
            _untouched(disk, location, before[0], xattrs=has_rights)
            if before and location in staying
            else None
        )
        # Owner and mode of one object and the content of another would give a secret away.
        found[location] = known or disk.observe_whole(location, xattrs=has_rights)
        if found[location] is None:
            absent.add(location)
    return found


def _is_plain(owned: OwnedEntry) -> bool:
    is_known = owned.kind is Kind.DIRECTORY or owned.digest is not None
    return is_known and not owned.xattrs


def _untouched(disk: Disk, location: RelPath, owned: OwnedEntry, *, xattrs: bool) -> Observed | None:
    """Describe a file that is, after a quick look, the one that was installed; None for anything else."""
    seen = disk.observe(location, xattrs=xattrs)
    if seen is None or owned.digest is None or not _is_untouched(owned, seen):
        return None
    return seen.with_digest(owned.digest)


@dataclass(frozen=True, slots=True)
class Obstacle:
    """What stands where a directory should be."""

    location: RelPath
    seen: Observed

    @property
    def what(self) -> str:
        """Say it for people."""
        is_link = self.seen.kind is Kind.SYMLINK
        return f"a link to {self.seen.target}" if is_link else f"a {self.seen.kind.value}"


def in_the_way(disk: Disk, location: RelPath) -> Obstacle | None:
    """Return what stands where a directory on the way to `location` should be; None if nothing does.

    A link to a directory is in the way, too: what lies behind it is not what was put at `location`.
    """
    for directory in location.ancestors:
        seen = disk.observe(directory)
        if seen is None:
            return None
        if seen.kind is not Kind.DIRECTORY:
            return Obstacle(directory, seen)
    return None


def parts_names(disk: Disk, location: RelPath) -> bool:
    """Tell whether the filesystem at a location takes the names of one file apart by itself.

    overlayfs does, when it copies one of them up from a lower layer (the kernel's overlayfs documentation).
    """
    return disk.space(location.parent).filesystem == _OVERLAYFS


def _is_untouched(owned: OwnedEntry, seen: Observed) -> bool:
    return (owned.kind, owned.inode, owned.size, owned.mtime_ns) == (
        Kind.FILE,
        seen.inode,
        seen.size,
        seen.mtime_ns,
    )


def survey_terrain(
    disk: Disk, observed: Mapping[RelPath, Observed | None], leaving: Iterable[RelPath]
) -> Terrain:
    """List the directories that may leave, and find out what renames can do.

    Args:
        leaving: locations that may get another type or vanish.
    """
    mounts = disk.boundaries(observed)
    directories = [
        location
        for location in sorted(dict.fromkeys(leaving))
        if (seen := observed.get(location)) is not None and seen.kind is Kind.DIRECTORY
    ]
    # One mount for all that is in one directory; and most directories are on the one that the root is on.
    parents = {location.rpartition("/")[0] for location in observed} if len(mounts) > 1 else {""}
    touched = {mount_of(RelPath(parent) / "x", mounts) for parent in parents}
    layered = any(disk.space(mount).filesystem == _OVERLAYFS for mount in touched)
    return Terrain(_listings(disk, directories), mounts, whole_trees=not layered)


def _listings(disk: Disk, directories: Sequence[RelPath]) -> dict[RelPath, tuple[str, ...]]:
    """List directories; several processes do, if there are thousands."""

    def look(part: range, _progress: Callable[[int], None]) -> bytes:
        listings = (disk.list_directory(directories[number]) for number in part)
        return os.fsencode("".join(f"{_BETWEEN.join(names)}{_BEHIND}" for names in listings))

    found: dict[RelPath, tuple[str, ...]] = {}
    for part, text in all_in_parts(len(directories), look):
        listings = os.fsdecode(text).split(_BEHIND)[:-1]
        for number, names in zip(part, listings, strict=True):
            found[directories[number]] = tuple(names.split(_BETWEEN)) if names else ()
    return found


def with_rights(disk: Disk, changes: Iterable[Change]) -> list[Change]:
    """Add the extended attributes of executables that are about to be replaced or removed.

    Capabilities have to be known, so that the backup can be defused and the way back can restore them.
    """
    completed = []
    for change in changes:
        old = change.old
        if old is not None and old.kind is Kind.FILE and old.mode & _EXECUTABLE and not old.xattrs:
            seen = disk.observe(change.location, xattrs=True)
            if seen is not None and seen.xattrs:
                completed.append(replace(change, old=replace(old, xattrs=seen.xattrs)))
                continue
        completed.append(change)
    return completed
