"""Acts. Bring the root back to what it was before a transaction, from what is retained on this machine.

Needs no bundle and no network. A rollback is a transaction like any other: it can be interrupted, recovered, and rolled back
itself.
"""

import os
from collections.abc import Mapping, Sequence

from intact.model.actions import Plan, Remove, Replace
from intact.model.entries import NEW_SUFFIX
from intact.model.errors import UNCHANGED, Conflict, RecoveryFailed, UnknownTransaction
from intact.model.installed import InstalledPackage, Outcome, Ownership, TransactionRecord
from intact.model.manifest import PackageChange
from intact.model.objects import SET_ID_BITS, Attributes, Kind, NewDirectory, Observed
from intact.model.paths import RelPath
from intact.model.values import replace
from intact.operations.changing import change
from intact.operations.execute import Prepared, execute
from intact.operations.hooks import HookOptions, plan_commands
from intact.operations.receipt import Receipt
from intact.operations.retained_plans import read_retained_plan
from intact.operations.root import Environment, Root
from intact.operations.survey import observe_locations, survey_terrain, with_rights
from intact.operations.trusting import read_trust_store
from intact.plan.assemble import Terrain, assemble
from intact.plan.downgrades import is_insecure
from intact.plan.reversal import Image, Reversal, images_of, merge_images, reverse
from intact.state.database import Database
from intact.transaction.leftovers import out_of_reach
from intact.transaction.plan_text import TransactionPlan
from intact.trust.store import TRUSTED, TrustStore

__all__ = ["choose_undone", "roll_back_to"]

_REMEDY = "`pkg history` shows which transactions can be rolled back"


def roll_back_to(
    root: Root,
    number: int | None,
    environment: Environment,
    *,
    hooks: HookOptions | None = None,
    allow_insecure: bool = False,
    dry_run: bool = False,
) -> Receipt:
    """Undo the newest transaction, or everything back to and including transaction `number`.

    What was edited since stays, and the receipt says so.

    Args:
        allow_insecure: bring back versions that their publisher has called insecure, too.

    Raises:
        UnknownTransaction: there is none, it was undone already, or its content is no longer retained.
        Conflict: something that nobody planned with is in the way.
    """
    with change(root, environment, dry_run=dry_run) as recovery, root.database() as database:
        undone = choose_undone(database.history(), number)
        prepared = _prepare(root, database, undone, hooks or HookOptions())
        if not allow_insecure:
            _insist_on_security(database, prepared.installed)
        distrusted = _distrusted(read_trust_store(root), prepared.installed)
        prepared = replace(prepared, plan=replace(prepared.plan, notes=(*prepared.plan.notes, *distrusted)))
        return execute(root, prepared, environment, recovery, dry_run=dry_run)


def _insist_on_security(database: Database, installed: Sequence[Ownership]) -> None:
    """Refuse the way back to versions that a bundle has called insecure since."""
    problems = []
    for package in (one.package for one in installed):
        seen = database.seen(package.identity.name)
        if seen is not None and is_insecure(package.identity, seen):
            problems.append(
                f"{package.identity.name}: {package.identity.version} is below {seen.minimum_secure},"
                " the oldest version that its publisher calls secure"
            )
    if problems:
        raise Conflict(
            "the way back leads to what is insecure",
            details=problems,
            remedy="say --allow-insecure if it has to run all the same",
        )


def _distrusted(store: TrustStore, installed: Sequence[Ownership]) -> list[str]:
    """Name the packages that come back although nobody who vouched for them is trusted any more."""
    revoked = {one.key.fingerprint for one in store.entries if one.status != TRUSTED}
    return [
        f"{package.identity.name} {package.identity.version} comes back, and every key that signed it is revoked by now"
        for package in (one.package for one in installed)
        if package.signers and revoked.issuperset(package.signers)
    ]


def choose_undone(history: Sequence[TransactionRecord], number: int | None) -> tuple[TransactionRecord, ...]:
    """Choose the transactions to undo, newest first.

    Args:
        history: newest first.

    Raises:
        UnknownTransaction: as `roll_back_to`.
    """
    committed = [one for one in history if one.outcome is Outcome.COMMITTED]
    if not committed:
        raise UnknownTransaction("there is no transaction to roll back", remedy=_REMEDY)
    number = committed[0].id if number is None else number
    if number not in {one.id for one in committed}:
        raise UnknownTransaction(f"there is no committed transaction {number}", remedy=_REMEDY)
    chosen = _way_back(committed, number)
    if chosen is None:
        raise UnknownTransaction(
            f"the replaced files since transaction {number} are no longer kept", remedy=_REMEDY
        )
    if not chosen:
        raise UnknownTransaction(f"transaction {number} was rolled back already", remedy=_REMEDY)
    return chosen


def _way_back(newest_first: Sequence[TransactionRecord], number: int) -> tuple[TransactionRecord, ...] | None:
    """Find the transactions whose undoing leads to the state before `number`; None if content is missing.

    A rollback left the state before the oldest transaction that it undid, so one can go on from there at once;
    or it is undone itself.
    """
    if not newest_first or newest_first[0].id < number:
        return ()
    newest = newest_first[0]
    if newest.undoes and min(newest.undoes) >= number:
        oldest = min(newest.undoes)
        way = _way_back([one for one in newest_first if one.id < oldest], number)
        if way is not None:
            return way
    way = _way_back(newest_first[1:], number) if newest.retained else None
    return None if way is None else (newest, *way)


def _prepare(
    root: Root, database: Database, undone: Sequence[TransactionRecord], hooks: HookOptions
) -> Prepared:
    plans = [read_retained_plan(root, one.id) for one in reversed(undone)]
    images = merge_images(
        [image for step in plan.steps for image in images_of(step.action, step.slot)] for plan in plans
    )
    _insist_on_backups(root, plans)
    vanished = _vanished(root, images)
    images = {at: image for at, image in images.items() if at not in vanished}
    images, rewritten = _as_they_are_now(root, images)
    owners = database.owners(images)
    is_config = frozenset(at for at, entries in owners.items() if any(one.config for one in entries))
    beside = [RelPath(at + NEW_SUFFIX) for at in is_config]
    above = [directory for at in images for directory in at.ancestors]
    observed = observe_locations(root.disk, [*images, *beside, *above], owners)
    terrain = survey_terrain(root.disk, observed, images)
    installed, removed = _packages_before(root, undone)
    reversal = reverse(images, observed, is_config, _directories(installed), {0, os.geteuid()})
    _insist_on_room(reversal, terrain)
    actions = assemble(with_rights(root.disk, reversal.changes), reversal.attributes, terrain)
    following = {one.package.identity.name: one.package for one in installed}
    names = sorted({*removed, *following})
    touched = {one.package.identity.name: one.touched for one in installed}
    before = {name: package for name in names if (package := database.package(name)) is not None}
    commands, notes = plan_commands(root, database, names, following, hooks)
    return Prepared(
        kind="rollback",
        plan=Plan(
            actions,
            _changes(installed, before, names),
            (*reversal.notes, *vanished.values(), *rewritten, *notes),
            commands,
        ),
        installed=installed,
        removed=tuple(name for name in removed if database.package(name) is not None),
        before={name: touched.get(name) for name in before},
        undoes=tuple(one.id for one in undone),
    )


def _directories(packages: Sequence[Ownership]) -> dict[RelPath, Attributes]:
    """Say which attributes the directories of the packages have."""
    return {
        entry.location: Attributes(entry.mode, entry.uid, entry.gid, None, entry.xattrs)
        for one in packages
        for entry in one.entries
        if entry.kind is Kind.DIRECTORY
    }


def _insist_on_backups(root: Root, plans: Sequence[TransactionPlan]) -> None:
    """Make sure that what is not there is gone, and not only out of reach.

    Raises:
        RecoveryFailed: a filesystem on which backups lie is not mounted.
    """
    departures = (step for plan in plans for step in plan.steps if isinstance(step.action, Replace | Remove))
    if beyond := out_of_reach(root.disk, departures):
        raise RecoveryFailed(
            "the backups that lay here cannot be reached",
            path=f"/{beyond}",
            root_state=UNCHANGED,
            remedy="mount the filesystem that they are on, then run the same command again",
        )


def _vanished(root: Root, images: Mapping[RelPath, Image]) -> dict[RelPath, str]:
    """Find what somebody deleted just before it was to be removed: there is no backup, and nothing to restore."""
    return {
        at: f"/{at}: was deleted by somebody before it was removed; it stays deleted"
        for at, image in images.items()
        if image.after is None and image.backup is not None and root.disk.observe(image.backup) is None
    }


def _as_they_are_now(root: Root, images: Mapping[RelPath, Image]) -> tuple[dict[RelPath, Image], list[str]]:
    """Take backups as they are: a program that had the file open may have written to it after it was replaced."""
    found: dict[RelPath, Image] = {}
    notes = []
    for at, image in images.items():
        found[at] = image
        if image.backup is None or image.before is None or image.before.kind is not Kind.FILE:
            continue
        seen = root.disk.observe(image.backup)
        if seen is None or seen.kind is not Kind.FILE:
            continue
        seen = root.disk.observe_content(image.backup)
        if seen.digest == image.before.digest:
            continue
        if (seen.size, seen.mtime_ns) == (image.before.size, image.before.mtime_ns):
            raise RecoveryFailed(  # nobody wrote to it, and yet it is different
                "the retained content is damaged, so it cannot be restored",
                path=f"/{image.backup}",
                details=[f"it belongs to /{at}"],
                root_state=UNCHANGED,
                remedy="look at dmesg; install the bundle of the version that you want back",
            )
        notes.append(
            f"/{at}: was written to by a program after it was replaced; it comes back as that left it"
        )
        found[at] = replace(image, before=_as_it_is_now(image.before, seen))
    return found, notes


def _as_it_is_now(before: Observed, seen: Observed) -> Observed:
    """Describe a backup by what is there; only its rights were taken from it by us.

    Whoever owns a directory that has left can have put another file in its place. That one comes back with its own
    owner and mode: with those of the file before, somebody could read it who may not.
    """
    now = replace(before, size=seen.size, mtime_ns=seen.mtime_ns, digest=seen.digest)
    if ((seen.mode ^ before.mode) & ~SET_ID_BITS, seen.uid, seen.gid) == (0, before.uid, before.gid):
        return now
    return replace(now, mode=seen.mode, uid=seen.uid, gid=seen.gid, xattrs=())


def _insist_on_room(reversal: Reversal, terrain: Terrain) -> None:
    """A directory can make room for what was there before only if nothing else is in it.

    Raises:
        Conflict: names all that is in the way.
    """
    going = {one.location for one in reversal.changes if one.new is None}
    problems = list(reversal.problems)
    for one in reversal.changes:
        is_directory = one.old is not None and one.old.kind is Kind.DIRECTORY
        if not is_directory or one.new is None or isinstance(one.new, NewDirectory):
            continue
        pending = [one.location]
        while pending:
            at = pending.pop()
            for name in terrain.listings.get(at, ()):
                path = at / name
                if path not in going:
                    problems.append(
                        f"/{path}: was created since, in a directory that has to go; move it away first"
                    )
                elif path in terrain.listings:
                    pending.append(path)
    if problems:
        raise Conflict(
            "this cannot be rolled back as it is",
            details=problems,
            remedy="solve what is named above, then run the same command again",
        )


def _packages_before(
    root: Root, undone: Sequence[TransactionRecord]
) -> tuple[tuple[Ownership, ...], tuple[str, ...]]:
    """Return the packages as they were before the oldest of the transactions, and those that were not there."""
    found: dict[str, Ownership] = {}
    absent: set[str] = set()
    for one in undone:  # newest first, so that the oldest has the last word
        path = root.disk.host_path(root.layout.transaction(one.id).before_database)
        with Database.open(path) as database:
            before = database.ownerships()
        new_names = {changed.name for changed in one.packages if changed.old is None}
        for owned in before:
            name = owned.package.identity.name
            found[name] = owned.since(found.get(name))
            absent.discard(name)
        for name in new_names:
            found.pop(name, None)
            absent.add(name)
    return tuple(found[name] for name in sorted(found)), tuple(sorted(absent))


def _changes(
    installed: Sequence[Ownership], before: Mapping[str, InstalledPackage], names: Sequence[str]
) -> tuple[PackageChange, ...]:
    will_be = {one.name: one.version for one in (owned.package.identity for owned in installed)}
    was = {name: package.identity.version for name, package in before.items()}
    return tuple(PackageChange(name, was.get(name), will_be.get(name)) for name in names)
