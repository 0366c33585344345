"""Acts. Which files has a transaction taken out of the root, and who outlives their deletion?

As long as the backups are kept, they tell. Where a backup could only be a copy (`transaction/swap`), the original has
no name any more, and the plan says which inode it was; size and time tell it from a later file with that number. When
the backups go, the files that some process still has are noted in
`private/outlived.json` with what identifies them, until the last of these processes ends or the machine reboots.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from intact.model.actions import OldNode, Remove, Replace
from intact.model.errors import MachineError
from intact.model.objects import Identity, Kind, Observed
from intact.model.paths import ROOT, RelPath
from intact.model.values import dataclass
from intact.state.database import Database
from intact.state.layout import StateLayout
from intact.state.outlived import OutlivedFile, outlived_text, parse_outlived
from intact.state.publishing import publish
from intact.system.port import Disk
from intact.system.process_facts import boot_identity
from intact.system.processes import Wanted, find_uses, has_kept
from intact.system.syscalls import keeps_its_number
from intact.transaction.plan_text import Step, TransactionPlan

__all__ = ["ReplacedFile", "ReplacedFiles", "note_outlived", "outlived_files", "packages_before"]

# ext2 to ext4, xfs, btrfs, tmpfs, f2fs, bcachefs, zfs: a file has its inode number from its beginning to its end (statfs(2)).
_KEEPING_NUMBERS = frozenset({0xEF53, 0x58465342, 0x9123683E, 0x01021994, 0xF2F52010, 0xCA451A4E, 0x2FC12FC1})


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


class _Backup(NamedTuple):
    """A regular file that was taken out, where its backup lies, and whether nothing stands in its old place now."""

    location: RelPath
    place: RelPath
    old: Observed
    is_gone: bool


class ReplacedFiles:
    """The regular files that some steps have taken out of the root.

    One whose backup is a copy is there twice, as itself and as the copy. A removal takes out very many, and processes
    have few of them: a file that has left with its directory is looked at when somebody asks for its inode number, if
    it surely is the one that the plan says. All others are looked at in the beginning.
    """

    def __init__(self, disk: Disk, steps: Iterable[Step]) -> None:
        """Look at what may have another inode number than the plan says."""
        self._disk = disk
        self._found: dict[Identity, ReplacedFile] = {}
        self._unseen: dict[int, list[_Backup]] | None = None
        self._trees: list[Step] = []
        for step in steps:
            if _keeps_all_numbers(disk, step):
                self._trees.append(step)
                continue
            for backup in _backups(disk, step):
                self._look_at(backup)
        self._devices = {one.device for step in self._trees if (one := disk.identity(step.slot)) is not None}
        below = (node.old for step in self._trees for node in _was_below(step))
        inside = {old.inode for old in below if old.kind is Kind.FILE}
        self.inodes = frozenset(inside.union(one.inode for one in self._found))

    def get(self, identity: Identity) -> ReplacedFile | None:
        """Return the file, if it is one of them."""
        if identity not in self._found and identity.inode in self.inodes and identity.device in self._devices:
            for backup in self._not_seen().pop(identity.inode, ()):
                self._look_at(backup)
        return self._found.get(identity)

    def all(self) -> Mapping[Identity, ReplacedFile]:
        """Return each of them."""
        unseen = self._not_seen()
        for backup in (one for backups in unseen.values() for one in backups):
            self._look_at(backup)
        unseen.clear()
        return self._found

    def places(self) -> dict[Identity, str | None]:
        """Return the host's name of each of them; None for one that has none."""
        top = self._disk.host_path(ROOT)
        return {
            identity: None if one.place is None else f"{top}/{one.place}"
            for identity, one in self.all().items()
        }

    def unrecognisable(self) -> list[RelPath]:
        """Name those that could not be recognised in a process: their inode numbers change with every look."""
        looked_at = self._found.values()
        copied = {one.location for one in looked_at if one.place is None}
        return [
            one.location
            for one in looked_at
            if one.place is not None
            and one.location in copied
            and not _keeps_its_number(self._disk, one.place)
        ]

    def _not_seen(self) -> dict[int, list[_Backup]]:
        """Return what was not looked at yet, by inode number."""
        if self._unseen is None:
            self._unseen = {}
            for backup in (one for step in self._trees for one in _backups(self._disk, step)):
                self._unseen.setdefault(backup.old.inode, []).append(backup)
        return self._unseen

    def _look_at(self, one: _Backup) -> None:
        backup = self._disk.identity(one.place)
        if backup is None:
            return
        live = None if one.is_gone else self._disk.identity(one.location)
        original = Identity(backup.device, one.old.inode)
        for identity, at in ((backup, one.place), *([(original, None)] if original != backup else [])):
            if identity != live:
                file = ReplacedFile(one.location, at, one.old.size, one.old.mtime_ns)
                self._found.setdefault(identity, file)


def _keeps_its_number(disk: Disk, place: RelPath) -> bool:
    try:
        return keeps_its_number(str(disk.host_path(place)))
    except OSError:
        return False


def _keeps_all_numbers(disk: Disk, step: Step) -> bool:
    """Tell whether a step has taken out a directory in which each file surely has the inode number that the plan says.

    Files that gave rights may have been replaced by copies (`defusing`).
    """
    if not _was_below(step) or any(node.old.is_privileged for node in _was_below(step)):
        return False
    try:
        return disk.space(step.slot).filesystem in _KEEPING_NUMBERS
    except MachineError:  # it is gone
        return False


def _was_below(step: Step) -> tuple[OldNode, ...]:
    return step.action.was_below if isinstance(step.action, Replace | Remove) else ()


def _backups(disk: Disk, step: Step) -> Iterator[_Backup]:
    """Yield each regular file that a step has taken out."""
    action = step.action
    if not isinstance(action, Replace | Remove):
        return
    is_gone = disk.identity(action.path) is None  # and so is what was below it
    if action.old.kind is Kind.FILE:
        yield _Backup(action.path, step.slot, action.old, is_gone)
    for node in action.was_below:
        if node.old.kind is Kind.FILE:
            place = node.path.moved(action.path, step.slot)
            yield _Backup(node.path, place, node.old, is_gone)


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
    going = ReplacedFiles(disk, plan.steps)
    if not going.inodes and not before:
        return
    inodes = going.inodes.union(one.inode for one in before)
    wanted = Wanted(
        inodes,
        lambda one: one in before or going.get(one) is not None,
        lambda: going.places() | dict.fromkeys(before),
    )
    uses = find_uses(wanted).uses
    used: dict[Identity, ReplacedFile] = {}
    for use in uses:
        old = going.get(use.identity)
        if old is not None and (old.place is not None or has_kept(use, old.size, old.mtime_ns)):
            used[use.identity] = old
    staying = {
        identity: one
        for identity, one in before.items()
        if any(use.identity == identity and has_kept(use, one.size, one.mtime_ns) for use in uses)
    }
    files = [*staying.values(), *_described(disk, layout, plan, used)]
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
