"""Acts. How does a staged transaction change the root, or give up and leave no trace?

`commit` carries out the steps in their order, makes every touched filesystem durable, lets hooks and the health check
have their word (PROVISIONAL), and writes COMMITTED. A crash before that record is rolled forward or back by the next
command; after it the transaction has happened.

`roll_back` undoes the steps in the opposite order, makes that durable, and only then says ROLLED_BACK. Nothing is
deleted before.
"""

from intact.model.errors import MachineError, RecoveryFailed
from intact.model.values import dataclass
from intact.system.port import Disk
from intact.transaction.hooks import line_of, run_back, run_or_fail, write_log
from intact.transaction.journal import Record
from intact.transaction.opening import OpenTransaction
from intact.transaction.phases import Phase
from intact.transaction.plan_text import TransactionPlan
from intact.transaction.staging import StagedTransaction
from intact.transaction.steps import carry_out, insist, insist_on_staged, is_done, undo

__all__ = ["CommittedTransaction", "UndoneTransaction", "commit", "perhaps_not_run", "roll_back"]


@dataclass(frozen=True, slots=True)
class CommittedTransaction:
    """A transaction that has happened; made by `commit` and by recovery.

    Attributes:
        remarks: what turned out otherwise than planned, without harm (a directory that stays), and what hooks said.
    """

    open: OpenTransaction
    plan: TransactionPlan
    remarks: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class UndoneTransaction:
    """A transaction that has been rolled back; made by `roll_back`.

    Attributes:
        remarks: what could not be as before, because somebody (or a hook) has changed it meanwhile.
        said: what the commands of the way back said.
    """

    remarks: tuple[str, ...]
    said: tuple[str, ...]


def commit(
    disk: Disk,
    staged: StagedTransaction,
    *,
    now: int,
    recovering: bool = False,
) -> CommittedTransaction:
    """Carry out every step; on return the transaction has happened, durably.

    Args:
        now: seconds since 1970.
        recovering: some steps may have been carried out before a crash.

    Raises:
        Conflict: somebody changed a path meanwhile. The caller rolls back.
        HookFailed: a hook or the health check said no. The caller rolls back.
        MachineError: the system refused. The caller rolls back.
    """
    remarks = []
    disk.walk_anew()
    for step in staged.plan.steps:
        if recovering and is_done(disk, step):
            insist(disk, step)
            remark = None
        else:
            if recovering:
                insist_on_staged(disk, step)
            remark = carry_out(disk, step)
        if remark is not None:
            remarks.append(remark)
    _make_durable(disk, staged)
    if staged.plan.commands.after and staged.open.journal.phase is Phase.STAGED:
        remarks += _confirm(disk, staged, now)
    staged.open.journal.append(Record(Phase.COMMITTED, now))  # <== THE COMMIT POINT
    return CommittedTransaction(staged.open, staged.plan, tuple(remarks))


def _confirm(disk: Disk, staged: StagedTransaction, now: int) -> tuple[str, ...]:
    """Let hooks and the health check decide; from here on, a crash is undone."""
    staged.open.journal.append(Record(Phase.PROVISIONAL, now))
    told = run_or_fail(disk, staged.open, staged.plan.commands.after)
    left_out = write_log(disk, staged.open, told)
    _make_durable(disk, staged)  # what the hooks have written, too
    return (*told, *left_out)


def roll_back(disk: Disk, staged: StagedTransaction, *, now: int, reason: str) -> UndoneTransaction:
    """Undo whatever was carried out.

    Raises:
        RecoveryFailed: a step could not be undone; everything that is needed to try again is kept.
    """
    journal = staged.open.journal
    confirming = journal.phase is Phase.PROVISIONAL
    if journal.phase in {Phase.STAGED, Phase.PROVISIONAL}:
        journal.append(Record(Phase.ROLLING_BACK, now, reason=reason))
    remarks = []
    disk.walk_anew()
    for step in reversed(staged.plan.steps):
        try:
            remark = undo(disk, step)
        except MachineError as error:
            raise RecoveryFailed(
                f"could not be put back: {error.message}",
                path=error.path,
                details=(f"transaction {staged.plan.transaction} was being rolled back because: {reason}",),
                remedy=f"{error.remedy or 'mend the cause'}, then run `pkg recover`",
                root_state="some changes of the transaction are still in place; its backups are safe",
            ) from error
        if remark is not None:
            remarks.append(remark)
    _make_durable(disk, staged)
    journal.append(Record(Phase.ROLLED_BACK, now, reason=reason))
    back = run_back(disk, staged.open, staged.plan.commands.back) if confirming else perhaps_not_run(staged)
    return UndoneTransaction(tuple(remarks), back)


def perhaps_not_run(staged: StagedTransaction) -> tuple[str, ...]:
    """Name the commands of the way back that an interrupted rollback may have left out; none is run twice."""
    if Phase.PROVISIONAL not in {record.phase for record in staged.open.journal.records}:
        return ()
    return tuple(
        f"interrupted, so perhaps not run: {line_of(one)}; run it yourself if need be"
        for one in staged.plan.commands.back
    )


def _make_durable(disk: Disk, staged: StagedTransaction) -> None:
    for mount in staged.plan.mounts:
        disk.sync_filesystem(mount)
