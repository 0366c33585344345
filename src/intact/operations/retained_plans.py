"""Acts. What did a transaction of the history do, as its journal vouches for it?"""

import hashlib

from intact.model.errors import JournalDamaged, UnknownTransaction
from intact.operations.root import Root
from intact.transaction.journal import Journal
from intact.transaction.phases import Phase
from intact.transaction.plan_text import TransactionPlan, parse_plan

__all__ = ["read_retained_plan"]


def read_retained_plan(root: Root, number: int, *, departures: bool = False) -> TransactionPlan:
    """Read the plan of a retained transaction.

    Args:
        departures: as for `parse_plan`.

    Raises:
        UnknownTransaction: the plan is missing, or not the one of which the journal knows.
        JournalDamaged: it is the one, and is not to be understood.
    """
    places = root.layout.transaction(number)
    try:
        journal = Journal.load(root.disk, places.journal, number)
    except JournalDamaged:
        journal = None
    is_there = root.disk.observe(places.plan) is not None
    text = root.disk.read_file(places.plan) if is_there else b""
    if journal is None or hashlib.sha256(text).hexdigest() != journal.attached(Phase.STAGED):
        raise UnknownTransaction(
            f"the plan of transaction {number} is missing or altered, so it cannot be rolled back",
            path=f"/{places.plan}",
            remedy="install the bundle of the version that you want back",
        )
    return parse_plan(text, f"/{places.plan}", departures=departures)
