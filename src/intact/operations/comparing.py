"""Acts. How much of a new version has to be looked at, given what is installed?

Of a new version, only what its manifest says otherwise than the installed one's is read, looked at and judged. What both
say alike stays as it is: an upgrade costs what changed (docs/decisions/0010).
"""

import re
from collections.abc import Collection, Iterable, Sequence

from intact.bundle.verified import VerifiedBundle
from intact.model.entries import SymlinkEntry
from intact.model.errors import MachineError
from intact.model.objects import Kind
from intact.operations.root import Root
from intact.state.database import Database

__all__ = ["as_far_as_needed", "installed_manifest"]


def installed_manifest(root: Root, name: str) -> bytes | None:
    """Return the manifest of the installed version, if there is one; `as_far_as_needed` asks whether it is the right one."""
    with root.database() as database:
        package = database.package(name)
    if package is None:
        return None
    place = root.layout.manifest(package.manifest_digest)
    try:
        return root.disk.read_file(place)
    except MachineError:  # lost, or not for this user: the new version is looked at as a whole
        return None


def as_far_as_needed(database: Database, bundles: Sequence[VerifiedBundle]) -> list[VerifiedBundle]:
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
