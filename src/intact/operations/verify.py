"""Acts. Does the root still hold what the packages brought?"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence

from intact.model.entries import Xattrs
from intact.model.installed import OwnedEntry
from intact.model.objects import Kind, Observed
from intact.model.paths import RelPath
from intact.model.values import dataclass
from intact.operations.known import insist_on_installed
from intact.operations.root import Environment, Root
from intact.operations.survey import in_the_way, parts_names
from intact.plan.repairing import differing_rights, is_apart
from intact.plan.sharing import is_as_somebody_says
from intact.state.database import Database
from intact.system.forks import all_in_parts

__all__ = ["Difference", "Verification", "verify"]


_TOLD = 64  # entries after which it is told how far we are


@dataclass(frozen=True, slots=True)
class Difference:
    """One path that is not as it was installed.

    Attributes:
        what: ``missing``, ``unreachable``, ``type``, ``content``, ``target``, ``mode``, ``owner``, ``rights`` (extended
            attributes) or ``hardlink``.
        expected: as text, for people.
        is_config: a local edit of a configuration file, which is nobody's fault.
    """

    package: str
    location: str
    what: str
    expected: str
    found: str
    is_config: bool


@dataclass(frozen=True, slots=True)
class Verification:
    """What was looked at, and what was found.

    Attributes:
        checked: number of paths.
    """

    packages: tuple[str, ...]
    checked: int
    differences: tuple[Difference, ...]

    @property
    def is_clean(self) -> bool:
        """Tell whether all that is different are edited configuration files."""
        return all(one.is_config for one in self.differences)


@dataclass(frozen=True, slots=True)
class _Differing:
    """A path with what is different there."""

    location: RelPath
    is_directory: bool
    differences: tuple[Difference, ...]


def verify(root: Root, names: Sequence[str], environment: Environment) -> Verification:
    """Compare the packages, or all of them, with the disk; every file is read.

    Raises:
        UnknownPackage: one of them is not installed.
    """
    with root.database() as database:
        insist_on_installed(database, names)
        chosen = sorted(set(names)) or [one.identity.name for one in database.packages()]
        counted = database.counts()
        counts = {name: counted.get(name, 0) for name in chosen}
        differing = list(_all_differing(root, database, counts, environment))
        shared = database.owners(one.location for one in differing if one.is_directory)
    found: list[Difference] = []
    for one in differing:
        others = shared.get(one.location, ())
        if len(others) > 1 and is_as_somebody_says(others, root.disk.observe(one.location)):
            continue
        found += one.differences
    return Verification(tuple(chosen), sum(counts.values()), tuple(found))


def _all_differing(
    root: Root, database: Database, counts: Mapping[str, int], environment: Environment
) -> Iterator[_Differing]:
    """Yield what is different, in the order of packages and paths; several processes look, each at rows of its own."""
    whole = sum(counts.values())

    def look(part: range, progress: Callable[[int], None]) -> bytes:
        found = []
        with database.in_this_process() as rows:
            for number, entry in enumerate(_entries(rows, counts, part)):
                if number % _TOLD == 0:
                    progress(number)
                if differences := _differences(root, entry) or _separation(root, rows, entry):
                    fields = [
                        [one.package, one.what, one.expected, one.found, one.is_config] for one in differences
                    ]
                    found.append([entry.location, entry.kind is Kind.DIRECTORY, fields])
        return json.dumps(found).encode()

    def progress(done: int) -> None:
        environment.tell_progress("verify", done, whole)

    for _, text in all_in_parts(whole, look, progress):
        for location, is_directory, fields in json.loads(text):
            differences = tuple(
                Difference(package, f"/{location}", what, expected, seen, is_config)
                for package, what, expected, seen, is_config in fields
            )
            yield _Differing(RelPath(location), is_directory, differences)


def _entries(database: Database, counts: Mapping[str, int], part: range) -> Iterator[OwnedEntry]:
    """Yield the entries with these numbers, of all that there are in these packages."""
    before = 0
    for name, count in counts.items():
        start, stop = max(part.start - before, 0), min(part.stop - before, count)
        if start < stop:
            yield from database.entries_between(name, start, stop)
        before += count


def _differences(root: Root, entry: OwnedEntry) -> list[Difference]:
    is_file = entry.kind is Kind.FILE
    seen = root.disk.observe_whole(entry.location, xattrs=is_file or bool(entry.xattrs), size=entry.size)
    if seen is None:
        return [_absence(root, entry)]
    if seen.kind is not entry.kind and not _is_linked_directory(entry, seen):
        return [_difference(entry, "type", entry.kind.value, seen.kind.value)]
    found = []
    if entry.kind is Kind.SYMLINK and seen.target != entry.target:
        found.append(_difference(entry, "target", entry.target, seen.target))
    if entry.kind is not Kind.SYMLINK and seen.kind is not Kind.SYMLINK:
        if seen.mode != entry.mode:
            found.append(_difference(entry, "mode", f"{entry.mode:04o}", f"{seen.mode:04o}"))
        found += [
            _difference(entry, "rights", _attribute(entry.xattrs, name), _attribute(seen.xattrs, name))
            for name in differing_rights(entry, seen)
        ]
    if (seen.uid, seen.gid) != (entry.uid, entry.gid):
        found.append(_difference(entry, "owner", f"{entry.uid}:{entry.gid}", f"{seen.uid}:{seen.gid}"))
    if entry.kind is Kind.FILE:
        found += _content_difference(entry, seen)
    return found


def _attribute(xattrs: Xattrs, name: str) -> str:
    value = dict(xattrs).get(name)
    return f"no {name}" if value is None else f"{name} ({value.hex()})"


def _separation(root: Root, database: Database, entry: OwnedEntry) -> list[Difference]:
    """Tell if a further name of a file has become a file of its own."""
    if entry.hardlink is None:
        return []
    first = next(iter(database.entries_at(entry.package, [entry.hardlink])), None)
    seen = root.disk.observe(entry.location)
    seen_first = None if first is None else root.disk.observe(first.location)
    if not is_apart(entry, first, seen, seen_first) or parts_names(root.disk, entry.location):
        return []
    return [_difference(entry, "hardlink", f"a further name of /{entry.hardlink}", "a file of its own")]


def _absence(root: Root, entry: OwnedEntry) -> Difference:
    obstacle = in_the_way(root.disk, entry.location)
    if obstacle is None:
        return _difference(entry, "missing", entry.kind.value, "nothing")
    return _difference(entry, "unreachable", f"the directory /{obstacle.location}", obstacle.what)


def _is_linked_directory(entry: OwnedEntry, seen: Observed) -> bool:
    """An administrator may move a directory elsewhere and leave a link."""
    return entry.kind is Kind.DIRECTORY and seen.kind is Kind.SYMLINK


def _content_difference(entry: OwnedEntry, seen: Observed) -> list[Difference]:
    if seen.size != entry.size:
        return [_difference(entry, "content", f"{entry.size} bytes", f"{seen.size} bytes")]
    if seen.digest != entry.digest:
        return [_difference(entry, "content", f"sha256 {entry.digest}", f"sha256 {seen.digest}")]
    return []


def _difference(entry: OwnedEntry, what: str, expected: str, found: str) -> Difference:
    is_config = entry.config and what in {"content", "missing", "unreachable", "mode", "owner"}
    return Difference(entry.package, f"/{entry.location}", what, expected, found, is_config)
