"""Acts. Which files has a transaction taken out of the root, and who outlives their deletion?

As long as the backups are kept, they tell. Where a backup could only be a copy (`transaction/swap`), the original has
no name any more, and the plan says which inode it was; size and time tell it from a later file with that number. When
the backups go, the files that some process still has are noted in
`private/outlived.json` with what identifies them, until the last of these processes ends or the machine reboots.
"""

from collections.abc import Iterable, Iterator, Mapping

from intact.model.actions import Remove, Replace
from intact.model.objects import Identity, Kind, Observed
from intact.model.paths import ROOT, RelPath
from intact.model.values import dataclass
from intact.state.database import Database
from intact.state.layout import StateLayout
from intact.state.outlived import OutlivedFile, outlived_text, parse_outlived
from intact.state.publishing import publish
from intact.system.port import Disk
from intact.system.process_facts import boot_identity
from intact.system.processes import find_uses, has_kept
from intact.system.syscalls import keeps_its_number
from intact.transaction.plan_text import Step, TransactionPlan

__all__ = [
    "ReplacedFile",
    "note_outlived",
    "outlived_files",
    "packages_before",
    "replaced_files",
    "unrecognisable",
]


@dataclass(frozen=True, slots=True)
class ReplacedFile:
    """A regular file that was taken out of the root.

    Attributes:
        location: where it stood.
        place: its backup; None if that is another file, a copy, and this one has no name.
        size: in bytes.
        mtime_ns: nanoseconds since 1970.
    """

    location: RelPath
    place: RelPath | None
    size: int
    mtime_ns: int


def replaced_files(disk: Disk, steps: Iterable[Step]) -> dict[Identity, ReplacedFile]:
    """Return the regular files that were taken out; one whose backup is a copy is there twice, as itself and as the copy."""
    found: dict[Identity, ReplacedFile] = {}
    for location, place, old, is_gone in _backups(disk, steps):
        backup = disk.identity(place)
        if backup is None:
            continue
        live = None if is_gone else disk.identity(location)
        original = Identity(backup.device, old.inode)
        for identity, at in ((backup, place), *([(original, None)] if original != backup else [])):
            if identity != live:
                found.setdefault(identity, ReplacedFile(location, at, old.size, old.mtime_ns))
    return found


def unrecognisable(disk: Disk, files: Mapping[Identity, ReplacedFile]) -> list[RelPath]:
    """Name what of `replaced_files` could not be recognised in a process: its inode number changes with every look."""
    copied = {one.location for one in files.values() if one.place is None}
    return [
        one.location
        for one in files.values()
        if one.place is not None and one.location in copied and not _keeps_its_number(disk, one.place)
    ]


def _keeps_its_number(disk: Disk, place: RelPath) -> bool:
    try:
        return keeps_its_number(str(disk.host_path(place)))
    except OSError:
        return False


def _backups(disk: Disk, steps: Iterable[Step]) -> Iterator[tuple[RelPath, RelPath, Observed, bool]]:
    """Yield location, slot and what was there, of each regular file; and whether nothing is there now."""
    for step in steps:
        action = step.action
        if not isinstance(action, Replace | Remove):
            continue
        is_gone = disk.identity(action.path) is None  # and so is what was below it
        if action.old.kind is Kind.FILE:
            yield action.path, step.slot, action.old, is_gone
        for node in action.was_below:
            if node.old.kind is Kind.FILE:
                yield node.path, RelPath(step.slot + node.path[len(action.path) :]), node.old, is_gone


def packages_before(
    disk: Disk, layout: StateLayout, number: int, locations: list[RelPath]
) -> dict[RelPath, tuple[str, str]]:
    """Say to which package and version these locations belonged before a transaction."""
    with Database.open(disk.host_path(layout.transaction(number).before_database)) as database:
        versions = {one.identity.name: str(one.identity.version) for one in database.packages()}
        owners = database.owners(locations)
    return {
        location: (entries[0].package, versions.get(entries[0].package, ""))
        for location, entries in owners.items()
        if entries
    }


def outlived_files(disk: Disk, layout: StateLayout) -> dict[Identity, OutlivedFile]:
    """Return the files without a name that some process has had since this boot."""
    if disk.observe(layout.outlived) is None:
        return {}
    files = parse_outlived(disk.read_file(layout.outlived), boot_identity())
    return {one.identity: one for one in files}


def note_outlived(disk: Disk, layout: StateLayout, plan: TransactionPlan) -> None:
    """Note who still has what is about to be deleted, and forget those that have ended.

    Raises:
        MachineError: it could not be written.
        OSError: there is no /proc.
    """
    before = outlived_files(disk, layout)
    going = replaced_files(disk, plan.steps)
    if not going and not before:
        return
    top = disk.host_path(ROOT)
    wanted: dict[Identity, str | None] = {
        one: None if old.place is None else f"{top}/{old.place}" for one, old in going.items()
    }
    wanted |= dict.fromkeys(before)
    uses = find_uses(wanted).uses
    used = {
        one.identity
        for one in uses
        if (old := going.get(one.identity)) is not None
        and (old.place is not None or has_kept(one, old.size, old.mtime_ns))
    }
    staying = {
        identity: one
        for identity, one in before.items()
        if any(use.identity == identity and has_kept(use, one.size, one.mtime_ns) for use in uses)
    }
    files = [*staying.values(), *_described(disk, layout, plan, {one: going[one] for one in used})]
    if files != list(before.values()):
        _write(disk, layout, files)


def _described(
    disk: Disk, layout: StateLayout, plan: TransactionPlan, used: Mapping[Identity, ReplacedFile]
) -> list[OutlivedFile]:
    if not used:
        return []
    owners = packages_before(disk, layout, plan.transaction, [old.location for old in used.values()])
    found = []
    for identity, old in sorted(used.items(), key=lambda one: one[0]):
        seen = old if old.place is None else disk.observe(old.place)
        if seen is not None:
            package, version = owners.get(old.location, ("", ""))
            content = (seen.size, seen.mtime_ns)
            found.append(OutlivedFile(plan.transaction, old.location, package, version, identity, *content))
    return found


def _write(disk: Disk, layout: StateLayout, files: list[OutlivedFile]) -> None:
    if not files:
        disk.remove_file(layout.outlived)
        return
    scratch = RelPath(layout.outlived + ".new")
    if disk.observe(scratch) is not None:
        disk.remove_file(scratch)
    with disk.create_file(scratch) as writer:
        writer.write(outlived_text(files, boot_identity()))
    publish(disk, scratch, layout.outlived)
