"""Acts. An earlier run was interrupted: finish it or undo it, as the phase table says.

Recovery reads the journal, looks its phase up in `AFTER_CRASH`, and takes the same steps that the interrupted
run would have taken. Each of them may be interrupted again, and again the next run goes on.
"""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from enum import Enum

from intact.model.errors import (
    Conflict,
    DatabaseDamaged,
    HookFailed,
    IntactError,
    JournalDamaged,
    MachineError,
    RecoveryFailed,
)
from intact.model.exhaustive import assert_never
from intact.model.installed import Outcome, TransactionRecord
from intact.model.manifest import PackageChange
from intact.model.paths import ROOT
from intact.model.values import dataclass
from intact.state.layout import TRASH_SUFFIX, StateLayout, TransactionPlaces
from intact.system.port import Disk
from intact.transaction.closing import close_committed, close_undone
from intact.transaction.commit import CommittedTransaction, commit, perhaps_not_run, roll_back
from intact.transaction.deleting import drop_tree, if_possible
from intact.transaction.evidence import (
    database_lost,
    holds_database,
    insist_on_emptiness,
    insist_on_not_committed,
    insist_on_own_places,
    insist_on_untouched_root,
    is_known,
)
from intact.transaction.history import drop_unretained
from intact.transaction.journal import Journal
from intact.transaction.leftovers import drop_transaction, out_of_reach, sweep
from intact.transaction.opening import OpenTransaction, read_opening
from intact.transaction.opening_text import Opening
from intact.transaction.phases import AFTER_CRASH, FINAL_PHASES, Phase, Verdict
from intact.transaction.plan_text import TransactionPlan, parse_plan
from intact.transaction.staging import StagedTransaction

__all__ = [
    "Direction",
    "Interrupted",
    "Recovered",
    "Recovery",
    "completed_later",
    "find_interrupted",
    "recover",
]

_STILL_OPEN = "the interrupted transaction is still open; every path holds a whole file, old or new"


class Direction(Enum):
    """Which way an interrupted transaction shall go."""

    AUTOMATIC = "finish it if possible, else undo it"
    FORWARD = "finish it"
    BACK = "undo it"


@dataclass(frozen=True, slots=True)
class Interrupted:
    """A transaction that is neither finished nor undone.

    Attributes:
        journal: None if it ended before its journal began.
        opening: None as above.
    """

    places: TransactionPlaces
    journal: Journal | None
    opening: Opening | None

    @property
    def phase(self) -> Phase | None:
        """The last phase on record."""
        return self.journal.phase if self.journal is not None else None

    @property
    def verdict(self) -> Verdict:
        """What the phase table says."""
        return AFTER_CRASH[self.journal.phase] if self.journal is not None else Verdict.DISCARD


@dataclass(frozen=True, slots=True)
class Recovered:
    """What a recovery did.

    Attributes:
        outcome: how the interrupted transaction ended.
        told: what a person should know, one line each.
    """

    transaction: int
    command: str
    phase: Phase | None
    outcome: Outcome
    told: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Recovery:
    """What was settled before something else begins.

    Attributes:
        transactions: those that were finished or undone.
        told: what became of older leftovers, as far as a person should know, one line each.
    """

    transactions: tuple[Recovered, ...] = ()
    told: tuple[str, ...] = ()


_UNDONE = frozenset({Phase.ROLLED_BACK, Phase.DISCARDED})


def find_interrupted(disk: Disk, layout: StateLayout) -> list[Interrupted]:
    """Look for transactions that are not complete, oldest first; changes nothing.

    A transaction begins only when all before it are complete. So of all but the newest a journal that says otherwise,
    or that cannot be believed, is damaged history, and nothing is done or undone because of it. Only what was undone
    may be left of an older one, if it could not be deleted in its time.

    Raises:
        JournalDamaged: a journal cannot be believed.
    """
    if disk.observe(layout.transactions) is None:
        return []
    numbers = sorted(int(name) for name in disk.list_directory(layout.transactions) if name.isdigit())
    found = []
    for number in numbers:
        places = layout.transaction(number)
        try:
            journal = Journal.load(disk, places.journal, number)
            if journal is None:
                insist_on_emptiness(disk, places)
        except JournalDamaged:
            if number == numbers[-1]:
                raise
            continue
        if journal is not None and number != numbers[-1] and journal.phase not in _UNDONE:
            continue
        if journal is None:
            found.append(Interrupted(places, None, None))
        elif journal.phase not in FINAL_PHASES or journal.phase is Phase.DISCARDED:
            opening = read_opening(disk, places, journal.attached(Phase.OPEN))
            found.append(Interrupted(places, journal, opening))
    return found


def recover(disk: Disk, layout: StateLayout, direction: Direction, *, now: int) -> Recovery:
    """Finish or undo every interrupted transaction, and sweep up what crashes have left.

    Raises:
        RecoveryFailed: one could be neither finished nor undone; nothing of it was deleted.
    """
    recovered: list[Recovered] = []
    told: list[str] = []
    for one in find_interrupted(disk, layout):
        with completed_later(f"transaction {one.places.id} cannot be completed now", _STILL_OPEN):
            recovered.append(_recover_one(disk, layout, one, direction, now))
    if recovered or _has_leftovers(disk, layout):
        told += sweep(disk, layout, disk.mount_points())
    with if_possible("old history stays", told):
        told += drop_unretained(disk, layout)
    return Recovery(tuple(recovered), tuple(told))


def _has_leftovers(disk: Disk, layout: StateLayout) -> bool:
    if disk.observe(layout.transactions) is None:
        return False
    return any(name.endswith(TRASH_SUFFIX) for name in disk.list_directory(layout.transactions))


@contextmanager
def completed_later(what: str, root_state: str) -> Iterator[None]:
    """Turn whatever keeps a transaction from its end into the one error that says so: a recovery is needed.

    Args:
        what: what happened, for people.
        root_state: what that means for the root.

    Raises:
        RecoveryFailed: in the place of every other error of ours.
    """
    try:
        yield
    except IntactError as error:
        if isinstance(error, RecoveryFailed) and not isinstance(error, DatabaseDamaged):
            raise
        raise RecoveryFailed(
            f"{what}: {error.message}",
            path=error.path,
            details=error.details,
            root_state=root_state,
            remedy=f"{error.remedy or 'mend the cause'}; then run `pkg recover`",
        ) from error


def _recover_one(
    disk: Disk, layout: StateLayout, interrupted: Interrupted, direction: Direction, now: int
) -> Recovered:
    journal, opening = interrupted.journal, interrupted.opening
    if journal is None or opening is None:
        drop_transaction(disk, layout, interrupted.places.id, ())
        return Recovered(interrupted.places.id, "", None, Outcome.DISCARDED)
    phase = journal.phase
    if phase in _BEFORE_COMMIT_POINT:
        insist_on_not_committed(disk, layout, interrupted.places)
    transaction = OpenTransaction(interrupted.places, opening, journal)
    _watch(disk, opening)
    match interrupted.verdict:
        case Verdict.DISCARD:
            outcome, told = _discard(disk, layout, transaction, now)
        case Verdict.ROLL_FORWARD:
            outcome, told = _roll_forward(disk, layout, transaction, direction, now)
        case Verdict.UNDO_UNCONFIRMED:
            outcome, told = _undo_unconfirmed(disk, layout, transaction, direction, now)
        case Verdict.ROLL_BACK:
            outcome, told = _roll_back(
                disk, layout, _staged(disk, layout, transaction), now, journal.records[-1].reason
            )
        case Verdict.RECORD:
            outcome, told = _finish(disk, layout, transaction, now)
        case Verdict.CLEAN_UP:
            outcome, told = _clean_up(disk, layout, transaction, now)
        case Verdict.NOTHING:
            raise AssertionError(interrupted)
        case _:
            assert_never(interrupted.verdict)
    return Recovered(interrupted.places.id, opening.command, phase, outcome, told)


_Result = tuple[Outcome, tuple[str, ...]]
_BEFORE_COMMIT_POINT = frozenset({Phase.OPEN, Phase.STAGED, Phase.PROVISIONAL, Phase.ROLLING_BACK})


def _watch(disk: Disk, opening: Opening) -> None:
    for mount in opening.mounts:
        if disk.observe(mount) is not None:
            disk.watch_filesystem(mount)


def _plan(disk: Disk, layout: StateLayout, transaction: OpenTransaction) -> TransactionPlan:
    """Read the plan that the STAGED record vouches for."""
    place = transaction.places.plan
    text = disk.read_file(place) if disk.observe(place) is not None else b""
    if hashlib.sha256(text).hexdigest() != transaction.journal.attached(Phase.STAGED):
        raise JournalDamaged(
            "the plan is missing or altered",
            path=f"/{place}",
            root_state="nothing was changed by this command; the transaction is as the crash left it",
            remedy=f"keep a copy of /{transaction.places.home}; its slots hold the replaced files",
        )
    plan = parse_plan(text, f"/{place}")
    insist_on_own_places(layout, transaction, plan)
    return plan


def _staged(disk: Disk, layout: StateLayout, transaction: OpenTransaction) -> StagedTransaction:
    """Return the transaction as it was sealed, if all its slots can be reached."""
    plan = _plan(disk, layout, transaction)
    if beyond := out_of_reach(disk, plan.steps):
        raise RecoveryFailed(
            "the staging tree of the interrupted transaction is missing",
            path=f"/{beyond}",
            root_state="nothing was changed by this command; the transaction is as the crash left it",
            remedy="mount the filesystem that it was on, then run `pkg recover`",
        )
    for directory in sorted({step.slot.parent for step in plan.steps if step.slot != ROOT}):
        disk.learn_renames(directory)
    return StagedTransaction(transaction, plan)


def _discard(disk: Disk, layout: StateLayout, transaction: OpenTransaction, now: int) -> _Result:
    insist_on_untouched_root(disk, transaction)
    entry = _entry(
        transaction, (), Outcome.DISCARDED, now, "interrupted before anything in the root was changed"
    )
    left = close_undone(disk, layout, transaction.journal, entry, None, transaction.opening.mounts)
    return Outcome.DISCARDED, left.lines


def _roll_forward(
    disk: Disk, layout: StateLayout, transaction: OpenTransaction, direction: Direction, now: int
) -> _Result:
    staged = _staged(disk, layout, transaction)
    if direction is Direction.BACK:
        return _roll_back(disk, layout, staged, now, "interrupted; undone on request")
    try:
        if not holds_database(disk, transaction, staged.plan):
            raise database_lost(transaction)
        committed = commit(disk, staged, now=now, recovering=True)
    except (Conflict, DatabaseDamaged, HookFailed, MachineError) as error:
        if direction is Direction.FORWARD:
            raise RecoveryFailed(
                f"cannot be finished: {error.message}",
                path=error.path,
                root_state="the transaction is still open; every path holds a whole file, old or new",
                remedy="mend the cause and run `pkg recover --forward`, or undo it with `pkg recover --back`",
            ) from error
        return _roll_back(disk, layout, staged, now, f"interrupted, and could not be finished: {error}")
    return Outcome.COMMITTED, (*committed.remarks, *close_committed(disk, layout, committed, now=now))


def _undo_unconfirmed(
    disk: Disk, layout: StateLayout, transaction: OpenTransaction, direction: Direction, now: int
) -> _Result:
    """Take a crash while hooks or the health check had the word for a no, unless somebody says otherwise."""
    if direction is Direction.FORWARD:
        return _roll_forward(disk, layout, transaction, direction, now)
    return _roll_back(
        disk, layout, _staged(disk, layout, transaction), now, "interrupted before it was confirmed"
    )


def _roll_back(disk: Disk, layout: StateLayout, staged: StagedTransaction, now: int, reason: str) -> _Result:
    undone = roll_back(disk, staged, now=now, reason=reason)
    entry = _entry(staged.open, staged.plan.packages, Outcome.ROLLED_BACK, now, reason)
    left = close_undone(disk, layout, staged.open.journal, entry, staged.plan, staged.plan.mounts)
    return Outcome.ROLLED_BACK, (*undone.remarks, *undone.said, *left.lines)


def _finish(disk: Disk, layout: StateLayout, transaction: OpenTransaction, now: int) -> _Result:
    committed = CommittedTransaction(transaction, _plan(disk, layout, transaction))
    if transaction.journal.phase is Phase.COMMITTED and not holds_database(disk, transaction, committed.plan):
        if not is_known(disk, layout, transaction.places.id):
            raise database_lost(transaction)
        drop_tree(
            disk, transaction.places.next_database
        )  # it is recorded; whatever this is, it is not needed
    return Outcome.COMMITTED, close_committed(disk, layout, committed, now=now)


def _clean_up(disk: Disk, layout: StateLayout, transaction: OpenTransaction, now: int) -> _Result:
    phase = transaction.journal.phase
    if phase is Phase.RECORDED:
        return _finish(disk, layout, transaction, now)
    if phase is Phase.DISCARDED:
        drop_transaction(disk, layout, transaction.places.id, transaction.opening.mounts)
        return Outcome.DISCARDED, ()
    plan = _plan(disk, layout, transaction)
    reason = transaction.journal.records[-1].reason
    entry = _entry(transaction, plan.packages, Outcome.ROLLED_BACK, now, reason)
    remarks = perhaps_not_run(StagedTransaction(transaction, plan))
    left = close_undone(disk, layout, transaction.journal, entry, plan, plan.mounts)
    return Outcome.ROLLED_BACK, (*remarks, *left.lines)


def _entry(
    transaction: OpenTransaction, packages: tuple[PackageChange, ...], outcome: Outcome, now: int, reason: str
) -> TransactionRecord:
    opening = transaction.opening
    return TransactionRecord(
        id=transaction.places.id,
        kind=opening.kind,
        command=opening.command,
        started=opening.started,
        finished=now,
        outcome=outcome,
        reason=reason,
        packages=packages,
        undoes=opening.undoes,
    )
