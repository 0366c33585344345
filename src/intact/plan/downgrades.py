"""Pure. May this version of a package come (back) to a root that has seen others?

An attacker who cannot sign can still offer an old bundle whose signature is right. So a root remembers the highest
version that it had, and what publishers have said is too old to be secure; both outlive the package.
"""

from intact.model.installed import Seen
from intact.model.manifest import PackageIdentity

__all__ = ["downgrade_problems", "is_insecure"]


def downgrade_problems(
    identity: PackageIdentity, seen: Seen | None, *, allow_downgrade: bool, allow_insecure: bool
) -> list[str]:
    """Say why a version must not be installed, each reason with the option that overrides it.

    Args:
        seen: what the root remembers of the package, None if it never had it.
    """
    if seen is None:
        return []
    if is_insecure(identity, seen):
        return [] if allow_insecure else [_insecure(identity, seen)]
    if identity.version < seen.version and not (allow_downgrade or allow_insecure):
        return [_older(identity, seen)]
    return []


def is_insecure(identity: PackageIdentity, seen: Seen) -> bool:
    """Tell whether a bundle that was here has called this version insecure."""
    return seen.minimum_secure is not None and identity.version < seen.minimum_secure


def _older(identity: PackageIdentity, seen: Seen) -> str:
    return (
        f"{identity.name}: {identity.version} is older than {seen.version}, which was here before;"
        " say --allow-downgrade if that is meant"
    )


def _insecure(identity: PackageIdentity, seen: Seen) -> str:
    return (
        f"{identity.name}: {identity.version} is insecure: its publisher said that {seen.minimum_secure} is the oldest"
        " version that must run; say --allow-insecure if it has to be this one"
    )
