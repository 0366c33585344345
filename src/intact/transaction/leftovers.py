"""Acts. How is what a transaction no longer needs removed, without ever removing a person's work?

A tree that goes is first renamed to `….trash`, so that a crash in the middle of deleting leaves something that
everybody can tell from a transaction. People's files are moved to `kept/` before.
"""

from intact.model.actions import Create, Remove, Replace
from intact.model.objects import Attributes, Kind, NewDirectory, Observed
from intact.model.paths import RelPath
from intact.state.layout import MOUNT_DIRECTORY, TRASH_SUFFIX, StateLayout, TransactionPlaces
from intact.state.publishing import publish
from intact.system.port import Disk
from intact.transaction.plan_text import Step, TransactionPlan
from intact.transaction.sameness import is_new_object, strangers_below

__all__ = [
    "drop_transaction",
    "drop_tree",
    "keep_after_rollback",
    "keep_from_history",
    "mounts_with",
    "sweep",
]

_OWNER_MAY = 0o700


def drop_tree(disk: Disk, path: RelPath) -> None:
    """Delete everything at `path`, which only we can write to; does nothing if it is gone."""
    seen = disk.observe(path)
    if seen is None:
        return
    if seen.kind is not Kind.DIRECTORY:
        disk.remove_file(path)
        return
    if seen.mode & _OWNER_MAY != _OWNER_MAY:  # who is not root could not look into it, nor empty it
        disk.set_attributes(path, Attributes(_OWNER_MAY, seen.uid, seen.gid))
    for name in disk.list_directory(path):
        drop_tree(disk, path / name)
    disk.remove_directory(path)


def mounts_with(disk: Disk, plan_mounts: tuple[RelPath, ...]) -> frozenset[RelPath]:
    """Return the mount points of now together with those that a plan has named."""
    return disk.mount_points() | frozenset(plan_mounts)


def drop_transaction(disk: Disk, layout: StateLayout, number: int, mounts: frozenset[RelPath]) -> None:
    """Delete a transaction's directory and its slots on every mount."""
    places = layout.transaction(number)
    for path in _slot_directories(places, mounts):
        _to_trash(disk, path)
    _to_trash(disk, places.home)
    sweep(disk, layout, mounts)


def _slot_directories(places: TransactionPlaces, mounts: frozenset[RelPath]) -> list[RelPath]:
    """Name the slot directories that do not lie in the transaction's own directory."""
    directories = {places.slot_directory(mount) for mount in mounts}
    return sorted(directories - {places.slots})


def _to_trash(disk: Disk, path: RelPath) -> None:
    if disk.observe(path) is not None:
        trash = RelPath(path + TRASH_SUFFIX)
        drop_tree(disk, trash)
        disk.move_over(path, trash)


def sweep(disk: Disk, layout: StateLayout, mounts: frozenset[RelPath]) -> None:
    """Delete trash, and slots whose transaction is gone."""
    known = set()
    for name in disk.list_directory(layout.transactions):
        if name.endswith(TRASH_SUFFIX):
            drop_tree(disk, layout.transactions / name)
        else:
            known.add(name)
    for mount in sorted(mounts):
        top = mount / MOUNT_DIRECTORY
        seen = disk.observe(top)
        if seen is None or seen.kind is not Kind.DIRECTORY:
            continue
        for name in disk.list_directory(top):
            if name.removesuffix(TRASH_SUFFIX).isdigit() and name not in known:
                drop_tree(disk, top / name)
        if not disk.list_directory(top):
            disk.remove_directory(top)


def keep_after_rollback(disk: Disk, layout: StateLayout, plan: TransactionPlan) -> list[str]:
    """Move what is a person's work out of the slots of a rolled-back transaction; tell where it is.

    That is: an old object whose place was taken meanwhile, a new one that was edited, and files that were
    created in a directory which has gone again.
    """
    told = []
    for step in plan.steps:
        action, slot = step.action, step.slot
        if not isinstance(action, Create | Replace | Remove) or disk.observe(slot) is None:
            continue
        if isinstance(action, Remove) or not _is_disposable(disk, slot, step):
            told.append(_keep(disk, layout, plan.transaction, slot, action.path))
            continue
        for stranger in strangers_below(disk, slot, action.below, action.path):
            if disk.observe(stranger) is not None:
                location = RelPath(action.path + stranger[len(slot) :])
                told.append(_keep(disk, layout, plan.transaction, stranger, location))
    return told


def _is_disposable(disk: Disk, slot: RelPath, step: Step) -> bool:
    """A staged directory is looked through file by file; anything else is ours, or it is not."""
    seen = disk.observe(slot)
    new = step.action.new if isinstance(step.action, Create | Replace) else None
    if isinstance(new, NewDirectory) and seen is not None and seen.kind is Kind.DIRECTORY:
        return True
    return is_new_object(disk, slot, step)


def keep_from_history(disk: Disk, layout: StateLayout, plan: TransactionPlan) -> list[str]:
    """Move people's files out of backups that are about to be deleted; tell where they are."""
    return [
        _keep(disk, layout, plan.transaction, step.slot, step.action.path)
        for step in plan.steps
        if isinstance(step.action, Replace) and step.action.keep and disk.observe(step.slot) is not None
    ]


def _is_same(one: Observed, other: Observed | None) -> bool:
    """Tell whether two names are one file: a power cut may have left both (see `publish`)."""
    return other is not None and one.kind is other.kind is not Kind.DIRECTORY and one.inode == other.inode


def _keep(disk: Disk, layout: StateLayout, number: int, place: RelPath, location: RelPath) -> str:
    """Move one object to `kept/NUMBER/LOCATION`, on the mount that it is on."""
    inside = place.is_below(layout.private)
    top = (
        layout.kept
        if inside
        else RelPath(place.partition(f"{MOUNT_DIRECTORY}/")[0] + f"{MOUNT_DIRECTORY}/kept")
    )
    destination = RelPath(f"{top}/{number}/{location}")
    for directory in destination.ancestors:
        if disk.observe(directory) is None:
            disk.make_directory(directory)
    moved = disk.observe(place)
    while (there := disk.observe(destination)) is not None and not _is_same(there, moved):
        destination = RelPath(destination + "~")
    publish(disk, place, destination)
    return f"/{location}: your version is kept in /{destination}"
