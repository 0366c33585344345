"""Acts. Which processes still use what was replaced or removed?

The backups that the history keeps are the very files that were taken out of the root, so a process that has one of
them, by device and inode, is a process that runs the old version. `transaction/replaced` knows the originals where a
backup is a copy, and what somebody still had when its backup went.

A process is looked at twice, and its start time before and after: a number that was given to another process meanwhile
shows.
"""

import errno
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from types import MappingProxyType

from intact.model.errors import (
    DatabaseDamaged,
    IntactError,
    MachineError,
    UnknownPackage,
    UnknownTransaction,
    machine_error,
)
from intact.model.objects import Identity
from intact.model.paths import RelPath
from intact.model.processes import RunningProcess, Usage, Use
from intact.model.values import dataclass, replace
from intact.operations.retained_plans import read_retained_plan
from intact.operations.root import Root
from intact.plan.keepers import keeper_of
from intact.system.process_facts import (
    control_groups,
    describe,
    sees_all_processes,
    start_ticks,
    with_commands,
)
from intact.system.processes import Wanted, find_uses, has_kept
from intact.transaction.plan_text import Step
from intact.transaction.replaced import ReplacedFiles, outlived_files, packages_before

__all__ = ["NOBODY", "InUse", "UsesFound", "find_in_use"]

_SECONDS_FOR_COMMANDS = 0.5
_MOST_HIDDEN = 100


@dataclass(frozen=True, slots=True)
class InUse:
    """A process that uses one old file.

    Attributes:
        location: where the file stood in the root.
        package: to which it belonged, with the version; both empty for nobody's.
        transaction: the one that took it away.
    """

    process: RunningProcess
    usage: Usage
    location: RelPath
    package: str
    version: str
    transaction: int


@dataclass(frozen=True, slots=True)
class UsesFound:
    """What was found, and how far one could see.

    Attributes:
        uses: sorted by process.
        looked_at: number of processes.
        hidden: number of processes that could not be looked into, or not fully.
        hidden_pids: some of them.
        notes: who may not have been seen, a line each.
        unknown: which old files could not be looked for, a line each; among the notes, too.
    """

    uses: tuple[InUse, ...] = ()
    looked_at: int = 0
    hidden: int = 0
    hidden_pids: tuple[int, ...] = ()
    notes: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()


NOBODY = UsesFound()


@dataclass(frozen=True, slots=True)
class _OldFile:
    transaction: int
    location: RelPath
    owner: tuple[str, str] | None = None
    content: tuple[int, int] | None = None


class _OldFiles:
    """The files in question; of a name that several transactions took away, the newest of them tells."""

    def __init__(self) -> None:
        self._replaced: dict[int, ReplacedFiles] = {}
        self._outlived: dict[Identity, _OldFile] = {}
        self.inodes: frozenset[int] = frozenset()

    def add(self, number: int, files: ReplacedFiles) -> None:
        """Add what one transaction took away; the newest comes first."""
        self._replaced[number] = files
        self.inodes |= files.inodes

    def add_outlived(self, identity: Identity, file: _OldFile) -> None:
        """Add one that is deleted."""
        self._outlived[identity] = file
        self.inodes |= {identity.inode}

    def get(self, identity: Identity) -> _OldFile | None:
        """Return the file, if it is one of them."""
        for number, files in self._replaced.items():
            if (old := files.get(identity)) is not None:
                content = (old.size, old.mtime_ns) if old.place is None else None
                return _OldFile(number, old.location, content=content)
        return self._outlived.get(identity)

    def places(self) -> dict[Identity, str | None]:
        """Return where each of them stands; None for one that has no name any more."""
        found: dict[Identity, str | None] = dict.fromkeys(self._outlived)
        for files in reversed(self._replaced.values()):
            found |= files.places()
        return found


def find_in_use(
    root: Root,
    transactions: Sequence[int] | None = None,
    packages: Collection[str] = (),
    known: Mapping[int, Sequence[Step]] = MappingProxyType({}),
) -> UsesFound:
    """Look for the processes that still use what these transactions, or all of them, took away.

    Args:
        transactions: of the history; those that keep no backups any more are known by what was noted of them.
        packages: only what was theirs; none stands for all.
        known: steps of transactions that need not be read for that.

    Raises:
        UnknownTransaction: there is none of that number.
        UnknownPackage: one of that name was never installed here.
        MachineError: the history or /proc may not be read.
    """
    _insist_on_known(root, transactions or (), packages)
    files, notes = _old_files(root, transactions, known)
    if not files.inodes:
        return replace(NOBODY, notes=tuple(notes), unknown=tuple(notes))
    wanted = Wanted(files.inodes, lambda one: files.get(one) is not None, files.places)
    try:
        seen = find_uses(wanted)
    except OSError as error:
        raise machine_error("list", error, "/proc") from error
    found = {use.identity: old for use in seen.uses if (old := files.get(use.identity)) is not None}
    processes, uses = _processes(wanted, (use for use in seen.uses if _is_it(use, found[use.identity])))
    owners = _owners(root, {use.identity: found[use.identity] for use in uses}, notes)
    limited = sees_all_processes()
    return UsesFound(
        uses=tuple(
            InUse(
                processes[use.pid],
                use.usage,
                found[use.identity].location,
                *owners[use.identity],
                found[use.identity].transaction,
            )
            for use in uses
            if not packages or owners[use.identity][0] in packages
        ),
        looked_at=seen.looked_at,
        hidden=len(seen.hidden),
        hidden_pids=tuple(sorted(seen.hidden)[:_MOST_HIDDEN]),
        notes=(*notes, *([limited] if limited else [])),
        unknown=tuple(notes),
    )


def _insist_on_known(root: Root, transactions: Sequence[int], packages: Collection[str]) -> None:
    """A mistyped name must not look like "nobody uses it"."""
    with root.database() as database:
        for number in transactions:
            if database.transaction(number) is None:
                raise UnknownTransaction(
                    f"there is no transaction {number}", remedy="`pkg history` shows all"
                )
        for name in packages:
            if database.seen(name) is None:
                raise UnknownPackage(
                    f"{name} was never installed here", remedy="`pkg list` shows what is installed"
                )


def _old_files(
    root: Root, transactions: Sequence[int] | None, known: Mapping[int, Sequence[Step]]
) -> tuple[_OldFiles, list[str]]:
    found = _OldFiles()
    notes: list[str] = []
    with root.database() as database:
        retained = [one.id for one in database.history() if one.retained]
    for number in retained:
        if transactions is not None and number not in transactions:
            continue
        try:
            steps = (
                known[number] if number in known else read_retained_plan(root, number, departures=True).steps
            )
        except MachineError as error:
            if error.errno in {errno.EACCES, errno.EPERM}:
                error.remedy = "run the command as root, or as the user who owns the root"
            raise
        except IntactError as error:
            notes.append(f"what transaction {number} replaced cannot be told: {error.message}")
            continue
        files = ReplacedFiles(root.disk, steps)
        found.add(number, files)
        notes += _unrecognisable(number, files)
    for identity, one in outlived_files(root.disk, root.layout).items():
        if transactions is None or one.transaction in transactions:
            owner, content = (one.package, one.version), (one.size, one.mtime_ns)
            found.add_outlived(identity, _OldFile(one.transaction, one.location, owner, content))
    return found, notes


def _unrecognisable(number: int, files: ReplacedFiles) -> list[str]:
    changing = files.unrecognisable()
    if not changing:
        return []
    told = (
        f"who uses what transaction {number} replaced cannot be told for {len(changing)} files"
        f" (/{changing[0]}, …): their filesystem gives a file another inode number at each look"
    )
    return [told]


def _is_it(use: Use, old: _OldFile) -> bool:
    return old.content is None or has_kept(use, *old.content)


def _processes(wanted: Wanted, uses: Iterable[Use]) -> tuple[dict[int, RunningProcess], list[Use]]:
    """Describe the processes, and leave out what has ended or changed while we looked."""
    by_pid: dict[int, list[Use]] = {}
    for use in uses:
        by_pid.setdefault(use.pid, []).append(use)
    described: dict[int, RunningProcess] = {}
    staying: list[Use] = []
    for pid, own in sorted(by_pid.items()):
        with suppress(OSError):  # it has ended
            began = start_ticks(pid)
            process = describe(pid, keeper_of(control_groups(pid)))
            still = set(find_uses(wanted, [pid]).uses)
            if start_ticks(pid) == began:
                described[pid] = process
                staying += [use for use in own if use in still]
    commands = with_commands(sorted(described), _SECONDS_FOR_COMMANDS)
    return {pid: replace(one, command=commands.get(pid, ())) for pid, one in described.items()}, staying


def _owners(
    root: Root, files: Mapping[Identity, _OldFile], notes: list[str]
) -> dict[Identity, tuple[str, str]]:
    found = {identity: old.owner or ("", "") for identity, old in files.items()}
    for number in sorted({old.transaction for old in files.values() if old.owner is None}):
        own = {one: old for one, old in files.items() if old.transaction == number and old.owner is None}
        try:
            owners = packages_before(root.disk, root.layout, number, [old.location for old in own.values()])
        except (DatabaseDamaged, MachineError) as error:
            notes.append(f"whose files transaction {number} replaced cannot be told: {error.message}")
            continue
        found |= {identity: owners.get(old.location, ("", "")) for identity, old in own.items()}
    return found
