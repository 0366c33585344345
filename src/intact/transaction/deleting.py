"""Acts. How is a tree of our own deleted, and never anything that only seems to be ours?

What is mounted somewhere in it is not ours: then nothing of the tree is touched. Depth costs nothing: whoever could
write into a directory of ours may have nested thousands, so deep ones are first moved up.
"""

import errno
from collections.abc import Iterator
from contextlib import contextmanager

from intact.model.errors import DatabaseDamaged, JournalDamaged, MachineError, machine_error
from intact.model.objects import Attributes, Kind
from intact.model.paths import RelPath
from intact.system.port import Disk

__all__ = ["drop_tree", "if_possible"]

_OWNER_MAY = 0o700
_DEEPEST = 40


def drop_tree(disk: Disk, path: RelPath) -> None:
    """Delete everything at `path`; does nothing if it is gone.

    Raises:
        MachineError: EBUSY if something is mounted in it, before anything is deleted; or the system refused.
    """
    seen = disk.observe(path)
    if seen is None:
        return
    if seen.kind is not Kind.DIRECTORY:
        disk.remove_file(path)
        return
    for mount in disk.mount_points():
        if mount == path or mount.is_below(path):
            busy = OSError(errno.EBUSY, "a filesystem is mounted in what is to be deleted")
            raise machine_error("drop_tree", busy, f"/{mount}")
    moved_up = 0
    pending = [path]
    while pending:
        top = pending.pop()
        for directory in _emptied(disk, top):
            moved_up += 1
            higher = RelPath(f"{path}.deep-{moved_up}")
            drop_tree(disk, higher)
            disk.move_over(directory, higher)
            pending.append(higher)
        disk.remove_directory(top)


def _emptied(disk: Disk, top: RelPath) -> Iterator[RelPath]:
    """Delete all files below `top`, and yield directories that lie too deep, to be moved away at once."""
    stack: list[tuple[RelPath, bool]] = [(top, False)]
    while stack:
        directory, is_empty = stack.pop()
        if is_empty:
            if directory != top:
                disk.remove_directory(directory)
            continue
        _enter(disk, directory)
        stack.append((directory, True))
        for name in disk.list_directory(directory):
            child = directory / name
            seen = disk.observe(child)
            if seen is None:
                continue
            if seen.kind is not Kind.DIRECTORY:
                disk.remove_file(child)
            elif child.count("/") - top.count("/") > _DEEPEST:
                yield child
            else:
                stack.append((child, False))


def _enter(disk: Disk, directory: RelPath) -> None:
    seen = disk.observe(directory)
    if seen is not None and seen.mode & _OWNER_MAY != _OWNER_MAY:  # who is not root could not empty it
        disk.set_attributes(directory, Attributes(_OWNER_MAY, seen.uid, seen.gid), seen=seen)


@contextmanager
def if_possible(what: str, told: list[str]) -> Iterator[None]:
    """Tidy up as a courtesy: what cannot be done now is told, and tried again by a later command.

    Args:
        what: cannot be done, for people.
        told: where to tell.
    """
    try:
        yield
    except (MachineError, JournalDamaged, DatabaseDamaged) as error:
        place = f" ({error.path})" if error.path else ""
        told.append(f"{what}: {error.message}{place}")
