"""Acts. How do a slot and a live path change their objects, whatever the filesystem can do?

    way                            used where
    exchange in one system call    everywhere that has RENAME_EXCHANGE
    link old aside, rename over    a filesystem without exchange
    copy old aside, rename over    … and without hardlinks
    move old aside, rename         … for directories, and where a busy file cannot be replaced

Only the last way leaves a moment in which the live name is missing; it is taken where the system offers nothing
else. All ways end alike: the slot holds what was live. On the way there are names beside the slot, and `settle`
finishes or undoes a swap that was interrupted:

    N.copying    a copy that may not be whole; it counts for nothing
    N.aside      a second name, or a whole copy, of what is live as long as the slot still has the new object
    N.moved      what was live; its name is free until the new object gets it
"""

from intact.model.errors import MachineError, RecoveryFailed
from intact.model.objects import Attributes, Kind, Observed
from intact.model.paths import RelPath
from intact.system.port import Disk
from intact.transaction.errnos import BUSY, CANNOT_EXCHANGE, CANNOT_LINK

__all__ = ["move_new", "settle", "settle_move", "swap"]


def _copying(slot: RelPath) -> RelPath:
    return RelPath(slot + ".copying")


def _aside(slot: RelPath) -> RelPath:
    return RelPath(slot + ".aside")


def _moved(slot: RelPath) -> RelPath:
    return RelPath(slot + ".moved")


def swap(disk: Disk, slot: RelPath, path: RelPath) -> None:
    """Put the slot's object at `path` and the object from `path` into the slot."""
    try:
        disk.exchange(slot, path)
    except MachineError as error:
        if error.errno not in CANNOT_EXCHANGE | BUSY:
            raise
        _swap_without_exchange(disk, slot, path)


def _swap_without_exchange(disk: Disk, slot: RelPath, path: RelPath) -> None:
    live, arriving = disk.observe(path), disk.observe(slot)
    directories = any(seen is not None and seen.kind is Kind.DIRECTORY for seen in (live, arriving))
    if live is None or directories or not _keep_aside(disk, path, live, slot):
        _swap_by_moving(disk, slot, path)
        return
    try:
        disk.move_over(slot, path)
    except MachineError as error:
        if error.errno not in BUSY:
            raise
        disk.remove_file(_aside(slot))
        _swap_by_moving(disk, slot, path)
    else:
        disk.move_over(_aside(slot), slot)


def _swap_by_moving(disk: Disk, slot: RelPath, path: RelPath) -> None:
    disk.move_over(path, _moved(slot))
    disk.move_over(slot, path)
    disk.move_over(_moved(slot), slot)


def _keep_aside(disk: Disk, path: RelPath, live: Observed, slot: RelPath) -> bool:
    """Give the live object a second name; False where only moving it is possible."""
    try:
        disk.link(path, _aside(slot))
    except MachineError as error:
        if error.errno not in CANNOT_LINK:
            raise
    else:
        return True
    if live.kind is Kind.SYMLINK:
        disk.make_symlink(_copying(slot), live.target, live.uid, live.gid)
    elif live.kind is Kind.FILE:
        attributes = Attributes(live.mode, live.uid, live.gid, live.mtime_ns, live.xattrs)
        disk.copy_file(path, _copying(slot), attributes)
    else:
        return False
    disk.sync_filesystem(slot.parent)
    disk.move_over(_copying(slot), _aside(slot))
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


def settle(disk: Disk, slot: RelPath, path: RelPath) -> None:
    """Finish or undo a swap that a crash has interrupted; does nothing where there is none.

    Raises:
        RecoveryFailed: somebody has put another object at `path` while its name was free; both are kept.
    """
    if disk.observe(_copying(slot)) is not None:
        disk.remove_file(_copying(slot))
    if disk.observe(_aside(slot)) is not None:
        if disk.observe(slot) is None:
            disk.move_over(_aside(slot), slot)
        else:  # what is live still is what it was, or what somebody has made of it since
            disk.remove_file(_aside(slot))
    if disk.observe(_moved(slot)) is None:
        return
    if disk.observe(slot) is None:
        disk.move_over(_moved(slot), slot)
    elif disk.observe(path) is None:
        disk.move_over(_moved(slot), path)
    else:
        raise RecoveryFailed(
            "somebody has put another file here while the transaction was interrupted",
            path=f"/{path}",
            root_state=f"the transaction is still open; the old file is /{_moved(slot)}",
            remedy=f"move /{path} elsewhere, then run `pkg recover`",
        )


def _same_content(disk: Disk, path: RelPath, live: Observed, waiting: RelPath, old: Observed) -> bool:
    if live.kind is old.kind is Kind.SYMLINK:
        return live.target == old.target
    same_size = live.kind is old.kind is Kind.FILE and live.size == old.size
    return same_size and disk.digest(path) == disk.digest(waiting)
