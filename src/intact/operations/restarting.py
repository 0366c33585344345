"""Acts. Which units run old files, and do they come up again with the new ones?"""

import os
from collections.abc import Callable, Iterable

from intact.model.errors import IntactError
from intact.model.installed import TransactionRecord
from intact.model.processes import Keeper
from intact.model.values import dataclass
from intact.operations.in_use import InUse
from intact.operations.rollback import choose_undone
from intact.operations.root import Root
from intact.plan.keepers import keeper_of, remedy_of, restart_obstacle
from intact.system.process_facts import control_groups

__all__ = ["Restart", "RestartFailed", "restart", "undone_with", "units_to_restart"]


class RestartFailed(IntactError):
    """A unit did not come up; `details` says which."""


@dataclass(frozen=True, slots=True)
class Restart:
    """What became of a unit.

    Attributes:
        problem: why it is not up; None if it is.
        transactions: those whose old files its processes used.
    """

    unit: str
    problem: str | None
    transactions: tuple[int, ...]


def units_to_restart(uses: Iterable[InUse]) -> tuple[dict[str, tuple[int, ...]], tuple[str, ...]]:
    """Return the units that can be restarted, each with the transactions, and what has to be done by hand."""
    own = keeper_of(control_groups(os.getpid()))
    units: dict[str, set[int]] = {}
    others: dict[tuple[Keeper, int], str] = {}
    for one in uses:
        keeper = one.process.keeper
        obstacle = restart_obstacle(keeper, own)
        if obstacle is None:
            units.setdefault(keeper.name, set()).add(one.transaction)
        else:
            what = keeper.name or f"process {one.process.pid}"
            others[keeper, one.process.pid] = f"{what}: {obstacle}; {remedy_of(keeper, one.process.pid)}"
    return (
        {name: tuple(sorted(numbers)) for name, numbers in sorted(units.items())},
        tuple(dict.fromkeys(others.values())),
    )


def restart(
    units: dict[str, tuple[int, ...]],
    restart_one: Callable[[str], str | None],
    tell: Callable[[str], None] = lambda _unit: None,
) -> tuple[Restart, ...]:
    """Restart units one after the other, and go on where one does not come up.

    Args:
        restart_one: restarts a unit and returns what went wrong, if anything.
        tell: called with each unit before.
    """
    found = []
    for unit, transactions in units.items():
        tell(unit)
        found.append(Restart(unit, restart_one(unit), transactions))
    return tuple(found)


def undone_with(root: Root, oldest: int) -> tuple[TransactionRecord, ...]:
    """Return every transaction that the way back to before `oldest` undoes, newest first, of other packages, too.

    Raises:
        UnknownTransaction: there is no way back to there.
    """
    with root.database() as database:
        return choose_undone(database.history(), oldest)
