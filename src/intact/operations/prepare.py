"""Acts. Given bundles to install and packages to remove: what has to happen in this root, or what stands in the way?

Looks at the root and the database, and leaves every decision to `plan`.
"""

import fnmatch
import hashlib
import os
from collections.abc import Callable, Iterable, Mapping, Sequence

from intact.bundle.verified import VerifiedBundle
from intact.model.actions import Plan
from intact.model.entries import NEW_SUFFIX, Digest, DirectoryEntry, Entry, SymlinkEntry
from intact.model.errors import Conflict
from intact.model.installed import InstalledPackage, OwnedEntry, Ownership
from intact.model.manifest import Manifest, PackageChange
from intact.model.objects import Kind, NewFile, NewHardlink
from intact.model.paths import RelPath
from intact.model.values import dataclass, field, replace
from intact.operations.execute import Prepared
from intact.operations.hooks import HookOptions, plan_commands
from intact.operations.locate import Locator
from intact.operations.reserved import reserved_places
from intact.operations.root import Root
from intact.operations.survey import observe_locations, survey_terrain, with_rights
from intact.operations.ways import open_ways
from intact.plan.assemble import assemble
from intact.plan.changes import Decisions, decide
from intact.plan.downgrades import downgrade_problems
from intact.plan.relations import AssumedPackages, PackageFacts, may_take_over, relation_problems
from intact.plan.situation import Situation
from intact.plan.wanted import Accounts, UnknownAccount, Wanted, want, with_implied_directories
from intact.state.database import Database
from intact.system.accounts import account_names

__all__ = ["InstallOptions", "prepare"]


@dataclass(frozen=True, slots=True)
class InstallOptions:
    """What the user asked for.

    Attributes:
        allow_insecure: take versions that their publisher has called insecure.
        allow_expired: take bundles whose publisher says that they are too old by now.
        overwrite: globs of paths where unowned files may be replaced (they are kept).
        assume_installed: NAME, NAME=VERSION or globs of packages that count as present.
        architecture: of the target; None for this machine's.
        hooks: which commands are run.
    """

    allow_unsigned: bool = False
    allow_downgrade: bool = False
    allow_insecure: bool = False
    allow_expired: bool = False
    overwrite: tuple[str, ...] = ()
    assume_installed: tuple[str, ...] = ()
    architecture: str | None = None
    hooks: HookOptions = field(default_factory=HookOptions)
    dry_run: bool = False


def prepare(
    root: Root,
    database: Database,
    bundles: tuple[VerifiedBundle, ...],
    removed: tuple[str, ...],
    options: InstallOptions,
    now: int,
) -> Prepared:
    """Decide what installing `bundles` and removing `removed` means here.

    Raises:
        Conflict: something stands in the way; `details` has all of it.
    """
    facts = {package.identity.name: _facts(package) for package in database.packages()}
    incoming = {bundle.manifest.identity.name: _manifest_facts(bundle.manifest) for bundle in bundles}
    after = {name: fact for name, fact in facts.items() if name not in removed} | incoming
    problems = _same_name_twice(bundles)
    problems += relation_problems(facts, after, AssumedPackages.parse(options.assume_installed))
    problems += _downgrades(database, bundles, options)
    situation, unknown = _survey(root, database, bundles, removed, options)
    decisions = decide(replace(situation, may_take_over=_takeovers(incoming, facts)))
    problems += unknown + decisions.problems
    brought = [one.location for one in decisions.changes if one.new is not None]
    problems += open_ways(root, database, situation.wanted, brought).values()
    problems += reserved_places(root, database, situation.wanted, brought)
    if problems:
        raise Conflict(
            "this cannot be installed as it is" if bundles else "this cannot be removed as it is",
            details=problems,
            remedy="solve what is named above, then run the same command again",
        )
    if bundles and os.geteuid() != 0:
        decisions.notes.append(
            f"not root: what is installed belongs to uid {os.geteuid()}, without set-id bits"
        )
    return _prepared(root, database, bundles, removed, (situation, decisions), (options, now))


def _takeovers(
    incoming: Mapping[str, PackageFacts], installed: Mapping[str, PackageFacts]
) -> Callable[[str, str], bool]:
    def allowed(taker: str, owner: str) -> bool:
        return owner not in incoming and may_take_over(incoming[taker], installed[owner])

    return allowed


def _same_name_twice(bundles: Sequence[VerifiedBundle]) -> list[str]:
    names = [bundle.manifest.identity.name for bundle in bundles]
    return [
        f"{name}: named more than once on the command line; give one bundle of it"
        for name in sorted(set(names))
        if names.count(name) > 1
    ]


def _facts(package: InstalledPackage) -> PackageFacts:
    return PackageFacts(package.identity, package.relations, None)


def _manifest_facts(manifest: Manifest) -> PackageFacts:
    return PackageFacts(manifest.identity, manifest.relations, manifest.upgrade_from)


def _downgrades(database: Database, bundles: Sequence[VerifiedBundle], options: InstallOptions) -> list[str]:
    return [
        problem
        for bundle in bundles
        for problem in downgrade_problems(
            bundle.manifest.identity,
            database.seen(bundle.manifest.identity.name),
            allow_downgrade=options.allow_downgrade,
            allow_insecure=options.allow_insecure,
        )
    ]


def _survey(
    root: Root,
    database: Database,
    bundles: Sequence[VerifiedBundle],
    removed: Sequence[str],
    options: InstallOptions,
) -> tuple[Situation, list[str]]:
    """Look at everything that the decision depends on; return it with the accounts that are missing."""
    changing = {bundle.manifest.identity.name for bundle in bundles} | set(removed)
    leaving = _by_location(
        [
            *(entry for bundle in bundles for entry in _leaving(database, bundle)),
            *(entry for name in removed for entry in database.entries(name)),
        ]
    )
    wanted, unknown = _wanted(root, bundles, leaving)
    beside = [RelPath(at + NEW_SUFFIX) for at, found in wanted.items() if any(one.is_config for one in found)]
    locations = [*wanted, *leaving, *beside]
    narrow = {bundle.manifest.identity.name for bundle in bundles if bundle.base is not None}
    staying = _without(database.owners(locations, besides=changing - narrow), leaving)
    owners = {at: found if len(found) == 1 else _by_package(found) for at, found in leaving.items()}
    owners |= {at: _by_package(leaving.get(at, ()), found) for at, found in staying.items()}
    observed = observe_locations(root.disk, locations, owners, _with_same_content(wanted, leaving))
    terrain = survey_terrain(root.disk, observed, locations)
    return (
        Situation(
            wanted=wanted,
            leaving=leaving,
            staying=staying,
            observed=observed,
            terrain=terrain,
            trusted=frozenset({0, os.geteuid()}),
            may_overwrite=lambda at: any(fnmatch.fnmatchcase(f"/{at}", glob) for glob in options.overwrite),
        ),
        unknown,
    )


def _without(
    owners: Mapping[RelPath, Sequence[OwnedEntry]], leaving: Mapping[RelPath, Sequence[OwnedEntry]]
) -> dict[RelPath, list[OwnedEntry]]:
    """Leave out what leaves; what a package has in both versions stays, like what other packages have."""
    if not owners:
        return {}
    gone = {(one.package, at) for at, found in leaving.items() for one in found}
    left = {at: [one for one in found if (one.package, at) not in gone] for at, found in owners.items()}
    return {at: found for at, found in left.items() if found}


def _leaving(database: Database, bundle: VerifiedBundle) -> list[OwnedEntry]:
    """Return what a package owns now, as far as its new version has anything else to say about it."""
    name = bundle.manifest.identity.name
    if bundle.base is None:
        return database.entries(name)
    looked_at = [entry.path for entry in with_implied_directories(bundle.manifest.entries)]
    found = database.entries_called(name, [*looked_at, *bundle.gone])
    found += [one for one in database.entries_ending(name, NEW_SUFFIX) if one.kind is Kind.FILE]
    return list({entry.location: entry for entry in found}.values())


def _with_same_content(
    wanted: Mapping[RelPath, Sequence[Wanted]], leaving: Mapping[RelPath, Sequence[OwnedEntry]]
) -> frozenset[RelPath]:
    """Name the locations at which the incoming packages bring the content that is recorded for them."""

    def digest(at: RelPath) -> Digest | None:
        new = wanted[at][0].new
        if (
            isinstance(new, NewHardlink) and new.target in wanted
        ):  # else its account is missing, which is told
            new = wanted[new.target][0].new
        return new.digest if isinstance(new, NewFile) else None

    return frozenset(at for at in wanted if at in leaving and leaving[at][0].digest == digest(at))


def _by_package(*owners: Iterable[OwnedEntry]) -> list[OwnedEntry]:
    return sorted((one for found in owners for one in found), key=lambda one: one.package)


def _by_location(entries: Iterable[OwnedEntry]) -> dict[RelPath, list[OwnedEntry]]:
    found: dict[RelPath, list[OwnedEntry]] = {}
    for entry in entries:
        found.setdefault(entry.location, []).append(entry)
    return found


def _wanted(
    root: Root, bundles: Sequence[VerifiedBundle], leaving: Mapping[RelPath, Sequence[OwnedEntry]]
) -> tuple[dict[RelPath, list[Wanted]], list[str]]:
    """Translate the manifests' entries to locations and accounts of this root."""
    users, groups = account_names(root.disk, is_host=root.is_host)
    owner = None if os.geteuid() == 0 else (os.geteuid(), os.getegid())
    accounts = Accounts(users, groups, owner)
    locator = Locator(
        root.disk,
        leaving=frozenset(
            at for at, entries in leaving.items() if any(entry.kind is Kind.SYMLINK for entry in entries)
        ),
    )
    entries = [with_implied_directories(bundle.manifest.entries) for bundle in bundles]
    for links in entries:
        for link in links:
            if isinstance(link, SymlinkEntry):
                locator.arriving[locator.entry(link.path)] = link.target
    locator.forget_directories()
    wanted: dict[RelPath, list[Wanted]] = {}
    unknown: set[str] = set()
    for number, (bundle, found) in enumerate(zip(bundles, entries, strict=True)):
        name = bundle.manifest.identity.name
        for entry in found:
            try:
                one = want(entry, name, number, accounts, _place(locator, entry))
            except UnknownAccount as missing:
                unknown.add(
                    f"{name}: the root has no {missing}; create it first (the package's files belong to it)"
                )
                continue
            wanted.setdefault(one.location, []).append(one)
    return wanted, sorted(unknown)


def _place(locator: Locator, entry: Entry) -> Callable[[RelPath], RelPath]:
    """A directory entry accepts a link to a directory in its place; everything else is put where it says."""
    return locator.directory if isinstance(entry, DirectoryEntry) else locator.entry


def _prepared(
    root: Root,
    database: Database,
    bundles: tuple[VerifiedBundle, ...],
    removed: tuple[str, ...],
    decided: tuple[Situation, Decisions],
    how: tuple[InstallOptions, int],
) -> Prepared:
    """Put decisions together into a plan and the database's rows."""
    situation, decisions = decided
    options, now = how
    changes = with_rights(root.disk, decisions.changes)
    actions = assemble(changes, decisions.attributes, situation.terrain)
    rows = [_row(bundle, now) for bundle in bundles]
    packages = _package_changes(database, rows, removed, renewed=bool(actions))
    following = {row.identity.name: row for row in rows}
    commands, notes = plan_commands(root, database, [one.name for one in packages], following, options.hooks)
    installed = [_owned(situation, decisions, bundle, row) for bundle, row in zip(bundles, rows, strict=True)]
    installed += _losers(database, decisions)
    touched = {one.package.identity.name: one.touched for one in installed}
    before = {
        name: touched.get(name) for name in sorted({*removed, *touched}) if database.package(name) is not None
    }
    return Prepared(
        kind="install" if bundles else "remove",
        plan=Plan(actions, packages, (*decisions.notes, *notes), commands),
        bundles=bundles,
        installed=tuple(installed),
        removed=removed,
        before=before,
    )


def _row(bundle: VerifiedBundle, now: int) -> InstalledPackage:
    manifest = bundle.manifest
    return InstalledPackage(
        identity=manifest.identity,
        relations=manifest.relations,
        summary=manifest.summary,
        license=manifest.license,
        installed_at=now,
        transaction=0,  # the number is not given out before the transaction opens
        manifest_digest=Digest(hashlib.sha256(bundle.manifest_bytes).hexdigest()),
        signers=bundle.approval.signers,
        size=bundle.size,
        entries=bundle.entries,
        hooks=manifest.hooks,
    )


def _owned(
    situation: Situation, decisions: Decisions, bundle: VerifiedBundle, row: InstalledPackage
) -> Ownership:
    """Say what a package will own.

    What stays has its inode and time, so that it counts as untouched; what is staged is completed later.
    """
    name = row.identity.name
    entries = decisions.owned.get(name, [])
    changing = {change.location for change in decisions.changes}
    completed = []
    for entry in entries:
        seen = situation.observed.get(entry.location)
        if seen is not None and seen.kind is entry.kind and entry.location not in changing:
            mtime_ns = seen.mtime_ns if entry.kind is Kind.FILE else None
            entry = entry.standing(seen.inode, mtime_ns)  # noqa: PLW2901  the same entry, completed
        completed.append(entry)
    if bundle.base is None:
        return Ownership(row, tuple(completed))
    left = {at for at, found in situation.leaving.items() if any(one.package == name for one in found)}
    return Ownership(row, tuple(completed), frozenset(left.union(one.location for one in completed)))


def _package_changes(
    database: Database, rows: Sequence[InstalledPackage], removed: Sequence[str], *, renewed: bool
) -> tuple[PackageChange, ...]:
    found = []
    for row in rows:
        before = database.package(row.identity.name)
        if before is None or renewed or before.manifest_digest != row.manifest_digest:
            old = before.identity.version if before is not None else None
            found.append(PackageChange(row.identity.name, old, row.identity.version))
    for name in removed:
        before = database.package(name)
        if before is not None:
            found.append(PackageChange(name, before.identity.version, None))
    return tuple(sorted(found, key=lambda one: one.name))


def _losers(database: Database, decisions: Decisions) -> list[Ownership]:
    """Return the packages that give files up, with what is left to them.

    Their number of entries is another one than their manifest's from then on, and so their next version is looked at whole.
    """
    found = []
    for name, lost in sorted(decisions.taken_over.items()):
        package = database.package(name)
        if package is not None:
            left = replace(package, entries=package.entries - len(set(lost)))
            found.append(Ownership(left, (), frozenset(lost)))
    return found
