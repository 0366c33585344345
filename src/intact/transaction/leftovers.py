"""Acts. How is what a transaction no longer needs removed, without ever removing a person's work?

A tree that goes is first renamed to `….trash`, so that a crash in the middle of deleting leaves something that
everybody can tell from a transaction. People's files are moved to `kept/` before.
"""

from collections.abc import Iterable
from contextlib import suppress

from intact.model.errors import MachineError
from intact.model.objects import Kind
from intact.model.paths import RelPath
from intact.state.layout import TRASH_SUFFIX, StateLayout, TransactionPlaces
from intact.system.port import Disk
from intact.transaction.deleting import drop_tree, if_possible

__all__ = ["drop_transaction", "set_aside", "sweep"]


def drop_transaction(disk: Disk, layout: StateLayout, number: int, mounts: Iterable[RelPath]) -> list[str]:
    """Delete a transaction's directory and its slots on the mounts that it used; return what could not be done."""
    told: list[str] = []
    places = layout.transaction(number)
    with if_possible(f"transaction {number} could not be deleted, and will be later", told):
        for path in (*_slot_directories(places, mounts), places.home):
            _rename_away(disk, path, TRASH_SUFFIX)
    return [*told, *sweep(disk, layout, mounts)]


def set_aside(
    disk: Disk, layout: StateLayout, number: int, mounts: Iterable[RelPath], suffix: str
) -> RelPath:
    """Rename a transaction's directories, so that nothing takes them for a transaction or for trash any more.

    Returns:
        Where its directory is now.
    """
    places = layout.transaction(number)
    for path in (*_slot_directories(places, mounts), places.home):
        _rename_away(disk, path, suffix)
    disk.sync_directory(layout.transactions)
    return RelPath(places.home + suffix)


def _slot_directories(places: TransactionPlaces, mounts: Iterable[RelPath]) -> list[RelPath]:
    """Name the slot directories that do not lie in the transaction's own directory."""
    directories = {places.slot_directory(mount) for mount in mounts}
    return sorted(directories - {places.slots})


def _rename_away(disk: Disk, path: RelPath, suffix: str) -> None:
    if disk.observe(path) is not None:
        target = RelPath(path + suffix)
        if suffix == TRASH_SUFFIX:
            drop_tree(disk, target)
        while disk.observe(target) is not None:
            target = RelPath(target + "~")
        disk.move_over(path, target)


def sweep(disk: Disk, layout: StateLayout, mounts: Iterable[RelPath]) -> list[str]:
    """Delete trash, and our own slots whose transaction is gone; return what could not be done.

    On other mounts only what lies under this root's own identity is looked at: other roots, images and containers
    have slots there, too, and their transactions are not ours to know.
    """
    told: list[str] = []
    known = set()
    for name in disk.list_directory(layout.transactions):
        if name.endswith(TRASH_SUFFIX) or ".deep-" in name:
            with if_possible("trash could not be deleted, and will be later", told):
                drop_tree(disk, layout.transactions / name)
        else:
            # One that was set aside (`1.damaged`) has its slots still.
            known |= {name, name.partition(".")[0]}
    for mount in sorted(set(mounts)):
        with if_possible("trash could not be deleted, and will be later", told):
            _sweep_mount(disk, layout, mount, known)
    return told


def _sweep_mount(disk: Disk, layout: StateLayout, mount: RelPath, known: set[str]) -> None:
    own = layout.slots_on(mount)
    seen = disk.observe(own)
    if not layout.id or seen is None or seen.kind is not Kind.DIRECTORY:
        return
    for name in disk.list_directory(own):
        number = name.removesuffix(TRASH_SUFFIX).partition(".deep-")[0].removesuffix(TRASH_SUFFIX)
        if number.isdigit() and name not in known:
            drop_tree(disk, own / name)
    with suppress(MachineError):  # where another root has just put something there
        for directory in (own, own.parent):
            if not disk.list_directory(directory):
                disk.remove_directory(directory)
