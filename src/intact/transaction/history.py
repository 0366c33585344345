"""Acts. How does a transaction lose its way back, to make room?

The database says so first; then the backups go. Where a crash comes between, the next command finds
transactions that are complete and no longer retained, and deletes them. People's files among the backups are
moved to `kept/`.
"""

from collections.abc import Sequence
from contextlib import suppress

from intact.model.errors import JournalDamaged
from intact.model.paths import RelPath
from intact.state.database import Database
from intact.state.layout import StateLayout
from intact.state.next_generation import DatabaseChanges
from intact.state.publishing import publish, stage_database
from intact.system.port import Disk
from intact.transaction.deleting import drop_tree, if_possible
from intact.transaction.journal import Journal
from intact.transaction.keeping import keep_from_history
from intact.transaction.leftovers import drop_transaction, out_of_reach, set_aside
from intact.transaction.phases import Phase
from intact.transaction.plan_text import parse_plan
from intact.transaction.replaced import note_outlived

__all__ = ["DAMAGED_SUFFIX", "drop_backups", "drop_unretained", "forget"]

DAMAGED_SUFFIX = ".damaged"

_SCRATCH = "forget.db"


def forget(disk: Disk, layout: StateLayout, numbers: tuple[int, ...]) -> tuple[str, ...]:
    """Give up the way back before these transactions; return what was kept for people.

    Raises:
        NoSpace: not even a copy of the database fits on the disk.
    """
    disk.watch_filesystem(layout.private)
    scratch = layout.private / _SCRATCH
    drop_tree(disk, scratch)
    stage_database(disk, layout.database, scratch, DatabaseChanges(None, no_longer_retained=numbers))
    disk.sync_filesystem(layout.private)
    publish(disk, scratch, layout.database)
    return drop_backups(disk, layout, numbers)


def drop_unretained(disk: Disk, layout: StateLayout) -> tuple[str, ...]:
    """Delete the backups of complete transactions of which the database says that they are not retained.

    A transaction that the database does not know is left alone: the database may be older than it.

    Returns:
        What was kept for people, and what could not be done.
    """
    drop_tree(disk, layout.private / _SCRATCH)
    drop_tree(disk, layout.rescued)
    if disk.observe(layout.transactions) is None:
        return ()
    there = [int(name) for name in disk.list_directory(layout.transactions) if name.isdigit()]
    with Database.open(disk.host_path(layout.database)) as database:
        retained = {one.id: one.retained for one in database.history()}
    left = tuple(
        number
        for number in there
        if retained.get(number) is False and (number != max(there) or _is_closed(disk, layout, number))
    )
    return drop_backups(disk, layout, left) if left else ()


def _is_closed(disk: Disk, layout: StateLayout, number: int) -> bool:
    """Tell whether the newest transaction is complete; all before it are (see recovery)."""
    try:
        journal = Journal.load(disk, layout.transaction(number).journal, number)
    except JournalDamaged:
        return True
    return journal is not None and journal.phase is Phase.CLOSED


def drop_backups(disk: Disk, layout: StateLayout, numbers: Sequence[int]) -> tuple[str, ...]:
    """Delete the backups of these transactions, and the manifests that nothing else needs.

    The manifests go first: as long as the transaction's directory is there, a crash is noticed.
    """
    told: list[str] = []
    refused: list[str] = []
    with if_possible("old manifests stay", refused):
        _drop_manifests(disk, layout, frozenset(numbers))
    if refused:  # what was refused once (a signal, too many open files) may not be again
        with if_possible("old manifests stay", told):
            _drop_manifests(disk, layout, frozenset(numbers))
    for number in numbers:
        with if_possible(f"the backups of transaction {number} stay", told):
            told += _drop_one(disk, layout, number)
    return tuple(told)


def _drop_one(disk: Disk, layout: StateLayout, number: int) -> list[str]:
    places = layout.transaction(number)
    told: list[str] = []
    mounts: tuple[RelPath, ...] = ()
    if disk.observe(places.plan) is not None:
        try:
            plan = parse_plan(disk.read_file(places.plan), f"/{places.plan}", departures=True)
        except JournalDamaged as error:  # it may hold people's files, and nobody knows which ones they are
            place = set_aside(disk, layout, number, (), DAMAGED_SUFFIX)
            return [f"transaction {number}: {error.message}; its backups were left in /{place}"]
        mounts = plan.mounts
        with if_possible("it is not remembered who still uses what was replaced", told), suppress(OSError):
            note_outlived(disk, layout, plan)
        told += keep_from_history(disk, layout, plan)
        elsewhere = (step for step in plan.steps if not step.slot.is_below(places.home))
        if beyond := out_of_reach(disk, elsewhere):  # people's files may be in there
            drop_tree(disk, places.slots)
            told.append(
                f"/{beyond}: backups of transaction {number} cannot be reached; they go once their filesystem is"
                f" mounted (if it is gone for good, delete /{places.home})"
            )
            return told
    return [*told, *drop_transaction(disk, layout, number, mounts)]


def _drop_manifests(disk: Disk, layout: StateLayout, leaving: frozenset[int]) -> None:
    """Delete the manifests that neither an installed package nor a transaction that stays needs."""
    there = {int(name) for name in disk.list_directory(layout.transactions) if name.isdigit()}
    staying = sorted(there - leaving)
    databases = [layout.database, *(layout.transaction(number).before_database for number in staying)]
    needed: set[str] = set()
    for path in databases:
        with Database.open(disk.host_path(path)) as database:
            needed.update(f"{package.manifest_digest}.toml" for package in database.packages())
    for name in disk.list_directory(layout.manifests):
        if name not in needed:
            disk.remove_file(layout.manifests / name)
