"""Acts. Install or upgrade bundles: all of them, or nothing."""

import os
from collections.abc import Iterable, Sequence

from intact.bundle.read import UnverifiedBundle
from intact.bundle.reading import Reading
from intact.bundle.verified import VerifiedBundle, verify
from intact.model.errors import Conflict, WrongArchitecture
from intact.model.manifest import ANY_ARCHITECTURE
from intact.operations.changing import change
from intact.operations.comparing import as_far_as_needed, installed_manifest
from intact.operations.execute import execute
from intact.operations.prepare import InstallOptions, prepare
from intact.operations.receipt import Receipt
from intact.operations.retaining import read_settings
from intact.operations.root import Environment, Root
from intact.operations.trusting import read_trust_store

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
    reading = Reading(read_settings(root).limits, lambda name: installed_manifest(root, name))
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
    with change(root, environment, dry_run=options.dry_run) as recovery, root.database() as database:
        if read_trust_store(root) != store:  # somebody revoked a key, perhaps, while we waited for the lock
            raise Conflict(
                "the trust store was changed meanwhile",
                path=f"/{root.layout.trust_store}",
                remedy="run the same command again",
            )
        bundles = as_far_as_needed(database, bundles)
        prepared = prepare(root, database, tuple(bundles), (), options, environment.clock())
        return execute(root, prepared, environment, recovery, dry_run=options.dry_run)


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
