"""Acts. Can every filesystem take the plan? Found out before anything is written.

What is asked: is it writable, do old and new fit on it together, and has an administrator protected something
that would have to change (``chattr +i``)? Mount points are the plan's business, because they decide its form.
"""

import errno
from collections.abc import Callable, Mapping, Sequence

from intact.model.actions import Action, Create, Plan, Remove, RemoveDirectory, Replace, SetAttributes
from intact.model.errors import Conflict, machine_error
from intact.model.exhaustive import assert_never
from intact.model.objects import BundleContent, LiveContent, NewFile
from intact.model.paths import RelPath
from intact.model.values import dataclass
from intact.operations.root import Root
from intact.state.layout import mount_of
from intact.system.forks import all_in_parts
from intact.system.port import Disk, Guard, Space

__all__ = ["Need", "Needs", "insist_on_room", "missing_bytes", "needs_of", "preflight", "staged_size"]

_RESERVE_BYTES = 1 << 20
_BYTES_PER_ACTION = 1024
_STATE_INODES = 16
_BLOCK = 4096
_ANSWERS = (None, *Guard)


@dataclass(frozen=True, slots=True)
class Need:
    """What a plan takes on one mount, old and new together."""

    bytes: int
    inodes: int


Needs = Mapping[RelPath, Need]


def needs_of(root: Root, plan: Plan, mounts: tuple[RelPath, ...]) -> Needs:
    """Return what the plan takes on each mount, that of the state directory included.

    Args:
        mounts: the mount points that the plan touches.
    """
    points = frozenset(mounts)
    needed = {mount: [0, 0] for mount in (*mounts, root.layout.mount)}
    state = needed[root.layout.mount]
    state[0] += _RESERVE_BYTES + _BYTES_PER_ACTION * len(plan.actions) + 2 * _database_size(root)
    state[1] += _STATE_INODES
    for action in plan.actions:
        size, count = staged_size(action)
        need = needed[mount_of(action.path, points)]
        need[0] += size
        need[1] += count
    return {mount: Need(size, count) for mount, (size, count) in needed.items()}


def preflight(root: Root, plan: Plan, needs: Needs) -> None:
    """Find out whether the plan can be carried out here, if there is or will be room beside the state directory.

    That room is another question (`insist_on_room`), because history can be given up for it, and should not be where
    something else stands in the way.

    Raises:
        NoSpace: there are not enough bytes or inodes for old and new together.
        MachineError: a filesystem is read-only.
        Conflict: something is protected from changes; all of it is named.
    """
    for mount, need in needs.items():
        space = root.disk.space(mount)
        if space.read_only:
            raise machine_error("preflight", OSError(errno.EROFS, "Read-only file system"), f"/{mount}")
        if mount != root.layout.mount:
            _insist_on_room(mount, need, space)
    _insist_on_changeable(root, plan)


def insist_on_room(root: Root, needs: Needs) -> None:
    """Find out whether the plan fits on the mount with the state directory.

    Raises:
        NoSpace: there are not enough bytes or inodes for old and new together.
    """
    mount = root.layout.mount
    _insist_on_room(mount, needs[mount], root.disk.space(mount))


def _insist_on_room(mount: RelPath, need: Need, space: Space) -> None:
    reason = ""
    if need.bytes > space.free_bytes:
        reason = f"{need.bytes} bytes are needed for new and old together, {space.free_bytes} are free"
    elif space.free_inodes is not None and need.inodes > space.free_inodes:
        reason = f"{need.inodes} inodes are needed, {space.free_inodes} are free"
    if reason:
        raise machine_error("preflight", OSError(errno.ENOSPC, reason), f"/{mount}")


def missing_bytes(root: Root, needs: Needs) -> int:
    """Return how many bytes more than there are the plan needs, on the mount with the state directory.

    History on other mounts is small change, and what is retained there is not told apart.
    """
    return max(0, needs[root.layout.mount].bytes - root.disk.space(root.layout.mount).free_bytes)


def _database_size(root: Root) -> int:
    seen = root.disk.observe(root.layout.database)
    return seen.size if seen is not None else _BLOCK


def staged_size(action: Action) -> tuple[int, int]:
    """Return (bytes, inodes) that staging an action takes."""
    if not isinstance(action, Create | Replace):
        return 0, 0
    objects = [action.new, *(node.new for node in action.below)]
    fresh = [
        -(-new.size // _BLOCK) * _BLOCK
        for new in objects
        if isinstance(new, NewFile) and isinstance(new.content, BundleContent | LiveContent)
    ]
    return sum(fresh), len(objects)


def _insist_on_changeable(root: Root, plan: Plan) -> None:
    """Look for protected objects (FS_IMMUTABLE_FL, FS_APPEND_FL, see ioctl_iflags(2)), which not even root can rename.

    What is in a directory that leaves as a whole counts, too: it could not be deleted when its backup goes.
    """
    filled = {action.path.parent: None for action in plan.actions if isinstance(action, Create)}
    changed = dict.fromkeys(path for action in plan.actions for path in _changed(action))
    guards = _guards(root.disk, [*changed, *(path for path in filled if path not in changed)])
    found = {path: guard for path, guard in guards.items() if path in changed or guard is Guard.IMMUTABLE}
    if found:
        raise Conflict(
            "somebody has protected what would have to change",
            details=[f"/{path} is {guard.value}" for path, guard in sorted(found.items())],
            remedy="take the protection away (chattr -ia PATH) if that is meant, then run the same command again",
        )


def _changed(action: Action) -> Sequence[RelPath]:
    """Name what an action moves, changes, or takes something out of."""
    match action:
        case Create():
            return ()
        case Replace() | Remove():
            return (action.path.parent, action.path, *(node.path for node in action.was_below))
        case RemoveDirectory():
            return (action.path.parent, action.path)
        case SetAttributes():
            return (action.path,)
        case _:
            assert_never(action)


def _guards(disk: Disk, paths: Sequence[RelPath]) -> dict[RelPath, Guard]:
    """Find what is protected among these; several processes look, where it is much."""

    def look(part: range, _progress: Callable[[int], None]) -> bytes:
        return bytes(_ANSWERS.index(disk.guard(paths[number])) for number in part)

    found: dict[RelPath, Guard] = {}
    for part, answers in all_in_parts(len(paths), look):
        if any(answers):
            guards = ((paths[number], _ANSWERS[code]) for number, code in zip(part, answers, strict=True))
            found |= {path: guard for path, guard in guards if guard is not None}
    return found
