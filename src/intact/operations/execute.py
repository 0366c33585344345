"""Acts. A decision becomes a transaction: open, stage, seal, commit, close; or the root is as it was.

Prepared ── stage ──► StagedTransaction ── commit ──► CommittedTransaction ── close ──► Receipt
    │                        │
    └ discard on failure     └ roll back on failure
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from intact.bundle.verified import VerifiedBundle
from intact.model.actions import Plan, Remove, Replace
from intact.model.entries import Digest
from intact.model.errors import IntactError
from intact.model.installed import Outcome, Ownership, Seen, TransactionRecord
from intact.model.objects import Kind
from intact.model.paths import RelPath
from intact.model.values import dataclass, field, replace
from intact.operations.hooks import bind_commands
from intact.operations.in_use import NOBODY, UsesFound, find_in_use
from intact.operations.preflight import insist_on_room, missing_bytes, needs_of, preflight, staged_size
from intact.operations.receipt import Receipt
from intact.operations.retaining import make_room, retention_policy
from intact.operations.root import Environment, Root
from intact.plan.retention import RetentionPolicy, choose_pruned
from intact.state.layout import mount_of
from intact.state.next_generation import DatabaseChanges
from intact.state.publishing import stage_database, stage_way_back
from intact.system.signals import signals_held
from intact.transaction.closing import close_committed, close_undone
from intact.transaction.commit import commit, roll_back
from intact.transaction.hooks import run_or_fail
from intact.transaction.opening import (
    OpenTransaction,
    make_slot_directories,
    next_number,
    open_transaction,
)
from intact.transaction.opening_text import Opening
from intact.transaction.phases import Phase
from intact.transaction.plan_text import Step
from intact.transaction.recover import Recovery, completed_later
from intact.transaction.staging import StagedTransaction, StagingTree, seal, stage_objects

__all__ = ["Prepared", "execute"]

_INODE = 4096  # what a small file takes beside its content, roughly
_NO_CHANGES_YET = "nothing of the root has changed yet; the next command finishes or discards the transaction, as the disk remembers it"
_SOME_CHANGES = (
    "every path holds a whole file, old or new; the transaction is still open, its backups are safe"
)
_ALL_CHANGES = "everything that was asked for is in place; only the database does not know yet"


@dataclass(frozen=True, slots=True)
class Prepared:
    """Everything that is needed to change a root, decided but not begun.

    Attributes:
        plan: the actions.
        bundles: where content comes from.
        installed: packages as they will be, with what they will own, as far as that changes.
        removed: packages that will be gone.
        before: the installed packages that change, and at which locations they do; None for all that they own.
        undoes: transactions that this one rolls back.
        told: remarks for the receipt.
    """

    kind: str
    plan: Plan
    bundles: tuple[VerifiedBundle, ...] = ()
    installed: tuple[Ownership, ...] = ()
    removed: tuple[str, ...] = ()
    before: Mapping[str, frozenset[RelPath] | None] = field(default_factory=dict)
    undoes: tuple[int, ...] = ()

    @property
    def signers(self) -> tuple[tuple[str, tuple[str, ...]], ...]:
        """Who vouched for what is put there, by package."""
        return tuple((one.package.identity.name, one.package.signers) for one in self.installed)


def execute(
    root: Root,
    prepared: Prepared,
    environment: Environment,
    recovery: Recovery,
    *,
    dry_run: bool,
) -> Receipt:
    """Carry a decision out, or only tell what it would be.

    Raises:
        MachineError: the system refused; the root is as it was.
        Conflict: somebody changed a path meanwhile; the root is as that person left it.
        HookFailed: a hook or the health check said no; the root is as it was.
        RecoveryFailed: neither finished nor undone; `pkg recover` goes on.
    """
    receipt = Receipt(
        kind=prepared.kind,
        transaction=None,
        changed=bool(prepared.plan.actions or prepared.plan.packages),
        packages=prepared.plan.packages,
        plan=prepared.plan,
        signers=prepared.signers,
        recovered=recovery.transactions,
        told=recovery.told,
        dry_run=dry_run,
    )
    if not receipt.changed:
        return receipt
    mounts = _mounts(root, prepared.plan)
    policy = retention_policy(root)
    needs = needs_of(root, prepared.plan, mounts)
    preflight(root, prepared.plan, needs)
    room = make_room(root, lambda: missing_bytes(root, needs), prepared.undoes, dry_run=dry_run)
    with _told_in_any_case(room):
        if not (dry_run and room):
            insist_on_room(root, needs)
        if dry_run:
            return replace(receipt, told=(*receipt.told, *room))
        opening = Opening(prepared.kind, environment.command, environment.clock(), mounts, prepared.undoes)
        number, told, in_use = _carry_out(root, prepared, opening, policy, environment)
    return replace(receipt, transaction=number, told=(*receipt.told, *room, *told), in_use=in_use)


@contextmanager
def _told_in_any_case(room: tuple[str, ...]) -> Iterator[None]:
    """Say what was given up for a transaction that does not happen after all."""
    try:
        yield
    except IntactError as error:
        error.details = (*error.details, *room)
        raise
    except KeyboardInterrupt as interrupt:
        interrupt.args = (*(interrupt.args or ("",)), *room)
        raise


def _carry_out(
    root: Root,
    prepared: Prepared,
    opening: Opening,
    policy: RetentionPolicy,
    environment: Environment,
) -> tuple[int, tuple[str, ...], UsesFound]:
    """Do it; return the transaction's number, what is to be told of it, and who still uses what was replaced."""
    with root.database() as database:
        last = database.last_transaction()
    number = next_number(root.disk, root.layout, last, opening.mounts)
    transaction: OpenTransaction | None = None
    try:
        with signals_held():
            transaction = open_transaction(root.disk, root.layout, number, opening)
        make_slot_directories(root.disk, transaction)
        tree, drops = _stage(root, transaction, prepared, policy, environment)
        plan = replace(prepared.plan, commands=bind_commands(root, prepared.plan, tree))
        checked = run_or_fail(root.disk, transaction, plan.commands.before)
        told = (*checked, *_finish(root, transaction, plan, (tree, drops), environment))
    except (Exception, KeyboardInterrupt) as error:
        if transaction is not None and transaction.journal.phase is Phase.OPEN:
            with signals_held(), _settled(transaction, error):  # a second signal waits: it takes moments
                _discard(root, transaction, prepared, environment, error)
        raise
    in_use, unknown = _in_use(root, number, tree.steps)
    return number, (*told, *unknown), in_use


def _in_use(root: Root, number: int, steps: Sequence[Step]) -> tuple[UsesFound, tuple[str, ...]]:
    """Tell who still uses what has just been replaced; whatever goes wrong here, the transaction has happened."""
    try:
        found = find_in_use(root, (number,), known={number: steps})
    except (IntactError, OSError) as error:
        return NOBODY, (f"who still uses what was replaced cannot be told: {_reason(error)}",)
    except KeyboardInterrupt:
        return NOBODY, ("the interruption came too late: everything was done by then",)
    return found, found.unknown


def _finish(
    root: Root,
    transaction: OpenTransaction,
    plan: Plan,
    staged_parts: tuple[StagingTree, tuple[int, ...]],
    environment: Environment,
) -> tuple[str, ...]:
    """Seal and commit. From here on it takes moments, and signals wait; one that comes too late is told.

    Nothing is drawn meanwhile: a terminal that has been stopped would hold the renames up.
    """
    tree, drops = staged_parts
    environment.tell_progress("commit", 0, len(tree.steps))
    told: tuple[str, ...] | None = None
    try:
        with signals_held():
            staged = seal(root.disk, transaction, tree, plan, drops, environment.clock())
            told = _commit(root, staged, environment)
    except KeyboardInterrupt:
        if told is None:
            raise
        told = (*told, "the interruption came too late: everything was done by then")
    return told


def _mounts(root: Root, plan: Plan) -> tuple[RelPath, ...]:
    points = root.disk.boundaries(action.path for action in plan.actions)
    return tuple(sorted({mount_of(action.path, points) for action in plan.actions}))


def _stage(
    root: Root,
    transaction: OpenTransaction,
    prepared: Prepared,
    policy: RetentionPolicy,
    environment: Environment,
) -> tuple[StagingTree, tuple[int, ...]]:
    """Stage objects and state; return them with the transactions whose backups will go."""
    total = sum(staged_size(action)[0] for action in prepared.plan.actions)
    done = 0
    with root.disk.writing_back((*transaction.opening.mounts, transaction.places.home)) as note_written:

        def progress(count: int) -> None:
            nonlocal done
            done += count
            note_written(count + _INODE)
            environment.tell_progress("stage", done, total)

        tree = stage_objects(root.disk, transaction, prepared.plan, prepared.bundles, progress)
        return tree, _stage_state(root, transaction, prepared, tree, policy, environment)


@contextmanager
def _settled(transaction: OpenTransaction, error: BaseException) -> Iterator[None]:
    """Tell the truth where a failing disk may hold the STAGED record all the same: what comes next is not known yet."""
    if not transaction.journal.is_in_doubt:
        yield
        return
    with completed_later(f"{_reason(error)}; and it cannot be discarded now", _NO_CHANGES_YET):
        yield


def _discard(
    root: Root,
    transaction: OpenTransaction,
    prepared: Prepared,
    environment: Environment,
    error: BaseException,
) -> None:
    """Remove everything that was staged; the root was not touched."""
    entry = _entry(transaction, prepared.plan, Outcome.DISCARDED, environment.clock(), _reason(error))
    close_undone(root.disk, root.layout, transaction.journal, entry, None, transaction.opening.mounts)


def _reason(error: BaseException) -> str:
    return str(error) if isinstance(error, IntactError) else f"{type(error).__name__}: {error}"


def _entry(
    transaction: OpenTransaction, plan: Plan, outcome: Outcome, now: int, reason: str = ""
) -> TransactionRecord:
    return TransactionRecord(
        id=transaction.places.id,
        kind=transaction.opening.kind,
        command=transaction.opening.command,
        started=transaction.opening.started,
        finished=now,
        outcome=outcome,
        reason=reason,
        packages=plan.packages,
        notes=plan.notes,
        undoes=transaction.opening.undoes,
    )


def _stage_state(
    root: Root,
    transaction: OpenTransaction,
    prepared: Prepared,
    tree: StagingTree,
    policy: RetentionPolicy,
    environment: Environment,
) -> tuple[int, ...]:
    """Stage the next database, the way back for it, and the manifests; return what history will go."""
    disk, places, layout = root.disk, transaction.places, root.layout
    size = _backup_size(prepared.plan)
    with root.database() as database:
        history = database.history()
    gone = prepared.undoes
    kept = [one for one in history if one.retained and one.id not in gone]
    drops = (*(one for one in gone if _is_retained(history, one)), *choose_pruned(kept, policy, size))
    entry = replace(
        _entry(transaction, prepared.plan, Outcome.COMMITTED, environment.clock()),
        retained=True,
        size=size,
        signers=prepared.signers,
    )
    number = places.id
    installed = tuple(
        replace(one, package=replace(one.package, transaction=number))
        if one.package.transaction == 0
        else one
        for one in prepared.installed
    )
    manifests = [bundle.manifest for bundle in prepared.bundles]
    seen = tuple(Seen(one.identity.name, one.identity.version, one.minimum_secure) for one in manifests)
    changes = DatabaseChanges(entry, prepared.removed, installed, drops, seen, tree.inodes)
    stage_database(disk, layout.database, places.next_database, changes)
    stage_way_back(disk, layout.database, places.before_database, prepared.before)
    for bundle in prepared.bundles:
        digest = hashlib.sha256(bundle.manifest_bytes).hexdigest()
        with disk.create_file(places.manifest(Digest(digest))) as writer:
            writer.write(bundle.manifest_bytes)
    return drops


def _is_retained(history: Sequence[TransactionRecord], number: int) -> bool:
    return any(one.id == number and one.retained for one in history)


def _backup_size(plan: Plan) -> int:
    """Return the bytes that the replaced and removed files occupy."""
    total = 0
    for action in plan.actions:
        if isinstance(action, Replace | Remove):
            objects = [action.old, *(node.old for node in action.was_below)]
            total += sum(old.size for old in objects if old.kind is Kind.FILE)
    return total


def _commit(root: Root, staged: StagedTransaction, environment: Environment) -> tuple[str, ...]:
    """Commit and close, or roll back.

    Raises:
        Conflict, MachineError: it was rolled back; the root is as it was.
        RecoveryFailed: it is neither closed nor undone; the next command goes on.
    """
    disk, layout = root.disk, root.layout
    try:
        committed = commit(disk, staged, now=environment.clock())
    except Exception as error:  # whatever it is, nothing may stay half done
        reason = _reason(error)
        with completed_later(f"{reason}; and it cannot be undone now", _SOME_CHANGES):
            undone = roll_back(disk, staged, now=environment.clock(), reason=reason)
            remarks = (*undone.remarks, *undone.said)
            plan = Plan((), staged.plan.packages, (*staged.plan.notes, *remarks))
            entry = _entry(staged.open, plan, Outcome.ROLLED_BACK, environment.clock(), reason)
            left = close_undone(disk, layout, staged.open.journal, entry, staged.plan, staged.plan.mounts)
        if isinstance(error, IntactError):
            error.details = (*error.details, *remarks, *left.lines)
            but = ", but for what is named above" if undone.remarks or left.kept else ""
            error.root_state = f"everything was rolled back; the root is as it was{but}"
        raise
    with completed_later("done, but it cannot be recorded now", _ALL_CHANGES):
        told = close_committed(disk, layout, committed, now=environment.clock())
    return (*committed.remarks, *told)
