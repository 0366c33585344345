"""Makes situations from plain values: what packages want, what they own, what stands in the root."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

from intact.model.entries import NEW_SUFFIX, Digest, DirectoryEntry, FileEntry, HardlinkEntry, SymlinkEntry
from intact.model.installed import OwnedEntry
from intact.model.objects import Kind, Observed
from intact.model.paths import RelPath
from intact.plan.assemble import Terrain
from intact.plan.change import Change
from intact.plan.changes import Decisions
from intact.plan.situation import Situation
from intact.plan.wanted import Accounts, Wanted, owned_entry, want
from support.workshop import Part, file

__all__ = [
    "NOBODY",
    "Owner",
    "as_seen",
    "by_location",
    "device",
    "digest",
    "given",
    "owned_by",
    "owned_of",
    "wanted_by",
]

NOBODY = Accounts({"root": 0}, {"root": 0})
"""Accounts of a root where only root has a name."""

Owner = Mapping[str, Sequence[Part]]
"""Package names, and what each of them brings or owns."""


class _Other(NamedTuple):
    path: RelPath


def device(path: str) -> _Other:
    """Something that no package can contain."""
    return _Other(RelPath(path))


def digest(text: str) -> Digest:
    """The digest of a content."""
    entry = file("x", text).entry
    assert isinstance(entry, FileEntry)
    return entry.digest


def wanted_by(packages: Owner) -> dict[RelPath, list[Wanted]]:
    """What packages want, at the very paths that their manifests name."""
    found: dict[RelPath, list[Wanted]] = {}
    for number, (name, parts) in enumerate(packages.items()):
        for part in parts:
            one = want(part.entry, name, number, NOBODY, lambda path: path)
            found.setdefault(one.location, []).append(one)
    return found


def owned_by(packages: Owner) -> dict[RelPath, list[OwnedEntry]]:
    """What the database says of packages that were installed from these parts."""
    found: dict[RelPath, list[OwnedEntry]] = {}
    for name, parts in packages.items():
        files = {at: one for at, (one,) in wanted_by({name: parts}).items()}
        for at, one in files.items():
            found.setdefault(at, []).append(owned_entry(one, files))
    return found


def as_seen(part: Part | _Other, number: int = 1) -> Observed:
    """What lstat and hashing say about such an object; `number` becomes its inode."""
    if isinstance(part, _Other):
        return Observed(Kind.OTHER, 0o644, 0, 0, 0, 0, number)
    match part.entry:
        case FileEntry(_, mode, owner, group, mtime, size, content, _, xattrs):
            uid, gid = int(owner), int(group)
            return Observed(
                Kind.FILE, mode, uid, gid, size, mtime * 10**9, number, digest=content, xattrs=xattrs
            )
        case DirectoryEntry(_, mode, owner, group):
            return Observed(Kind.DIRECTORY, mode, int(owner), int(group), 0, 0, number, links=2)
        case SymlinkEntry(_, target, owner, group):
            return Observed(
                Kind.SYMLINK, 0o777, int(owner), int(group), len(target), 0, number, target=target
            )
        case HardlinkEntry():
            raise AssertionError(part)


def _standing(parts: Iterable[Part | _Other]) -> dict[RelPath, Observed]:
    """Describe a tree; a hardlink takes over what its target is."""
    found: dict[RelPath, Observed] = {}
    links: list[HardlinkEntry] = []
    for number, part in enumerate(parts, 100):
        if isinstance(part, Part) and isinstance(part.entry, HardlinkEntry):
            links.append(part.entry)
        else:
            found[part.path if isinstance(part, _Other) else part.entry.path] = as_seen(part, number)
    for link in links:
        found[link.target] = found[link.path] = replace(
            found[link.target], links=found[link.target].links + 1
        )
    return found


def given(
    *,
    wanted: Owner | None = None,
    leaving: Owner | None = None,
    staying: Owner | None = None,
    there: Iterable[Part | _Other] = (),
    mounts: Iterable[str] = (),
    overwrite: Iterable[str] = (),
    replaces: Iterable[tuple[str, str]] = (),
) -> Situation:
    """A situation; of `there`, only what lies at locations in question is observed, as in life.

    Args:
        there: everything that stands in the root.
        overwrite: the locations that the user gave up.
        replaces: pairs of packages, of which the first may take files of the second.
    """
    wants, leaves = wanted_by(wanted or {}), owned_by(leaving or {})
    everything = _standing(there)
    beside = [RelPath(at + NEW_SUFFIX) for at, (one, *_) in wants.items() if one.is_config]
    locations = {*wants, *leaves, *beside}
    listings = {
        at: tuple(sorted(path.name for path in everything if path.parent == at))
        for at in locations
        if at in everything and everything[at].kind is Kind.DIRECTORY
    }
    given_up, allowed = set(overwrite), set(replaces)
    return Situation(
        wanted=wants,
        leaving=leaves,
        staying={at: entries for at, entries in owned_by(staying or {}).items() if at in locations},
        observed={at: everything.get(at) for at in locations},
        terrain=Terrain(listings, frozenset(map(RelPath, mounts))),
        may_overwrite=lambda at: str(at) in given_up,
        may_take_over=lambda taker, owner: (taker, owner) in allowed,
    )


def by_location(decisions: Decisions) -> dict[str, Change]:
    """The changes by location, and the certainty that no location has two."""
    found = {str(change.location): change for change in decisions.changes}
    assert len(found) == len(decisions.changes), decisions.changes
    return found


def owned_of(decisions: Decisions, package: str = "a") -> list[str]:
    """The locations that a package will own."""
    return [str(entry.location) for entry in decisions.owned.get(package, [])]
