"""Acts. What in our slots is a person's work, and where is it kept when the rest goes?

In `kept/NUMBER/PATH`, on the mount that it is on. Where there is no room even for that directory, the whole
transaction is set aside by one rename.
"""

from collections.abc import Iterator

from intact.model.actions import Create, Remove, Replace
from intact.model.objects import Kind, NewDirectory, Observed
from intact.model.paths import RelPath
from intact.state.layout import MOUNT_DIRECTORY, StateLayout
from intact.state.publishing import publish
from intact.system.port import Disk
from intact.transaction.plan_text import Step, TransactionPlan
from intact.transaction.sameness import is_new_object, strangers_below

__all__ = ["keep_after_rollback", "keep_from_history"]


def keep_after_rollback(disk: Disk, layout: StateLayout, plan: TransactionPlan) -> Iterator[str]:
    """Move what is a person's work out of the slots of a rolled-back transaction; tell of each where it is.

    That is: an old object whose place was taken meanwhile, a new one that was edited, and files that were
    created in a directory which has gone again.
    """
    for step in plan.steps:
        action, slot = step.action, step.slot
        if not isinstance(action, Create | Replace | Remove) or disk.observe(slot) is None:
            continue
        if isinstance(action, Remove) or not _is_disposable(disk, slot, step):
            yield _keep(disk, layout, plan.transaction, slot, action.path)
            continue
        for stranger in strangers_below(disk, slot, action.below, action.path):
            if disk.observe(stranger) is not None:
                location = stranger.moved(slot, action.path)
                yield _keep(disk, layout, plan.transaction, stranger, location)


def _is_disposable(disk: Disk, slot: RelPath, step: Step) -> bool:
    """A staged directory is looked through file by file; anything else is ours, or it is not."""
    seen = disk.observe(slot)
    new = step.action.new if isinstance(step.action, Create | Replace) else None
    if isinstance(new, NewDirectory) and seen is not None and seen.kind is Kind.DIRECTORY:
        return True
    return is_new_object(disk, slot, step)


def keep_from_history(disk: Disk, layout: StateLayout, plan: TransactionPlan) -> list[str]:
    """Move people's files out of backups that are about to be deleted; tell where they are.

    That is: an edited file that was replaced, and what somebody has created in a directory after it had left.
    """
    told = []
    for step in plan.steps:
        action, slot = step.action, step.slot
        if not isinstance(action, Replace | Remove) or disk.observe(slot) is None:
            continue
        if isinstance(action, Replace) and action.keep:
            told.append(_keep(disk, layout, plan.transaction, slot, action.path))
        elif action.old.kind is Kind.DIRECTORY:
            known = {node.path for node in action.was_below}
            for stranger in strangers_below(disk, slot, action.was_below, action.path):
                location = stranger.moved(slot, action.path)
                if location not in known:  # a defused backup differs, too, and is nobody's work
                    told.append(_keep(disk, layout, plan.transaction, stranger, location))
    return told


def _is_same(one: Observed, other: Observed | None) -> bool:
    """Tell whether two names are one file: a power cut may have left both (see `publish`)."""
    return other is not None and one.kind is other.kind is not Kind.DIRECTORY and one.inode == other.inode


def _keep(disk: Disk, layout: StateLayout, number: int, place: RelPath, location: RelPath) -> str:
    """Move one object to `kept/NUMBER/LOCATION`, on the mount that it is on."""
    own = f"{MOUNT_DIRECTORY}/{layout.id}/"
    top = layout.kept if place.is_below(layout.private) else RelPath(f"{place.rpartition(own)[0]}{own}kept")
    destination = RelPath(f"{top}/{number}/{location}")
    for directory in destination.ancestors:
        if disk.observe(directory) is None:
            disk.make_directory(directory)
    moved = disk.observe(place)
    while (there := disk.observe(destination)) is not None and not _is_same(there, moved):
        destination = RelPath(destination + "~")
    publish(disk, place, destination)
    return f"/{location}: your version is kept in /{destination}"
