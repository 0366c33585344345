"""Acts. Which files has a transaction taken out of the root, and who outlives their deletion?

As long as the backups are kept, they tell. Where a backup could only be a copy (`transaction/swap`), the original has
no name any more, and the plan says which inode it was; size and time tell it from a later file with that number. When
the backups go, the files that some process still has are noted in
`private/outlived.json` with what identifies them, until the last of these processes ends or the machine reboots.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from intact.model.actions import Remove, Replace
from intact.model.objects import Identity, Kind, Observed
from intact.model.paths import RelPath
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

    def host_path(self, disk: Disk) -> Path | None:
        """Return the host's name of it; None if it has none."""
        return None if self.place is None else disk.host_path(self.place)


def replaced_files(disk: Disk, plan: TransactionPlan) -> dict[Identity, ReplacedFile]:
    """Return the regular files that were taken out; one whose backup is a copy is there twice, as itself and as the copy."""
    found: dict[Identity, ReplacedFile] = {}
    for location, place, old in _backups(plan):
        backup = disk.identity(place)
        if backup is None:
            continue
        live = disk.identity(location)
        original = Identity(backup.device, old.inode)
        for identity, at in ((backup, place), *([(original, None)] if original != backup else [])):
            if identity != live:
                found.setdefault(identity, ReplacedFile(location, at, old.size, old.mtime_ns))
    return found


def unrecognisable(disk: Disk, plan: TransactionPlan) -> list[RelPath]:
    """Name replaced files that could not be recognised in a process: their inode numbers change with every look."""
    found = []
    for location, place, old in _backups(plan):
        backup = disk.identity(place)
        # Where the number is what it was, nobody has to be asked.
        if backup is not None and backup.inode != old.inode and not _keeps_its_number(disk, place):
            found.append(location)
    return found


def _keeps_its_number(disk: Disk, place: RelPath) -> bool:
    try:
        return keeps_its_number(str(disk.host_path(place)))
    except OSError:
        return False


def _backups(plan: TransactionPlan) -> Iterator[tuple[RelPath, RelPath, Observed]]:
    """Yield location, slot and what was there, of each regular file."""
    for step in plan.steps:
        if isinstance(step.action, Replace | Remove):
            yield from _files_of(step, step.action)


def _files_of(step: Step, action: Replace | Remove) -> Iterator[tuple[RelPath, RelPath, Observed]]:
    if action.old.kind is Kind.FILE:
        yield action.path, step.slot, action.old
    for node in action.was_below:
        if node.old.kind is Kind.FILE:
            yield node.path, RelPath(step.slot + node.path[len(action.path) :]), node.old


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
    going = replaced_files(disk, plan)
    if not going and not before:
        return
    wanted = {one: old.host_path(disk) for one, old in going.items()} | dict.fromkeys(before)
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
