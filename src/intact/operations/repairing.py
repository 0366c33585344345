"""Acts. Put back what is missing or damaged, as a transaction of its own: it can be rolled back like any other."""

from collections.abc import Mapping, Sequence

from intact.bundle.read import UnverifiedBundle
from intact.bundle.reading import Reading
from intact.bundle.verified import verify
from intact.model.actions import Plan
from intact.model.installed import OwnedEntry, Ownership
from intact.model.manifest import PackageChange
from intact.model.objects import Kind, NewHardlink, Observed
from intact.model.paths import RelPath
from intact.model.values import dataclass, replace
from intact.operations.changing import change
from intact.operations.content_sources import FoundContent, collect_content
from intact.operations.execute import Prepared, execute
from intact.operations.known import insist_on_installed
from intact.operations.receipt import Receipt
from intact.operations.retaining import read_settings
from intact.operations.root import Environment, Root
from intact.operations.survey import (
    Obstacle,
    in_the_way,
    observe_locations,
    parts_names,
    survey_terrain,
    with_rights,
)
from intact.operations.trusting import read_trust_store
from intact.operations.ways import open_ways
from intact.plan.assemble import assemble
from intact.plan.change import Change
from intact.plan.repairing import Repair, decide_repair, is_apart, is_broken, needed_content
from intact.plan.sharing import decisive, is_as_somebody_says
from intact.state.database import Database
from intact.transaction.deleting import drop_tree, if_possible

__all__ = ["RepairOptions", "Repaired", "repair"]

_NAMED = 3


@dataclass(frozen=True, slots=True)
class RepairOptions:
    """How to repair.

    Attributes:
        config: configuration files, too; else edited ones are left alone.
        allow_unsigned: take content from bundles that nobody vouches for; its digest is held against the manifest that
            was installed all the same.
        dry_run: only tell.
    """

    config: bool = False
    allow_unsigned: bool = False
    dry_run: bool = False


@dataclass(frozen=True, slots=True)
class Repaired:
    """What was repaired.

    Attributes:
        sources: where the content of each path came from, by path; a path that needed none is not named.
        left: what could not be repaired, a line each.
        edited: configuration files that were left as they are.
        deleted: configuration files that somebody has deleted, and that were not brought back.
    """

    receipt: Receipt
    sources: tuple[tuple[str, str], ...]
    left: tuple[str, ...]
    edited: tuple[str, ...]
    deleted: tuple[str, ...]


def repair(
    root: Root,
    names: Sequence[str],
    sources: Sequence[UnverifiedBundle],
    options: RepairOptions,
    environment: Environment,
) -> Repaired:
    """Bring the packages, or all of them, back to what was installed, as far as somebody has the content.

    Args:
        sources: bundles to take content from; they are not installed.

    Raises:
        UnknownPackage: one of them is not installed.
        BundleRefused: a bundle is damaged, invalid or not trusted.
        MachineError: the system refused; the root is as it was.
    """
    store, limits = read_trust_store(root), read_settings(root).limits
    bundles = [
        verify(
            one,
            store,
            now=environment.clock(),
            allow_unsigned=options.allow_unsigned,
            allow_expired=True,  # it is what is installed that is brought back
            reading=Reading(limits),
        )
        for one in sources
    ]
    with change(root, environment, dry_run=options.dry_run) as recovery, root.database() as database:
        insist_on_installed(database, names)
        entries = _entries(root, database, names)
        owned = {at: [one] for at, one in entries.items()}
        observed = observe_locations(root.disk, entries, owned, rights=True)
        unreachable = _unreachable(root, entries, observed)
        blocked = _blocked(unreachable, entries, config=options.config)
        entries = {at: one for at, one in entries.items() if at not in unreachable}
        broken = _broken(root, entries, observed)
        wanted = _with_other_names(entries, [one for one in broken if options.config or not one.config])
        needed = needed_content(wanted, observed)
        try:
            found = FoundContent()
            if needed:
                found = collect_content(root, database, needed, bundles, copy=not options.dry_run)
            decided = decide_repair(wanted, observed, found.places.get, lambda at: _is_empty(root, at))
            decided, exposed = _beyond_others(root, database, decided)
            prepared = _prepared(root, database, decided, observed)
            receipt = execute(root, prepared, environment, recovery, dry_run=options.dry_run)
        finally:
            if needed and not options.dry_run:
                with if_possible("what was found stays until the next command", []):
                    drop_tree(root.disk, root.layout.rescued)
        versions = {one.identity.name: str(one.identity.version) for one in database.packages()}
    changed = {one.location for one in decided.changes}
    origins = [
        (f"/{one.location}", found.sources[one.digest])
        for one in wanted
        if one.digest in found.sources and one.location in changed
    ]
    left_alone = [one.location for one in broken if one.config and not options.config]
    return Repaired(
        receipt,
        tuple(origins),
        (*_left(decided, versions), *blocked, *exposed),
        edited=tuple(f"/{at}" for at in left_alone if observed[at] is not None),
        deleted=tuple(f"/{at}" for at in left_alone if observed[at] is None),
    )


def _entries(root: Root, database: Database, names: Sequence[str]) -> dict[RelPath, OwnedEntry]:
    """Return what the packages own, and the directories of other packages above it that are gone."""
    chosen = sorted(set(names)) or [one.identity.name for one in database.packages()]
    found: dict[RelPath, OwnedEntry] = {}
    for name in chosen:
        for entry in database.entries(name):
            found.setdefault(entry.location, entry)
    above = {one for at in found for one in at.ancestors} - found.keys()
    gone = [at for at in above if root.disk.observe(at) is None]
    directories = [*gone, *(at for at, one in found.items() if one.kind is Kind.DIRECTORY)]
    for at, entries in database.owners(directories).items():
        is_right = is_as_somebody_says(entries, root.disk.observe(at))
        if at in found and is_right:
            del found[at]
        else:
            found[at] = decisive(entries)
    return dict(sorted(found.items()))


def _broken(
    root: Root, entries: Mapping[RelPath, OwnedEntry], observed: Mapping[RelPath, Observed | None]
) -> list[OwnedEntry]:
    return [
        one
        for at, one in entries.items()
        if is_broken(one, observed[at])
        or (
            one.hardlink is not None
            and is_apart(one, entries.get(one.hardlink), observed[at], observed.get(one.hardlink))
            and not parts_names(root.disk, at)
        )
    ]


def _unreachable(
    root: Root, entries: Mapping[RelPath, OwnedEntry], observed: Mapping[RelPath, Observed | None]
) -> dict[RelPath, Obstacle]:
    """Say what is in the way of each missing path, apart from what a directory will take the place of."""
    parents: dict[RelPath, Obstacle | None] = {}
    found = {}
    for at in (at for at, seen in observed.items() if seen is None):
        if at.parent not in parents:
            parents[at.parent] = in_the_way(root.disk, at)
        obstacle = parents[at.parent]
        if obstacle is not None and not _gives_way(entries.get(obstacle.location), obstacle.seen):
            found[at] = obstacle
    return found


def _gives_way(owned: OwnedEntry | None, seen: Observed) -> bool:
    return owned is not None and owned.kind is Kind.DIRECTORY and is_broken(owned, seen)


def _blocked(
    unreachable: Mapping[RelPath, Obstacle], entries: Mapping[RelPath, OwnedEntry], *, config: bool
) -> list[str]:
    """Name each obstacle once, with what is behind it."""
    behind: dict[Obstacle, list[RelPath]] = {}
    for at, obstacle in unreachable.items():
        if config or not entries[at].config:
            behind.setdefault(obstacle, []).append(at)
    return [
        f"/{obstacle.location}: {obstacle.what} stands where the directory was, so what packages have below it was not"
        f" repaired ({len(paths)} paths, the first is /{paths[0]}); put the directory back first"
        for obstacle, paths in behind.items()
    ]


def _with_other_names(
    entries: Mapping[RelPath, OwnedEntry], wanted: Sequence[OwnedEntry]
) -> list[OwnedEntry]:
    """Add the other names of the same files (hardlinks)."""
    files = {one.hardlink or one.location for one in wanted}
    return [one for at, one in entries.items() if (one.hardlink or at) in files]


def _is_empty(root: Root, directory: RelPath) -> bool:
    return not root.disk.list_directory(directory)


def _prepared(
    root: Root, database: Database, decided: Repair, observed: Mapping[RelPath, Observed | None]
) -> Prepared:
    changes = with_rights(root.disk, decided.changes)
    locations = [*(one.location for one in changes), *(one.location for one in decided.attributes)]
    terrain = survey_terrain(root.disk, {at: observed.get(at) for at in locations}, locations)
    names = sorted({one.package for owners in database.owners(locations).values() for one in owners})
    rows = [
        Ownership(row, tuple(database.entries(name)))
        for name in names
        if (row := database.package(name)) is not None
    ]
    identities = [one.package.identity for one in rows]
    return Prepared(
        kind="repair",
        plan=Plan(
            assemble(changes, decided.attributes, terrain),
            tuple(PackageChange(one.name, one.version, one.version) for one in identities),
        ),
        installed=tuple(rows),
        before=dict.fromkeys(names),
    )


def _beyond_others(root: Root, database: Database, decided: Repair) -> tuple[Repair, list[str]]:
    """Leave out what others could exchange; say of each directory that lets them what is left out."""
    ways = open_ways(root, database, {}, [one.location for one in decided.changes])
    if not ways:
        return decided, []
    # By the first name of a file: its names come back together, or not at all.
    exposed: dict[RelPath, set[RelPath]] = {}
    for one in decided.changes:
        exposed.setdefault(_first_name(one), set()).update(ways.keys() & set(one.location.ancestors))
    lines = []
    for directory, why in ways.items():
        found = [one.location for one in decided.changes if directory in exposed[_first_name(one)]]
        more = f" and {len(found) - _NAMED} more" if len(found) > _NAMED else ""
        names = ", ".join(f"/{at}" for at in found[:_NAMED])
        lines.append(f"{why}; then say `pkg repair` again. Not repaired for that: {names}{more}")
    return replace(decided, changes=[one for one in decided.changes if not exposed[_first_name(one)]]), lines


def _first_name(change: Change) -> RelPath:
    return change.new.target if isinstance(change.new, NewHardlink) else change.location


def _left(decided: Repair, versions: Mapping[str, str]) -> tuple[str, ...]:
    lines = [
        f"/{one.location}: nobody on this machine has its content; name a bundle that has it:"
        f" --from the one of {one.package} {versions.get(one.package, '')}"
        for one in decided.missing
    ]
    return (*lines, *decided.obstacles)
