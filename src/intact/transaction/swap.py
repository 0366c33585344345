"""Acts. How do a slot and a live path change their objects, whatever the filesystem can do?

    way                            used where
    exchange in one system call    everywhere that has RENAME_EXCHANGE
    link old aside, rename over    a filesystem without exchange
    copy old aside, rename over    … and without hardlinks
    move old aside, rename         … for directories, and where a busy file cannot be replaced

Only the last way leaves a moment in which the live name is missing; it is taken where the system offers nothing
else. All ways end alike: the slot holds what was live. "Aside" is a second name beside the slot; when it
exists, the swap was interrupted, and `settle` finishes or undoes it.
"""

from collections.abc import Callable

from intact.model.errors import MachineError, RecoveryFailed
from intact.model.objects import Attributes, Kind, Observed
from intact.model.paths import RelPath
from intact.system.port import Disk
from intact.transaction.errnos import BUSY, CANNOT_EXCHANGE, CANNOT_LINK

__all__ = ["move_new", "settle", "settle_move", "swap"]


def _aside(slot: RelPath) -> RelPath:
    """Return the name beside a slot where the live object waits."""
    return RelPath(slot + ".aside")


def swap(disk: Disk, slot: RelPath, path: RelPath) -> None:
    """Put the slot's object at `path` and the object from `path` into the slot."""
    try:
        disk.exchange(slot, path)
    except MachineError as error:
        if error.errno not in CANNOT_EXCHANGE | BUSY:
            raise
        _swap_without_exchange(disk, slot, path)


def _swap_without_exchange(disk: Disk, slot: RelPath, path: RelPath) -> None:
    waiting = _aside(slot)
    live, arriving = disk.observe(path), disk.observe(slot)
    directories = any(seen is not None and seen.kind is Kind.DIRECTORY for seen in (live, arriving))
    if live is None or directories or not _keep_aside(disk, path, live, waiting):
        disk.move_over(path, waiting)
        disk.move_over(slot, path)
    else:
        try:
            disk.move_over(slot, path)
        except MachineError as error:
            if error.errno not in BUSY:
                raise
            disk.remove_file(waiting)
            disk.move_over(path, waiting)
            disk.move_over(slot, path)
    disk.move_over(waiting, slot)


def _keep_aside(disk: Disk, path: RelPath, live: Observed, waiting: RelPath) -> bool:
    """Give the live object a second name; False where only moving it is possible."""
    try:
        disk.link(path, waiting)
    except MachineError as error:
        if error.errno not in CANNOT_LINK:
            raise
        if live.kind is Kind.SYMLINK:
            disk.make_symlink(waiting, live.target, live.uid, live.gid)
        elif live.kind is Kind.FILE:
            attributes = Attributes(live.mode, live.uid, live.gid, live.mtime_ns, live.xattrs)
            disk.copy_file(path, waiting, attributes)
        else:
            return False
        disk.sync_filesystem(waiting.parent)
    return True


def move_new(disk: Disk, source: RelPath, destination: RelPath) -> None:
    """Rename to a free name, also where RENAME_NOREPLACE is unknown.

    Raises:
        MachineError: EEXIST if the name is taken.
    """
    try:
        disk.move_new(source, destination)
    except MachineError as error:
        if error.errno not in CANNOT_EXCHANGE:
            raise
        _move_new_by_link(disk, source, destination)


def _move_new_by_link(disk: Disk, source: RelPath, destination: RelPath) -> None:
    moved = disk.observe(source)
    if moved is not None and moved.kind is not Kind.DIRECTORY:
        try:
            disk.link(source, destination)
        except MachineError as error:
            if error.errno not in CANNOT_LINK:
                raise
        else:
            disk.remove_file(source)
            return
    if disk.observe(destination) is not None:
        disk.make_directory(destination)  # refuses, with the right error
    disk.move_over(source, destination)


def settle_move(disk: Disk, source: RelPath, destination: RelPath) -> None:
    """Finish a move that a crash has interrupted between link and unlink; does nothing where there is none."""
    moved, arrived = disk.observe(source), disk.observe(destination)
    if moved is None or arrived is None or moved.kind is Kind.DIRECTORY or moved.kind is not arrived.kind:
        return
    if moved.inode == arrived.inode or _are_links_alike(disk, source, moved, destination, arrived):
        disk.remove_file(source)


def _are_links_alike(disk: Disk, one: RelPath, seen: Observed, other: RelPath, also: Observed) -> bool:
    """Recognise two names of one file where inode numbers are not stable: both have a second name, and one content."""
    if min(seen.links, also.links) < 2:
        return False
    return _same_content(disk, one, seen, other, also)


def settle(disk: Disk, slot: RelPath, path: RelPath, is_whole: Callable[[RelPath], bool]) -> None:
    """Finish or undo a swap that a crash has interrupted; does nothing where there is none.

    Args:
        is_whole: tells whether the object at a place is the whole old one; a copy may have been interrupted.

    Raises:
        RecoveryFailed: somebody has put another object at `path` meanwhile; both are kept.
    """
    waiting = _aside(slot)
    old = disk.observe(waiting)
    if old is None:
        return
    live = disk.observe(path)
    if disk.observe(slot) is None:
        disk.move_over(waiting, slot)
    elif live is None:
        disk.move_over(waiting, path)
    elif live.inode == old.inode or _same_content(disk, path, live, waiting, old) or not is_whole(waiting):
        disk.remove_file(waiting)
    else:
        raise RecoveryFailed(
            "somebody has put another file here while the transaction was interrupted",
            path=f"/{path}",
            root_state=f"the transaction is still open; the old file is /{waiting}",
            remedy=f"move /{path} elsewhere, then run `pkg recover`",
        )


def _same_content(disk: Disk, path: RelPath, live: Observed, waiting: RelPath, old: Observed) -> bool:
    if live.kind is old.kind is Kind.SYMLINK:
        return live.target == old.target
    same_size = live.kind is old.kind is Kind.FILE and live.size == old.size
    return same_size and disk.digest(path) == disk.digest(waiting)
