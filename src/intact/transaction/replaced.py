"""Acts. Which files has a transaction taken out of the root, and who outlives their deletion?

As long as the backups are kept, they tell. When they go, the files that some process still has are noted in
`private/outlived.json` with what identifies them, until the last of these processes ends or the machine reboots.
"""

from collections.abc import Iterable, Mapping

from intact.model.actions import Remove, Replace
from intact.model.objects import Identity, Kind
from intact.model.paths import ROOT, RelPath
from intact.state.database import Database
from intact.state.layout import StateLayout
from intact.state.outlived import OutlivedFile, outlived_text, parse_outlived
from intact.state.publishing import publish
from intact.system.port import Disk
from intact.system.process_facts import boot_identity
from intact.system.processes import find_uses, has_kept
from intact.transaction.plan_text import Step, TransactionPlan

__all__ = ["note_outlived", "outlived_files", "packages_before", "replaced_files"]


def replaced_files(disk: Disk, steps: Iterable[Step]) -> dict[Identity, tuple[RelPath, RelPath]]:
    """Return what each regular file of the backups was called in the root, and where it is now."""
    found: dict[Identity, tuple[RelPath, RelPath]] = {}
    for step in steps:
        action = step.action
        if not isinstance(action, Replace | Remove):
            continue
        files = [(action.path, step.slot)] if action.old.kind is Kind.FILE else []
        files += [
            (node.path, RelPath(step.slot + node.path[len(action.path) :]))
            for node in action.was_below
            if node.old.kind is Kind.FILE
        ]
        is_gone = disk.identity(action.path) is None  # and so is what was below it
        for location, place in files:
            identity = disk.identity(place)
            if identity is not None and (is_gone or identity != disk.identity(location)):
                found.setdefault(identity, (location, place))
    return found


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
    wanted = {one: f"{top}/{place}" for one, (_, place) in going.items()} | dict.fromkeys(before)
    uses = find_uses(wanted).uses
    used = {one.identity for one in uses if one.identity in going}
    staying = {
        identity: one
        for identity, one in before.items()
        if any(use.identity == identity and has_kept(use, one.size, one.mtime_ns) for use in uses)
    }
    files = [*staying.values(), *_described(disk, layout, plan, {one: going[one] for one in used})]
    if files != list(before.values()):
        _write(disk, layout, files)


def _described(
    disk: Disk, layout: StateLayout, plan: TransactionPlan, used: Mapping[Identity, tuple[RelPath, RelPath]]
) -> list[OutlivedFile]:
    if not used:
        return []
    owners = packages_before(disk, layout, plan.transaction, [location for location, _ in used.values()])
    found = []
    for identity, (location, place) in sorted(used.items()):
        seen = disk.observe(place)
        if seen is not None:
            package, version = owners.get(location, ("", ""))
            found.append(
                OutlivedFile(plan.transaction, location, package, version, identity, seen.size, seen.mtime_ns)
            )
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
