"""Acts. The database is lost or damaged: make it anew from the retained manifests and transactions.

What cannot be known again: who vouched for a package, transactions whose backups are gone, the highest version
of packages that are not there any more, and whether an empty directory was there before its package. A file counts as
untouched only after it was read, because its inode is not known either.
"""

import hashlib
import os
from collections.abc import Iterator

from intact.bundle.manifest_text import parse_manifest
from intact.model.entries import Digest, DirectoryEntry, FileEntry
from intact.model.errors import MachineError, ManifestInvalid
from intact.model.installed import (
    InstalledPackage,
    Outcome,
    OwnedEntry,
    Ownership,
    Seen,
    TransactionRecord,
)
from intact.model.manifest import Manifest
from intact.model.objects import Kind
from intact.model.paths import RelPath
from intact.model.values import dataclass
from intact.model.versions import Version
from intact.operations.changing import change
from intact.operations.locate import Locator
from intact.operations.root import Environment, Root
from intact.plan.rebuilding import choose_installed
from intact.plan.reversal import images_of
from intact.plan.wanted import Accounts, UnknownAccount, owned_entry, want, with_implied_directories
from intact.state.layout import MANIFEST_PREFIX
from intact.state.next_generation import DatabaseChanges
from intact.state.publishing import publish, stage_database
from intact.system.accounts import account_names
from intact.transaction.deleting import drop_tree
from intact.transaction.journal import Journal
from intact.transaction.opening import read_opening
from intact.transaction.phases import Phase
from intact.transaction.plan_text import TransactionPlan, parse_plan

__all__ = ["Rebuilt", "rebuild_database"]

_SCRATCH = "rebuilt.db"
_HAPPENED = frozenset({Phase.COMMITTED, Phase.RECORDED, Phase.CLOSED})


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """What was found again.

    Attributes:
        packages: name and version.
        transactions: those that can be undone.
        doubts: what is not certain or could not be found, one line each.
        kept: where the old database is, or None if there was none.
    """

    packages: tuple[tuple[str, Version], ...]
    transactions: tuple[int, ...]
    doubts: tuple[str, ...]
    kept: RelPath | None


def rebuild_database(root: Root, environment: Environment) -> Rebuilt:
    """Write a new database; the packages' files are not touched, and an interrupted transaction stays as it is.

    Raises:
        JournalDamaged: a journal cannot be believed, so it is not known what happened.
        MachineError: the disk refused.
    """
    with change(root, environment, recovery=False):
        doubts: list[str] = []
        manifests = _manifests(root, doubts)
        closed = _closed_transactions(root)
        changes = [one for _, plan in closed for one in plan.packages]
        chosen, more = choose_installed(manifests, changes)
        doubts += more
        last = {one.name: record.id for record, plan in closed for one in plan.packages}
        installed = tuple(
            _installed(root, manifests[digest], digest, last.get(name, 0), doubts)
            for name, digest in sorted(chosen.items())
        )
        seen = tuple(
            Seen(one.identity.name, one.identity.version, one.minimum_secure) for one in manifests.values()
        )
        kept = _publish(
            root, DatabaseChanges(None, installed=installed, seen=seen), [one for one, _ in closed]
        )
    return Rebuilt(
        packages=tuple((one.name, one.version) for one in (each.package.identity for each in installed)),
        transactions=tuple(record.id for record, _ in closed),
        doubts=tuple(doubts),
        kept=kept,
    )


def _manifests(root: Root, doubts: list[str]) -> dict[Digest, Manifest]:
    """Read the retained manifests, and those that wait to be; a file whose name is not its digest is left out."""
    found = {}
    for name, place in _manifest_files(root):
        text = root.disk.read_file(place)
        digest = Digest(hashlib.sha256(text).hexdigest())
        if name != f"{digest}.toml":
            doubts.append(f"/{place}: is damaged, and was left out")
            continue
        try:
            found[digest] = parse_manifest(text, f"/{place}")
        except ManifestInvalid as error:
            doubts.append(f"/{place}: {error.message}; it was left out")
    return found


def _manifest_files(root: Root) -> Iterator[tuple[str, RelPath]]:
    """Yield (name, place) of each; a transaction that was interrupted after its commit point still has its own."""
    layout, disk = root.layout, root.disk
    for name in disk.list_directory(layout.manifests):
        yield name, layout.manifests / name
    for number in disk.list_directory(layout.transactions):
        home = layout.transactions / number
        journal = Journal.load(disk, home / "journal", int(number)) if number.isdigit() else None
        if journal is not None and journal.phase is Phase.COMMITTED:
            for name in disk.list_directory(home):
                if name.startswith(MANIFEST_PREFIX):
                    yield name.removeprefix(MANIFEST_PREFIX), home / name


def _closed_transactions(root: Root) -> list[tuple[TransactionRecord, TransactionPlan]]:
    """Read the transactions that have happened and can be undone, oldest first."""
    found = []
    names = root.disk.list_directory(root.layout.transactions)
    for number in sorted(int(name) for name in names if name.isdigit()):
        places = root.layout.transaction(number)
        journal = Journal.load(root.disk, places.journal, number)
        if journal is None or journal.phase not in _HAPPENED:
            continue
        opening = read_opening(root.disk, places, journal.attached(Phase.OPEN))
        plan = parse_plan(root.disk.read_file(places.plan), f"/{places.plan}")
        record = TransactionRecord(
            id=number,
            kind=opening.kind,
            command=opening.command,
            started=opening.started,
            finished=journal.records[-1].time,
            outcome=Outcome.COMMITTED,
            packages=plan.packages,
            notes=plan.notes,
            undoes=opening.undoes,
            retained=True,
            size=_backup_size(plan),
        )
        found.append((record, plan))
    return found


def _backup_size(plan: TransactionPlan) -> int:
    images = [image for step in plan.steps for image in images_of(step.action, step.slot)]
    return sum(
        one.before.size
        for one in images
        if one.backup is not None and one.before is not None and one.before.kind is Kind.FILE
    )


def _installed(
    root: Root, manifest: Manifest, digest: Digest, transaction: int, doubts: list[str]
) -> Ownership:
    seen = root.disk.observe(root.layout.manifest(digest))
    package = InstalledPackage(
        identity=manifest.identity,
        relations=manifest.relations,
        summary=manifest.summary,
        license=manifest.license,
        installed_at=seen.mtime_ns // 1_000_000_000 if seen is not None else 0,
        transaction=transaction,
        manifest_digest=digest,
        signers=(),
        size=sum(entry.size for entry in manifest.entries if isinstance(entry, FileEntry)),
        entries=len(manifest.entries),
        hooks=manifest.hooks,
    )
    return Ownership(package, _owned(root, manifest, doubts))


def _owned(root: Root, manifest: Manifest, doubts: list[str]) -> tuple[OwnedEntry, ...]:
    users, groups = account_names(root.disk, is_host=root.is_host)
    accounts = Accounts(users, groups, None if os.geteuid() == 0 else (os.geteuid(), os.getegid()))
    locator = Locator(root.disk)
    given = {entry.path for entry in manifest.entries}
    wanted = []
    for entry in with_implied_directories(manifest.entries):
        if entry.path not in given:
            continue  # nobody said that these directories are the package's
        place = locator.directory if isinstance(entry, DirectoryEntry) else locator.entry
        try:
            wanted.append(want(entry, manifest.identity.name, 0, accounts, place))
        except UnknownAccount as missing:
            doubts.append(f"{manifest.identity.name}: /{entry.path} was left out: the root has no {missing}")
    files = {one.location: one for one in wanted if isinstance(one.entry, FileEntry)}
    return tuple(owned_entry(one, files) for one in wanted)


def _publish(root: Root, changes: DatabaseChanges, records: list[TransactionRecord]) -> RelPath | None:
    """Put the new database in the place of the old one, which is kept."""
    disk, layout = root.disk, root.layout
    disk.watch_filesystem(layout.private)
    scratch, other = layout.private / _SCRATCH, layout.private / f"{_SCRATCH}-2"
    for place in (scratch, other):
        drop_tree(disk, place)
    stage_database(disk, layout.private / "nothing", scratch, changes)
    for record in records:
        stage_database(disk, scratch, other, DatabaseChanges(record))
        disk.move_over(other, scratch)
    kept = None
    if disk.observe(layout.database) is not None:
        kept = layout.private / "installed.db.old"
        drop_tree(disk, kept)
        try:
            disk.link(layout.database, kept)
        except MachineError:  # no links here; what is damaged is not worth a failure
            kept = None
    disk.sync_filesystem(layout.private)
    publish(disk, scratch, layout.database)
    return kept
