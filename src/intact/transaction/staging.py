"""Acts. How do new objects get onto the disk, whole and durable, before anything in the root changes?

Promises:

1. Nothing outside the staging trees is written.
2. Each staged object has its final content, owner, mode, extended attributes and times; content was
   hashed on its way to the disk and is what the signed manifest says.
3. On return of `stage` all of it is durable, together with plan.json and the next database; then the STAGED record is
   written. From there on nothing from outside is needed, neither bundle nor network nor space.
"""

import hashlib
from collections.abc import Mapping, Sequence

from intact.bundle.verified import VerifiedBundle
from intact.model.actions import Action, Create, Plan, Remove, RemoveDirectory, Replace, SetAttributes
from intact.model.errors import Conflict, MachineError, RecoveryFailed
from intact.model.exhaustive import assert_never
from intact.model.objects import (
    Backup,
    BundleContent,
    Kind,
    LiveContent,
    NewDirectory,
    NewFile,
    NewHardlink,
    NewObject,
    NewSymlink,
)
from intact.model.paths import ROOT, RelPath
from intact.model.values import dataclass, field
from intact.state.layout import mount_of
from intact.system.port import Disk
from intact.transaction.errnos import CANNOT_LINK
from intact.transaction.journal import Record
from intact.transaction.opening import OpenTransaction
from intact.transaction.phases import Phase
from intact.transaction.plan_text import Step, TransactionPlan, plan_pieces
from intact.transaction.unpacking import Progress, unpack

__all__ = ["StagedTransaction", "StagingTree", "seal", "stage_objects"]


@dataclass(frozen=True, slots=True)
class StagedTransaction:
    """A transaction that can be finished without anything from outside; made by `seal` and by recovery."""

    open: OpenTransaction
    plan: TransactionPlan


@dataclass(slots=True)
class StagingTree:
    """Where each location of the plan is staged.

    Attributes:
        places: staged path of each new object, by its location in the root.
        inodes: of the staged objects and of those that were adopted, by location.
    """

    steps: list[Step] = field(default_factory=list)
    places: dict[RelPath, RelPath] = field(default_factory=dict)
    inodes: dict[RelPath, int] = field(default_factory=dict)


def stage_objects(
    disk: Disk,
    transaction: OpenTransaction,
    plan: Plan,
    bundles: Sequence[VerifiedBundle],
    progress: Progress = lambda _count: None,
) -> StagingTree:
    """Put every new object of the plan into its slot.

    Args:
        progress: called with the number of bytes staged since its last call.

    Raises:
        MachineError: the disk failed or is full; the root is as it was.
        BundleDamaged: content is not what the manifest says.
    """
    tree = StagingTree()
    mount_points = frozenset(transaction.opening.mounts)
    objects: list[tuple[RelPath, NewObject]] = []
    slots: list[RelPath] = []  # one path may have two actions: a directory goes, a file comes
    for action in plan.actions:
        slot = _slot(action, transaction, mount_points)
        slots.append(slot)
        objects += _objects(action, slot, tree.places)
    _stage_directories(disk, objects, tree)
    _stage_local(disk, objects, tree)
    _stage_from_bundles(disk, objects, tree, bundles, progress)
    files = {location: new for location, new in objects if isinstance(new, NewFile)}
    _stage_links(disk, objects, files, tree)
    _finish_directories(disk, objects, tree)
    for action, slot in zip(plan.actions, slots, strict=True):
        inode = tree.inodes[action.path] if isinstance(action, Create | Replace) else 0
        file = files.get(_content_location(action))
        tree.steps.append(Step(action, slot, inode, "" if file is None else file.digest))
    return tree


def _slot(action: Action, transaction: OpenTransaction, mounts: frozenset[RelPath]) -> RelPath:
    match action:
        case Create() | Replace() | Remove():
            directory = transaction.places.slot_directory(mount_of(action.path, mounts))
            return directory / str(action.slot)
        case RemoveDirectory(path):  # where it is made again, complete, before it goes back to its place
            directory = transaction.places.slot_directory(mount_of(path, mounts))
            return (
                directory / f"again-{hashlib.sha256(path.encode(errors='surrogateescape')).hexdigest()[:16]}"
            )
        case SetAttributes():
            return ROOT
        case _:
            assert_never(action)


def _content_location(action: Action) -> RelPath:
    """Name the location whose content the action's object has: for a hardlink that of its first name."""
    new = action.new if isinstance(action, Create | Replace) else None
    return new.target if isinstance(new, NewHardlink) else action.path


def _objects(
    action: Action, slot: RelPath, places: dict[RelPath, RelPath]
) -> list[tuple[RelPath, NewObject]]:
    """Name every object that the action brings, parents first, and note where each is staged."""
    if not isinstance(action, Create | Replace):
        return []
    places[action.path] = slot
    found: list[tuple[RelPath, NewObject]] = [(action.path, action.new)]
    for node in action.below:
        places[node.path] = node.path.moved(action.path, slot)
        found.append((node.path, node.new))
    return found


def _stage_directories(disk: Disk, objects: Sequence[tuple[RelPath, NewObject]], tree: StagingTree) -> None:
    for location, new in objects:
        if isinstance(new, NewDirectory):
            disk.make_directory(tree.places[location])


def _stage_local(disk: Disk, objects: Sequence[tuple[RelPath, NewObject]], tree: StagingTree) -> None:
    """Stage symlinks, and files whose content is on this machine already."""
    for location, new in objects:
        place = tree.places[location]
        if isinstance(new, NewSymlink):
            disk.make_symlink(place, new.target, new.uid, new.gid)
        elif isinstance(new, NewFile) and isinstance(new.content, LiveContent):
            _stage_live(disk, new, new.content.location, place)
        elif isinstance(new, NewFile) and isinstance(new.content, Backup):
            _stage_backup(disk, new, new.content.location, place)
        else:
            continue
        _note_inode(disk, location, place, tree)


def _stage_live(disk: Disk, new: NewFile, location: RelPath, place: RelPath) -> None:
    """Copy a file of the root; its inode, size and time have told that it is as recorded, and they can be wrong."""
    if not _copies(disk, new, location, place):
        raise Conflict(
            "its content is not what is recorded, although its size and time are; it was damaged, or edited so",
            path=f"/{location}",
            remedy=f"say `touch /{location}`, so that it counts as edited, then run the same command again",
        )


def _copies(disk: Disk, new: NewFile, source: RelPath, place: RelPath) -> bool:
    """Copy a file; tell whether its content was what it should be."""
    disk.copy_file(source, place, new.attributes)
    return disk.digest(place) == new.digest


def _stage_backup(disk: Disk, new: NewFile, backup: RelPath, place: RelPath) -> None:
    """Link an untouched backup; copy one that was defused, altered in its attributes, or cannot be linked.

    A copy is what keeps rights (set-id bits, capabilities) from coming back to the backup itself.
    """
    seen = disk.observe(backup)
    if seen is None or seen.kind is not Kind.FILE:
        raise RecoveryFailed(
            "the retained content is gone", path=f"/{backup}", remedy="install the bundle again"
        )
    wanted = new.attributes
    untouched = (seen.mode, seen.uid, seen.gid, seen.size, seen.mtime_ns) == (
        wanted.mode,
        wanted.uid,
        wanted.gid,
        new.size,
        wanted.mtime_ns,
    )
    if untouched and not wanted.xattrs and _try_link(disk, backup, place):
        return
    if not _copies(disk, new, backup, place):
        raise RecoveryFailed(
            "the content on this machine is not what it was when it was recorded",
            path=f"/{backup}",
            remedy="install the bundle of that version again",
        )


def _try_link(disk: Disk, backup: RelPath, place: RelPath) -> bool:
    try:
        disk.link(backup, place)
    except MachineError as error:
        if error.errno in CANNOT_LINK:
            return False
        raise
    return True


def _note_inode(disk: Disk, location: RelPath, place: RelPath, tree: StagingTree) -> None:
    seen = disk.observe(place)
    if seen is not None:
        tree.inodes[location] = seen.inode


def _stage_from_bundles(
    disk: Disk,
    objects: Sequence[tuple[RelPath, NewObject]],
    tree: StagingTree,
    bundles: Sequence[VerifiedBundle],
    progress: Progress,
) -> None:
    targets = (
        (location, new)
        for location, new in objects
        if isinstance(new, NewFile) and isinstance(new.content, BundleContent)
    )
    tree.inodes.update(unpack(disk, bundles, targets, tree.places, progress))


def _stage_links(
    disk: Disk,
    objects: Sequence[tuple[RelPath, NewObject]],
    files: Mapping[RelPath, NewFile],
    tree: StagingTree,
) -> None:
    """Stage further names of files; where the filesystem has no hardlinks, copies."""
    for location, new in objects:
        if not isinstance(new, NewHardlink):
            continue
        first, place = tree.places[new.target], tree.places[location]
        if not _try_link(disk, first, place):
            disk.copy_file(first, place, files[new.target].attributes)
        _note_inode(disk, location, place, tree)


def _finish_directories(disk: Disk, objects: Sequence[tuple[RelPath, NewObject]], tree: StagingTree) -> None:
    """Give directories their attributes when they are full, innermost first."""
    for location, new in reversed(objects):
        if isinstance(new, NewDirectory):
            tree.inodes[location] = disk.set_attributes(tree.places[location], new.attributes)


def seal(
    disk: Disk, transaction: OpenTransaction, tree: StagingTree, plan: Plan, drops: tuple[int, ...], now: int
) -> StagedTransaction:
    """Make everything staged durable, then say so in the journal.

    Raises:
        MachineError: a write-back failed; nothing in the root has changed.
    """
    places = transaction.places
    sealed = TransactionPlan(
        transaction=places.id,
        steps=tuple(tree.steps),
        mounts=transaction.opening.mounts,
        packages=plan.packages,
        notes=plan.notes,
        drops=drops,
        commands=plan.commands,
        database=disk.digest(places.next_database) if disk.observe(places.next_database) else "",
    )
    digest = hashlib.sha256()
    with disk.create_file(places.plan) as writer:
        for piece in plan_pieces(sealed):
            digest.update(piece)
            writer.write(piece)
    for mount in (*sealed.mounts, places.home):
        disk.sync_filesystem(mount)
    record = Record(Phase.STAGED, now, attached=digest.hexdigest())
    transaction.journal.append(record)
    return StagedTransaction(transaction, sealed)
