"""Acts. What is left to do after a transaction has happened, or has been undone?

After the commit point: the database is published by one rename (RECORDED), rights are taken from the backups,
old history goes, and CLOSED is written. After a rollback or a discard: people's files are kept, the rest is
deleted. Every part can be done again after a crash.
"""

from dataclasses import replace

from intact.model.actions import Remove, Replace
from intact.model.errors import NoSpace
from intact.model.installed import TransactionRecord
from intact.model.objects import CAPABILITY, SET_ID_BITS, Attributes, Observed
from intact.model.paths import RelPath
from intact.state.layout import MANIFEST_PREFIX, StateLayout
from intact.state.next_generation import DatabaseChanges
from intact.state.publishing import publish, stage_database
from intact.system.port import Disk
from intact.transaction.commit import CommittedTransaction
from intact.transaction.history import drop_backups
from intact.transaction.journal import Journal, Record
from intact.transaction.leftovers import drop_transaction, drop_tree, keep_after_rollback, mounts_with
from intact.transaction.phases import Phase
from intact.transaction.plan_text import TransactionPlan
from intact.transaction.steps import old_attributes

__all__ = ["close_committed", "close_undone", "record"]


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
    if _defuse_backups(disk, committed.plan):
        for mount in committed.plan.mounts:
            disk.sync_filesystem(mount)
    told = drop_backups(disk, layout, committed.plan.drops)
    committed.open.journal.append(Record(Phase.CLOSED, now))
    return tuple(told)


def _defuse_backups(disk: Disk, plan: TransactionPlan) -> bool:
    """Take set-id bits and capabilities from the backups; the plan keeps them for the way back."""
    found = False
    for step in plan.steps:
        action = step.action
        if not isinstance(action, Replace | Remove):
            continue
        inside = [(RelPath(step.slot + node.path[len(action.path) :]), node.old) for node in action.was_below]
        for place, old in [(step.slot, action.old), *inside]:
            if old.is_privileged and disk.observe(place) is not None:
                disk.set_attributes(place, _defused(old), without=(CAPABILITY,))
                found = True
    return found


def _defused(old: Observed) -> Attributes:
    harmless = tuple(one for one in old.xattrs if one[0] != CAPABILITY)
    return replace(old_attributes(old), mode=old.mode & ~SET_ID_BITS, xattrs=harmless)


def close_undone(
    disk: Disk,
    layout: StateLayout,
    journal: Journal,
    entry: TransactionRecord,
    plan: TransactionPlan | None,
) -> tuple[str, ...]:
    """Clean up after a transaction that was rolled back or discarded, and note it in the history.

    Args:
        entry: the line of the history.
        plan: None if it never was staged.

    Returns:
        What was kept for people, a line each.
    """
    told = keep_after_rollback(disk, layout, plan) if plan is not None else []
    _note_outcome(disk, layout, entry)
    if journal.phase is Phase.OPEN:
        journal.append(Record(Phase.DISCARDED, entry.finished, reason=entry.reason))
    drop_transaction(disk, layout, entry.id, mounts_with(disk, plan.mounts if plan else ()))
    return tuple(told)


def _note_outcome(disk: Disk, layout: StateLayout, entry: TransactionRecord) -> None:
    """Add a line to the history. A full disk must not keep anybody from rolling back, so then it is left out."""
    scratch = layout.transaction(entry.id).home / "outcome.db"
    drop_tree(disk, scratch)
    try:
        stage_database(disk, layout.database, scratch, DatabaseChanges(entry))
        disk.sync_filesystem(scratch.parent)
    except NoSpace:
        drop_tree(disk, scratch)
        return
    publish(disk, scratch, layout.database)
