"""Acts. What is left to do after a transaction has happened, or has been undone?

After the commit point: the database is published by one rename (RECORDED), rights are taken from the backups,
old history goes, and CLOSED is written. After a rollback or a discard: people's files are kept, the rest is
deleted. Every part can be done again after a crash.
"""

from contextlib import suppress

from intact.model.errors import MachineError
from intact.model.installed import TransactionRecord
from intact.model.paths import RelPath
from intact.model.values import dataclass, replace
from intact.state.layout import MANIFEST_PREFIX, StateLayout
from intact.state.next_generation import DatabaseChanges
from intact.state.publishing import publish, stage_database
from intact.system.port import Disk
from intact.transaction.commit import CommittedTransaction
from intact.transaction.defusing import defuse_backups
from intact.transaction.deleting import drop_tree, if_possible
from intact.transaction.history import drop_backups
from intact.transaction.journal import Journal, Record
from intact.transaction.keeping import keep_after_rollback
from intact.transaction.leftovers import KEPT_SUFFIX, drop_transaction, out_of_reach, set_aside
from intact.transaction.phases import Phase
from intact.transaction.plan_text import TransactionPlan

__all__ = ["Remains", "close_committed", "close_undone", "record"]

_OUTCOME = "outcome.db"


def record(disk: Disk, layout: StateLayout, committed: CommittedTransaction, *, now: int) -> None:
    """Publish the database that was staged with the transaction."""
    journal, places = committed.open.journal, committed.open.places
    if journal.phase is Phase.COMMITTED:
        if disk.observe(places.next_database) is not None:  # else a crash came after the rename
            publish(disk, places.next_database, layout.database)
        else:
            disk.sync_directory(layout.base)  # … which may not be durable yet
        # After the database: manifests without a database mean that it was lost.
        _retain_manifests(disk, layout, committed)
        journal.append(Record(Phase.RECORDED, now))


def _retain_manifests(disk: Disk, layout: StateLayout, committed: CommittedTransaction) -> None:
    home = committed.open.places.home
    for name in disk.list_directory(home):
        if name.startswith(MANIFEST_PREFIX):
            publish(disk, home / name, layout.manifests / name.removeprefix(MANIFEST_PREFIX))


def close_committed(
    disk: Disk, layout: StateLayout, committed: CommittedTransaction, *, now: int
) -> tuple[str, ...]:
    """Record the transaction, defuse its backups, let old history go; return what was kept for people."""
    record(disk, layout, committed, now=now)
    told: list[str] = []
    with if_possible(
        "a copy of the database stays", told
    ):  # of an attempt to discard what was staged after all
        drop_tree(disk, committed.open.places.home / _OUTCOME)
    if defuse_backups(disk, committed.plan, told):
        for mount in committed.plan.mounts:
            disk.sync_filesystem(mount)
    told += drop_backups(disk, layout, committed.plan.drops)
    committed.open.journal.append(Record(Phase.CLOSED, now))
    return tuple(told)


@dataclass(frozen=True, slots=True)
class Remains:
    """What remains of a transaction that was rolled back or discarded, a line each.

    Attributes:
        kept: where people's files are.
        untidied: what could not be deleted, and will be later.
    """

    kept: tuple[str, ...]
    untidied: tuple[str, ...] = ()

    @property
    def lines(self) -> tuple[str, ...]:
        """All of it."""
        return (*self.kept, *self.untidied)


def close_undone(
    disk: Disk,
    layout: StateLayout,
    journal: Journal,
    entry: TransactionRecord,
    plan: TransactionPlan | None,
    mounts: tuple[RelPath, ...],
) -> Remains:
    """Clean up after a transaction that was rolled back or discarded, and note it in the history.

    Args:
        entry: the line of the history.
        plan: None if it never was staged.
        mounts: those that it may have slots on.
    """
    kept: list[str] = []
    reason = ""
    try:
        if plan is not None:
            _keep_at_last(disk, layout, plan, kept)
            if beyond := out_of_reach(disk, plan.steps):
                reason = f"/{beyond} cannot be reached (is its filesystem not mounted?), and stays as it is"
    except MachineError as error:  # no room to sort it out: then all of it is kept
        reason = error.message
    if reason:
        place = set_aside(disk, layout, entry.id, mounts, KEPT_SUFFIX)
        kept.append(f"what people may have changed meanwhile is kept in /{place}, not sorted out: {reason}")
        return Remains(tuple(kept))
    _note_outcome(disk, layout, replace(entry, notes=(*entry.notes, *kept)))
    if journal.phase is Phase.OPEN:
        journal.append(Record(Phase.DISCARDED, entry.finished, reason=entry.reason))
    return Remains(tuple(kept), tuple(drop_transaction(disk, layout, entry.id, mounts)))


def _keep_at_last(disk: Disk, layout: StateLayout, plan: TransactionPlan, told: list[str]) -> None:
    """Keep people's files; what was refused once (a signal, too many open files) may not be again."""
    with suppress(MachineError):
        told.extend(
            keep_after_rollback(disk, layout, plan)
        )  # one by one: what comes before a failure is told
        return
    told.extend(keep_after_rollback(disk, layout, plan))


def _note_outcome(disk: Disk, layout: StateLayout, entry: TransactionRecord) -> None:
    """Add a line to the history, if that is possible.

    Neither a full disk nor a damaged database must keep anybody from rolling back.
    """
    scratch = layout.transaction(entry.id).home / _OUTCOME
    with if_possible("the history does not tell of it", []):
        drop_tree(disk, scratch)
        stage_database(disk, layout.database, scratch, DatabaseChanges(entry))
        disk.sync_filesystem(scratch.parent)
        publish(disk, scratch, layout.database)
