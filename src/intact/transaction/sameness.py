"""Acts. Is this object the one that was planned with?

The inode number is a quick answer, never the only one: numbers are reused as soon as an object is gone, and some
filesystems (overlayfs after a copy-up, network filesystems) do not keep them. Then content decides.
"""

import os
import stat
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress

from intact.model.actions import Create, Node, OldNode, Replace
from intact.model.errors import MachineError, RecoveryFailed
from intact.model.exhaustive import assert_never
from intact.model.objects import Kind, NewDirectory, NewFile, NewHardlink, NewSymlink, Observed
from intact.model.paths import RelPath
from intact.system.forks import in_parts
from intact.system.port import Disk
from intact.transaction.plan_text import Step

__all__ = ["insist_on_no_mount", "is_new_object", "is_old_object", "strangers_below"]

_MANY = 1000  # objects for which it is worth to ask others


def is_old_object(disk: Disk, place: RelPath, old: Observed) -> bool:
    """Tell whether the object at `place` still is what `old` describes, content included."""
    seen = disk.observe(place)
    if seen is None or seen.kind is not old.kind:
        return False
    if old.kind is Kind.SYMLINK:
        return seen.target == old.target
    if old.kind is Kind.DIRECTORY:
        return True
    if (seen.mode, seen.uid, seen.gid, seen.size) != (old.mode, old.uid, old.gid, old.size):
        return False
    if seen.inode == old.inode and seen.mtime_ns == old.mtime_ns:
        return True
    return old.digest is not None and disk.digest(place) == old.digest


def is_new_object(disk: Disk, place: RelPath, step: Step) -> bool:
    """Tell whether the object at `place` is the one that was staged for the step, and nobody's work is in it.

    Raises:
        AssertionError: the step stages nothing.
    """
    action = step.action
    if not isinstance(action, Create | Replace):
        raise AssertionError(action)
    seen = disk.observe(place)
    if seen is None:
        return False
    match action.new:
        case NewDirectory():
            if seen.kind is not Kind.DIRECTORY:
                return False
            return seen.inode == step.inode or not strangers_below(disk, place, action.below, action.path)
        case NewSymlink(target, _, _):
            return seen.kind is Kind.SYMLINK and seen.target == target
        case NewFile(attributes, size, _, _):
            if seen.kind is not Kind.FILE or seen.size != size:
                return False
            untouched = seen.inode == step.inode and seen.mtime_ns == attributes.mtime_ns
            return untouched or disk.digest(place) == step.digest
        case NewHardlink():
            return seen.kind is Kind.FILE and disk.digest(place) == step.digest
        case _:
            assert_never(action.new)


def strangers_below(
    disk: Disk, place: RelPath, expected: "tuple[OldNode, ...] | tuple[Node, ...]", top: RelPath
) -> list[RelPath]:
    """Find what lies in the directory at `place` without being expected there, or altered since.

    A stranger is named as a whole, not looked into; whatever is mounted there is a stranger, too.

    Args:
        place: where the directory lies now.
        expected: what it should hold, by location in the root.
        top: the directory's own location in the root.
    """
    old = [node for node in expected if isinstance(node, OldNode)]
    if len(old) == len(expected) >= _MANY and _are_all_expected(disk, place, old, top):
        return []
    known = {node.path.moved(top, place): node for node in expected}
    files = {
        node.path: node.new for node in expected if isinstance(node, Node) and isinstance(node.new, NewFile)
    }
    seen = disk.observe(place)
    if seen is None or seen.kind is not Kind.DIRECTORY:
        return []
    mounts = disk.mount_points()
    found, pending = [], [place]
    while pending:
        directory = pending.pop()
        for name in disk.list_directory(directory):
            path = directory / name
            node = known.get(path)
            if node is None or path in mounts or not _is_expected(disk, path, node, files):
                found.append(path)
            elif _is_directory(node):
                pending.append(path)
    return found


def _are_all_expected(disk: Disk, place: RelPath, expected: Sequence[OldNode], top: RelPath) -> bool:
    """Tell whether nothing in a directory is a stranger, where it should hold very much; several processes look.

    No says nothing: there is a stranger, or something could not be looked at.
    """
    inside: dict[str, dict[str, Observed]] = {top: {}}
    for node in expected:
        directory, _, name = node.path.rpartition("/")
        inside.setdefault(directory, {})[name] = node.old
        if node.old.kind is Kind.DIRECTORY:
            inside.setdefault(node.path, {})
    if any(mount.is_below(place) for mount in disk.mount_points()):
        return False
    directories = [(RelPath(place + at[len(top) :]), names) for at, names in inside.items()]

    def look(part: range, _progress: Callable[[int], None]) -> bytes:
        with suppress(MachineError):
            return b"yes" if all(_holds_only(disk, *directories[number]) for number in part) else b""
        return b""

    return all(answer for _, answer in in_parts(len(directories), look))


def _holds_only(disk: Disk, directory: RelPath, expected: Mapping[str, Observed]) -> bool:
    """Tell whether all that is in a directory is expected there, and as it was."""
    return all(
        (old := expected.get(name)) is not None
        and (_is_untouched(status, old) or is_old_object(disk, directory / name, old))
        for name, status in disk.look_into(directory)
    )


def _is_untouched(seen: os.stat_result, old: Observed) -> bool:
    """Tell whether a quick look is enough to say that this is the old object."""
    if old.kind is Kind.DIRECTORY:
        return stat.S_ISDIR(seen.st_mode)
    return old.kind is Kind.FILE and (
        stat.S_IFREG | old.mode,
        old.inode,
        old.size,
        old.mtime_ns,
        old.uid,
        old.gid,
    ) == (seen.st_mode, seen.st_ino, seen.st_size, seen.st_mtime_ns, seen.st_uid, seen.st_gid)


def _is_directory(node: OldNode | Node) -> bool:
    return (
        node.old.kind is Kind.DIRECTORY if isinstance(node, OldNode) else isinstance(node.new, NewDirectory)
    )


def _is_expected(disk: Disk, path: RelPath, node: OldNode | Node, files: dict[RelPath, NewFile]) -> bool:
    if isinstance(node, OldNode):
        return is_old_object(disk, path, node.old)
    seen = disk.observe(path)
    if seen is None:
        return True
    match node.new:
        case NewDirectory():
            return seen.kind is Kind.DIRECTORY
        case NewSymlink(target, _, _):
            return seen.kind is Kind.SYMLINK and seen.target == target
        case NewFile():
            return _is_staged_file(disk, path, seen, node.new)
        case NewHardlink(target):
            first = files.get(target)
            if first is None:  # another step stages it; this name has company as long as nobody replaces it
                return seen.kind is Kind.FILE and seen.links > 1
            return _is_staged_file(disk, path, seen, first)
        case _:
            assert_never(node.new)


def _is_staged_file(disk: Disk, place: RelPath, seen: Observed, new: NewFile) -> bool:
    if seen.kind is not Kind.FILE or seen.size != new.size:
        return False
    return seen.mtime_ns == new.attributes.mtime_ns or disk.digest(place) == new.digest


def insist_on_no_mount(disk: Disk, path: RelPath) -> None:
    """Refuse to move a directory with a filesystem mounted in it.

    Raises:
        RecoveryFailed: names the mount point.
    """
    for mount in sorted(disk.mount_points()):
        if mount == path or mount.is_below(path):
            raise RecoveryFailed(
                "a filesystem is mounted in a directory that has to go",
                path=f"/{mount}",
                root_state="nothing in it was touched; the transaction is still open",
                remedy=f"unmount it (umount /{mount}), then run `pkg recover`",
            )
