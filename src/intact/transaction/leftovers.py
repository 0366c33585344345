"""Acts. How is what a transaction no longer needs removed, without ever removing a person's work?

A tree that goes is first renamed to `….trash`, so that a crash in the middle of deleting leaves something that
everybody can tell from a transaction. People's files are moved to `kept/` before.
"""

from collections.abc import Iterable, Iterator
from contextlib import suppress

from intact.model.errors import MachineError
from intact.model.installed import Outcome
from intact.model.objects import Kind
from intact.model.paths import ROOT, RelPath
from intact.state.database import Database
from intact.state.layout import SLOTS_OPENING, TRASH_SUFFIX, StateLayout, TransactionPlaces
from intact.system.port import Disk
from intact.transaction.deleting import drop_tree, if_possible
from intact.transaction.opening_text import parse_opening
from intact.transaction.plan_text import Step

__all__ = ["KEPT_SUFFIX", "drop_transaction", "out_of_reach", "set_aside", "sweep"]

KEPT_SUFFIX = ".kept"
_LATER = "trash could not be deleted, and will be later"


def drop_transaction(disk: Disk, layout: StateLayout, number: int, mounts: Iterable[RelPath]) -> list[str]:
    """Delete a transaction's directory and its slots on the mounts that it used; return what could not be done."""
    told: list[str] = []
    places = layout.transaction(number)
    with if_possible(f"transaction {number} could not be deleted, and will be later", told):
        for path in _slot_directories(places, mounts):
            if disk.observe(path) is not None:
                _rename_away(disk, path, TRASH_SUFFIX)
                disk.sync_directory(path.parent)  # without the transaction, its own name would not be trash
        _rename_away(disk, places.home, TRASH_SUFFIX)
    return [*told, *sweep(disk, layout, mounts)]


def set_aside(
    disk: Disk, layout: StateLayout, number: int, mounts: Iterable[RelPath], suffix: str
) -> RelPath:
    """Rename a transaction's directories, so that nothing takes them for a transaction or for trash any more.

    Returns:
        Where its directory is now.
    """
    places = layout.transaction(number)
    for path in _slot_directories(places, mounts):
        _rename_away(disk, path, suffix)
    home = _rename_away(disk, places.home, suffix)
    disk.sync_directory(layout.transactions)
    return home


def _slot_directories(places: TransactionPlaces, mounts: Iterable[RelPath]) -> list[RelPath]:
    """Name the slot directories that do not lie in the transaction's own directory."""
    directories = {places.slot_directory(mount) for mount in mounts}
    return sorted(directories - {places.slots})


def _rename_away(disk: Disk, path: RelPath, suffix: str) -> RelPath:
    """Give a directory of ours another name; return it. Does nothing where there is none."""
    target = RelPath(path + suffix)
    if disk.observe(path) is not None:
        if suffix == TRASH_SUFFIX:
            drop_tree(disk, target)
        while disk.observe(target) is not None:
            target = RelPath(target + "~")
        disk.move_over(path, target)
    return target


def out_of_reach(disk: Disk, steps: Iterable[Step]) -> RelPath | None:
    """Name a directory of slots that is neither there nor on its way to be deleted: most likely it is not mounted."""
    for directory in sorted({step.slot.parent for step in steps if step.slot != ROOT}):
        if disk.observe(directory) is None and disk.observe(RelPath(directory + TRASH_SUFFIX)) is None:
            return directory
    return None


def sweep(disk: Disk, layout: StateLayout, mounts: Iterable[RelPath]) -> list[str]:
    """Delete trash, and slots that a discarded transaction has left; return what could not be done, and what was kept.

    On other mounts only what lies under this root's own identity is looked at: other roots, images and containers
    have slots there, too, and their transactions are not ours to know. The directories of transactions go last, and only
    if everything else has gone: as long as one is there, somebody comes back.
    """
    failed: list[str] = []
    kept: list[str] = []
    names = disk.list_directory(layout.transactions)
    trash = [name for name in names if name.endswith(TRASH_SUFFIX) or ".deep-" in name]
    # One that was set aside (`1.damaged`) has its slots still.
    known = {name.partition(".")[0] for name in names if name not in trash}
    for mount in sorted(set(mounts)):
        with if_possible(_LATER, failed):
            kept += _sweep_mount(disk, layout, mount, known)
    for name in trash if not failed else ():
        with if_possible(_LATER, failed):
            drop_tree(disk, layout.transactions / name)
    return [*kept, *failed]


def _sweep_mount(disk: Disk, layout: StateLayout, mount: RelPath, known: set[str]) -> Iterator[str]:
    """Look through our slots on one mount; tell of what is kept.

    What has a transaction's own name, and no transaction, is not trash: its filesystem, or the state directory, was away
    or is an older one than it was, and there may be people's files in it.
    """
    own = layout.slots_on(mount)
    seen = disk.observe(own)
    if not layout.id or seen is None or seen.kind is not Kind.DIRECTORY:
        return
    for name in disk.list_directory(own):
        number, dot, suffix = name.partition(".")
        if not number.isdigit() or number in known:
            continue
        is_trash = (dot + suffix).startswith((TRASH_SUFFIX, ".deep-"))
        if is_trash or (not dot and _is_worthless(disk, layout, own / name, int(number))):
            drop_tree(disk, own / name)
        elif not dot:
            place = _rename_away(disk, own / name, KEPT_SUFFIX)
            yield f"/{place}: replaced files of a transaction that is not known here any more; look at them, then delete them"
    with suppress(MachineError):  # where another root has just put something there
        for directory in (own, own.parent):
            if not disk.list_directory(directory):
                disk.remove_directory(directory)


def _is_worthless(disk: Disk, layout: StateLayout, slots: RelPath, number: int) -> bool:
    """Tell whether slots hold nothing of anybody's: nothing at all, or what was staged for a transaction that never began.

    The database has to know this very transaction, not only its number.
    """
    place = slots / SLOTS_OPENING
    seen = disk.observe(slots)
    if seen is None or seen.kind is not Kind.DIRECTORY:
        return False
    names = set(disk.list_directory(slots))
    if names <= {place.name}:
        return True
    if place.name not in names:
        return False
    try:
        opening = parse_opening(disk.read_file(place))
    except ValueError:
        return False
    with Database.open(disk.host_path(layout.database)) as database:
        known = database.transaction(number)
    return (
        known is not None
        and known.outcome is Outcome.DISCARDED
        and (known.kind, known.command, known.started) == (opening.kind, opening.command, opening.started)
    )
