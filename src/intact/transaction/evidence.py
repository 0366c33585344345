"""Acts. Does the journal agree with everything else that is on the disk?

A journal that has lost records, or was exchanged for an older copy, is as valid as any; but the slots, the plan and
the database know better. Whatever contradicts it stops a recovery before anything is done.
"""

from intact.model.actions import Remove, Replace
from intact.model.errors import DatabaseDamaged, JournalDamaged
from intact.model.installed import Outcome
from intact.model.objects import Kind
from intact.model.paths import ROOT
from intact.state.database import Database
from intact.state.layout import StateLayout, TransactionPlaces
from intact.system.port import Disk
from intact.transaction.opening import OpenTransaction
from intact.transaction.plan_text import Step, TransactionPlan, parse_plan
from intact.transaction.sameness import is_old_object

__all__ = [
    "database_lost",
    "holds_database",
    "insist_on_emptiness",
    "insist_on_not_committed",
    "insist_on_own_places",
    "insist_on_untouched_root",
    "is_known",
]


def insist_on_emptiness(disk: Disk, places: TransactionPlaces) -> None:
    """Without a journal there can be nothing but what comes before it; anything else means that it was lost."""
    seen = disk.observe(places.home)
    names = disk.list_directory(places.home) if seen is not None and seen.kind is Kind.DIRECTORY else []
    if set(names) - {places.opening.name, places.journal.name}:
        raise JournalDamaged(
            "the journal of a transaction is missing, but its files are there",
            path=f"/{places.home}",
            root_state="nothing was changed by this command",
            remedy=f"keep a copy of /{places.home}: its slots hold the replaced files; then move it elsewhere",
        )


def insist_on_not_committed(disk: Disk, layout: StateLayout, places: TransactionPlaces) -> None:
    """The database learns of a transaction after its commit point; a journal that is not so far has lost records."""
    if is_known(disk, layout, places.id):
        raise JournalDamaged(
            f"the journal ends before the commit, but the database knows that transaction {places.id} has happened",
            path=f"/{places.journal}",
            root_state="nothing was changed by this command",
            remedy=f"move /{places.home} elsewhere: the transaction stays as it is, without a way back",
        )


def insist_on_untouched_root(disk: Disk, transaction: OpenTransaction) -> None:
    """Before STAGED no slot holds anything of the root; if one does, records were lost, and its content is all there is."""
    place = transaction.places.plan
    seen = disk.observe(place)
    try:
        plan = parse_plan(disk.read_file(place), f"/{place}") if seen is not None else None
    except JournalDamaged:
        return  # a crash while it was being written
    if plan is not None and any(_holds_old(disk, step) for step in plan.steps):
        raise JournalDamaged(
            "the journal ends before the first rename, but replaced files are in the slots",
            path=f"/{transaction.places.journal}",
            root_state="nothing was changed by this command; the transaction is as it was left",
            remedy=f"keep a copy of /{transaction.places.home}: plan.json says where the files in slots/ belong",
        )


def _holds_old(disk: Disk, step: Step) -> bool:
    action = step.action
    if not isinstance(action, Replace | Remove):
        return False
    seen = disk.observe(step.slot)
    return seen is not None and seen.inode != step.inode and is_old_object(disk, step.slot, action.old)


def insist_on_own_places(layout: StateLayout, transaction: OpenTransaction, plan: TransactionPlan) -> None:
    """Every slot lies in this transaction's slots, and no step is about pkg's own state.

    Digests tell that a plan is whole, not that it belongs here: it may come from a backup of another machine.
    """
    places = transaction.places
    slots = {places.slot_directory(mount) for mount in transaction.opening.mounts}
    for step in plan.steps:
        is_elsewhere = step.slot != ROOT and step.slot.parent not in slots
        path = step.action.path
        if is_elsewhere or path in {ROOT, layout.base} or path.is_below(layout.base):
            raise _foreign(
                places, f"/{path if not is_elsewhere else step.slot} is no place of this transaction"
            )
    if plan.transaction != places.id or set(plan.mounts) != set(transaction.opening.mounts):
        raise _foreign(places, "the plan is that of another transaction")


def _foreign(places: TransactionPlaces, what: str) -> JournalDamaged:
    return JournalDamaged(
        what,
        path=f"/{places.plan}",
        root_state="nothing was changed by this command; the transaction is as it was left",
        remedy=f"look where /{places.home} comes from; keep a copy of it, and move it elsewhere",
    )


def holds_database(disk: Disk, transaction: OpenTransaction, plan: TransactionPlan) -> bool:
    """Tell whether the staged database is there, and is what the plan vouches for."""
    place = transaction.places.next_database
    seen = disk.observe(place)
    return seen is not None and seen.kind is Kind.FILE and disk.digest(place) == plan.database


def database_lost(transaction: OpenTransaction) -> DatabaseDamaged:
    """Return the error for a staged database that is gone."""
    return DatabaseDamaged(
        "the database that was staged with the transaction is missing or altered",
        path=f"/{transaction.places.next_database}",
        root_state="every file is in place; only the database does not know yet",
        remedy="make it anew with `pkg recover --rebuild`",
    )


def is_known(disk: Disk, layout: StateLayout, number: int) -> bool:
    """Tell whether the database knows that a transaction has happened."""
    try:
        with Database.open(disk.host_path(layout.database)) as database:
            known = database.transaction(number)
    except DatabaseDamaged:
        return False
    return known is not None and known.outcome is Outcome.COMMITTED
