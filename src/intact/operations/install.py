"""Acts. Install or upgrade bundles: all of them, or nothing.

Of a new version, only what its manifest says otherwise than the installed one's is read, looked at and judged. What both
say alike stays as it is: an upgrade costs what changed (docs/decisions/0010).
"""

import os
import re
from collections.abc import Collection, Iterable, Sequence

from intact.bundle.read import UnverifiedBundle
from intact.bundle.verified import Reading, VerifiedBundle, verify
from intact.model.entries import SymlinkEntry
from intact.model.errors import Conflict, MachineError, WrongArchitecture
from intact.model.manifest import ANY_ARCHITECTURE
from intact.model.objects import Kind
from intact.operations.changing import change
from intact.operations.execute import execute
from intact.operations.prepare import InstallOptions, prepare
from intact.operations.receipt import Receipt
from intact.operations.retaining import read_settings
from intact.operations.root import Environment, Root
from intact.operations.trusting import read_trust_store
from intact.state.database import Database

__all__ = ["install", "machine_architecture"]

_ARCHITECTURES = {
    "x86_64": "amd64",
    "aarch64": "arm64",
    "i686": "i386",
    "armv7l": "armhf",
    "ppc64le": "ppc64el",
}


def machine_architecture() -> str:
    """Return this machine's architecture by Debian's name."""
    machine = os.uname().machine
    return _ARCHITECTURES.get(machine, machine)


def install(
    root: Root, sources: Sequence[UnverifiedBundle], options: InstallOptions, environment: Environment
) -> Receipt:
    """Install the bundles in one transaction, or leave the root exactly as it was.

    Raises:
        BundleRefused: a bundle is damaged, invalid or not trusted.
        Conflict: it does not fit with what is there; all problems are named.
        Locked, MachineError, NoSpace, RecoveryFailed: see `model.errors`.
    """
    store = read_trust_store(root)
    reading = Reading(read_settings(root).limits, lambda name: _installed_manifest(root, name))
    now = environment.clock()
    bundles = [
        verify(
            source,
            store,
            now=now,
            allow_unsigned=options.allow_unsigned,
            allow_expired=options.allow_expired,
            reading=reading,
        )
        for source in sources
    ]
    _check_architectures(bundles, options)
    with change(root, environment, dry_run=options.dry_run) as recovered, root.database() as database:
        if read_trust_store(root) != store:  # somebody revoked a key, perhaps, while we waited for the lock
            raise Conflict(
                "the trust store was changed meanwhile",
                path=f"/{root.layout.trust_store}",
                remedy="run the same command again",
            )
        bundles = _as_far_as_needed(database, bundles)
        prepared = prepare(root, database, tuple(bundles), (), options, environment.clock())
        return execute(root, prepared, environment, recovered, dry_run=options.dry_run)


def _installed_manifest(root: Root, name: str) -> bytes | None:
    """Return the manifest of the installed version, if there is one; `_is_enough` asks whether it is the right one."""
    with root.database() as database:
        package = database.package(name)
    if package is None:
        return None
    place = root.layout.manifest(package.manifest_digest)
    try:
        return root.disk.read_file(place)
    except MachineError:  # lost, or not for this user: the new version is looked at as a whole
        return None


def _as_far_as_needed(database: Database, bundles: Sequence[VerifiedBundle]) -> list[VerifiedBundle]:
    """Look at bundles as a whole where the difference from what is installed does not tell enough."""
    moving = _moving_links(database, bundles) if len(bundles) > 1 else set()
    return [
        bundle if _is_enough(database, bundle) and not _leads_through(bundle, moving) else bundle.whole()
        for bundle in bundles
    ]


def _is_enough(database: Database, bundle: VerifiedBundle) -> bool:
    """Tell whether a bundle was compared with what is installed by now, if at all.

    Another pkg may have been faster while we waited for the lock; and what a package has given up to another one is in its
    manifest all the same.
    """
    if bundle.base is None:
        return True
    package = database.package(bundle.manifest.identity.name)
    return package is not None and (package.manifest_digest, package.entries) == bundle.base


def _moving_links(database: Database, bundles: Iterable[VerifiedBundle]) -> set[str]:
    """Name the links that come or go: they can lead the paths of the other bundles elsewhere."""
    names: set[str] = set()
    for bundle in bundles:
        names.update(one.path.name for one in bundle.manifest.entries if isinstance(one, SymlinkEntry))
        name = bundle.manifest.identity.name
        before = database.entries(name) if bundle.base is None else database.entries_called(name, bundle.gone)
        names.update(one.path.name for one in before if one.kind is Kind.SYMLINK)
    return names


def _leads_through(bundle: VerifiedBundle, links: Collection[str]) -> bool:
    """Tell whether a path of the bundle goes through something of such a name."""
    names = b"|".join(re.escape(one.encode()) for one in sorted(links))
    return bool(names) and re.search(b'[/"](?:' + names + b")/", bundle.manifest_bytes) is not None


def _check_architectures(bundles: Iterable[VerifiedBundle], options: InstallOptions) -> None:
    here = options.architecture or machine_architecture()
    wrong = [
        f"{bundle.name}: built for {bundle.manifest.identity.architecture}"
        for bundle in bundles
        if bundle.manifest.identity.architecture not in {ANY_ARCHITECTURE, here}
    ]
    if wrong:
        raise WrongArchitecture(
            f"this machine is {here}",
            details=wrong,
            remedy=f"get the bundle for {here}, or name the target's architecture with --architecture",
        )
