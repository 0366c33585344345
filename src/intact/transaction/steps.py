"""Acts. How is one step carried out, how undone, and how does one see which of the two is the case?

The slot tells: only we write there, so whether it holds the staged object, the old one or nothing is the whole
truth about the step, after any crash. Carrying out and undoing are idempotent, and neither ever deletes an
object: what has no place any more stays in its slot.
"""

from intact.model.actions import Create, Remove, RemoveDirectory, Replace, SetAttributes
from intact.model.errors import Conflict, MachineError
from intact.model.exhaustive import assert_never
from intact.model.objects import Attributes, Kind, NewDirectory, NewFile, Observed
from intact.model.paths import RelPath
from intact.model.values import replace
from intact.system.port import Disk
from intact.transaction.errnos import BUSY, GONE, TAKEN
from intact.transaction.plan_text import Step
from intact.transaction.sameness import insist_on_no_mount, is_new_object, is_old_object, strangers_below
from intact.transaction.swap import move_new, settle, settle_move, swap

__all__ = ["carry_out", "insist", "insist_on_staged", "is_done", "old_attributes", "undo"]


def old_attributes(old: Observed) -> Attributes:
    """Return the attributes that an object had when it was observed."""
    return Attributes(old.mode, old.uid, old.gid, old.mtime_ns, old.xattrs)


def is_done(disk: Disk, step: Step) -> bool:
    """Tell whether the step has taken place, after settling a half-done move or swap."""
    action, slot = step.action, step.slot
    match action:
        case Create():
            settle_move(disk, slot, action.path)
            return disk.observe(slot) is None
        case Replace():
            settle(disk, slot, action.path)
            return not _holds_staged(disk, step, action)
        case Remove():
            settle_move(disk, action.path, slot)
            return disk.observe(slot) is not None
        case RemoveDirectory():
            return disk.observe(action.path) is None
        case SetAttributes():
            return False  # giving the same attributes again costs nothing
        case _:
            assert_never(action)


def _holds_staged(disk: Disk, step: Step, action: Replace) -> bool:
    seen = disk.observe(step.slot)
    if seen is None:
        return False
    if seen.inode != action.old.inode and seen.inode == step.inode:
        return True
    if seen.inode == action.old.inode and seen.inode != step.inode:
        return False
    return is_new_object(disk, step.slot, step) and not is_old_object(disk, step.slot, action.old)


def carry_out(disk: Disk, step: Step) -> str | None:
    """Carry out a step that has not taken place; return a remark if there is something to tell.

    Raises:
        Conflict: somebody changed the path since it was planned; it is as that person left it.
        MachineError: the system refused.
    """
    action, slot = step.action, step.slot
    match action:
        case Create(path):
            try:
                move_new(disk, slot, path)
            except MachineError as error:
                if error.errno in TAKEN:
                    raise _changed(path, "somebody has created it since") from error
                raise
        case Replace(path):
            _replace(disk, slot, path)
            _insist(disk, step, action)
        case Remove(path):
            _remove(disk, slot, path)
            _insist(disk, step, action)
        case RemoveDirectory(path):
            return _remove_directory(disk, path)
        case SetAttributes(path, new, old):
            return _change_attributes(disk, path, old_attributes(old), new)
        case _:
            assert_never(action)
    return None


def insist(disk: Disk, step: Step) -> None:
    """Make sure that what a step has brought into its slot is what was planned with.

    A crash may have come between the rename and this look.

    Raises:
        Conflict: it was changed by somebody; it stands again where that person left it.
    """
    if isinstance(step.action, Replace | Remove):
        _insist(disk, step, step.action)


def insist_on_staged(disk: Disk, step: Step) -> None:
    """Make sure, after a crash, that the slot still holds what was staged, before it goes live.

    Raises:
        Conflict: it holds something else, or nothing.
    """
    action = step.action
    if not isinstance(action, Create | Replace):
        return
    seen = disk.observe(step.slot)
    new = action.new
    owner_fits = not isinstance(new, NewFile | NewDirectory) or (
        seen is not None
        and (seen.mode, seen.uid, seen.gid) == (new.attributes.mode, new.attributes.uid, new.attributes.gid)
    )
    if not owner_fits or not is_new_object(disk, step.slot, step):
        raise Conflict(
            "what was staged for this path has been altered since the crash",
            path=f"/{action.path}",
            remedy="look who can write to the staging tree; then run the same command again",
        )


def _change_attributes(disk: Disk, path: RelPath, before: Attributes, after: Attributes) -> str | None:
    """Change the attributes of a directory that still has those it had; anything else is somebody's wish."""
    seen = disk.observe(path)
    if seen is None or seen.kind is not Kind.DIRECTORY:
        return f"/{path}: is no directory any more; its mode and owner were not changed"
    if (seen.mode, seen.uid, seen.gid) not in {(one.mode, one.uid, one.gid) for one in (before, after)}:
        return f"/{path}: mode or owner was changed by somebody meanwhile, and is kept"
    gone = {name for name, _ in before.xattrs} - {name for name, _ in after.xattrs}
    disk.set_attributes(path, replace(after, mtime_ns=None), without=tuple(sorted(gone)), seen=seen)
    return None


def _replace(disk: Disk, slot: RelPath, path: RelPath) -> None:
    try:
        swap(disk, slot, path)
    except MachineError as error:
        if error.errno in GONE:
            raise _changed(path, "somebody has removed it since") from error
        raise


def _remove(disk: Disk, slot: RelPath, path: RelPath) -> None:
    try:
        move_new(disk, path, slot)
    except MachineError as error:
        if error.errno not in GONE:
            raise


def _remove_directory(disk: Disk, path: RelPath) -> str | None:
    try:
        disk.remove_directory(path)
    except MachineError as error:
        if error.errno in GONE:
            return None
        if error.errno in TAKEN | BUSY:
            return f"/{path}: stays, because something that no package owns is in it"
        raise
    return None


def _insist(disk: Disk, step: Step, action: Replace | Remove) -> None:
    """Make sure that what came back is what was planned with; otherwise put it back where it was."""
    if disk.observe(step.slot) is None:
        return
    same = is_old_object(disk, step.slot, action.old)
    if same and action.old.kind is Kind.DIRECTORY:
        same = not strangers_below(disk, step.slot, action.was_below, action.path)
    if same:
        return
    if isinstance(action, Replace):
        swap(disk, step.slot, action.path)
    else:
        _put_back(disk, step.slot, action.path)  # or it stays in the slot, and whoever rolls back tells of it
    raise _changed(action.path, "somebody has changed it since")


def _changed(path: RelPath, what: str) -> Conflict:
    return Conflict(
        f"{what} it was looked at, a moment ago; that change is kept",
        path=f"/{path}",
        remedy="run the same command again; it will take the change into account",
    )


def undo(disk: Disk, step: Step) -> str | None:
    """Undo a step, whether or not it has taken place; return a remark if something could not be as before.

    Whatever somebody put at the path meanwhile stays there; the old object then stays in its slot.
    """
    action, slot = step.action, step.slot
    match action:
        case Create():
            return _undo_create(disk, step, action)
        case Replace():
            return _undo_replace(disk, step, action)
        case Remove(path):
            if is_done(disk, step):
                return _put_back(disk, slot, path)
        case RemoveDirectory(path, old):
            return _make_again(disk, slot, path, old)
        case SetAttributes(path, new, old):
            return _change_attributes(disk, path, new, old_attributes(old))
        case _:
            assert_never(action)
    return None


def _make_again(disk: Disk, slot: RelPath, path: RelPath, old: Observed) -> str | None:
    """Put a directory back; it appears in its place with its own mode and owner, at once."""
    if disk.observe(path) is not None:
        return None
    if disk.observe(slot) is None:
        disk.make_directory(slot)
    disk.set_attributes(slot, old_attributes(old))
    return _put_back(disk, slot, path)


def _undo_create(disk: Disk, step: Step, action: Create) -> str | None:
    path = action.path
    if not is_done(disk, step) or disk.observe(path) is None:
        return None
    if not is_new_object(disk, path, step):
        return f"/{path}: was changed by somebody, or by a hook, after it had been put there; stays"
    insist_on_no_mount(disk, path)
    move_new(disk, path, step.slot)
    return None


def _undo_replace(disk: Disk, step: Step, action: Replace) -> str | None:
    if not is_done(disk, step) or disk.observe(step.slot) is None:
        return None
    if disk.observe(action.path) is None:
        return _put_back(disk, step.slot, action.path)
    if is_new_object(disk, action.path, step):
        swap(disk, step.slot, action.path)
        return None
    return f"/{action.path}: changed by somebody meanwhile; stays, the old one is kept"


def _put_back(disk: Disk, slot: RelPath, path: RelPath) -> str | None:
    try:
        move_new(disk, slot, path)
    except MachineError as error:
        if error.errno in GONE:  # of the parent: somebody took the directory away, or put a file in its place
            return f"/{path}: its directory is gone, so it cannot be put back; the old one is kept"
        if error.errno not in TAKEN:
            raise
        return f"/{path}: created by somebody meanwhile; stays, the old one is kept"
    return None
