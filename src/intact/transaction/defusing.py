"""Acts. How do backups lose the rights that their files had, so that a replaced program cannot be run again?

Set-id bits and capabilities are taken from them; the plan keeps them for the way back. A backup that is one file with a
name which is still in use (a hardlink that stays) is replaced by a copy without rights instead.
"""

from collections import Counter
from collections.abc import Iterator

from intact.model.actions import Remove, Replace
from intact.model.objects import CAPABILITY, SET_ID_BITS, Attributes, Observed
from intact.model.paths import RelPath
from intact.model.values import replace
from intact.system.port import Disk
from intact.transaction.deleting import drop_tree, if_possible
from intact.transaction.plan_text import TransactionPlan
from intact.transaction.steps import old_attributes

__all__ = ["defuse_backups"]


def defuse_backups(disk: Disk, plan: TransactionPlan, told: list[str]) -> bool:
    """Take the rights from all backups; return whether there were any.

    Args:
        told: where to tell what could not be done.
    """
    places = list(_privileged(plan))
    seen = {place: found for place, _ in places if (found := disk.observe(place)) is not None}
    names = Counter(one.inode for one in seen.values())
    for place, old in places:
        now = seen.get(place)
        if now is None:
            continue
        with if_possible("a backup keeps its set-id bits; only root can reach it", told):
            if now.links > names[now.inode]:
                _replace_by_copy(disk, place, old)
            elif (there := disk.observe(place)) is not None and _is_backup(there, old):
                disk.set_attributes(place, _defused(old), without=(CAPABILITY,), seen=there)
    return bool(seen)


def _privileged(plan: TransactionPlan) -> Iterator[tuple[RelPath, Observed]]:
    """Yield the place of each backup that gives rights, and what it was."""
    for step in plan.steps:
        action = step.action
        if isinstance(action, Replace | Remove):
            if action.old.is_privileged:
                yield step.slot, action.old
            for node in action.was_below:
                if node.old.is_privileged:
                    yield node.path.moved(action.path, step.slot), node.old


def _is_backup(there: Observed, old: Observed) -> bool:
    """Who sits in a directory that has left can have put something else there; that is not given owner and mode."""
    owner_fits = (there.kind, there.uid, there.gid) == (old.kind, old.uid, old.gid)
    return owner_fits and there.mode | SET_ID_BITS == old.mode | SET_ID_BITS


def _replace_by_copy(disk: Disk, place: RelPath, old: Observed) -> None:
    scratch = RelPath(place + ".copying")
    drop_tree(disk, scratch)
    disk.copy_file(place, scratch, _defused(old))
    disk.sync_filesystem(scratch.parent)
    disk.move_over(scratch, place)


def _defused(old: Observed) -> Attributes:
    harmless = tuple(one for one in old.xattrs if one[0] != CAPABILITY)
    return replace(old_attributes(old), mode=old.mode & ~SET_ID_BITS, xattrs=harmless)
