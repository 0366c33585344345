"""Pure. What does a root remember about its packages and transactions?"""

from enum import Enum

from intact.model.entries import Digest, Xattrs
from intact.model.hooks import Hook
from intact.model.manifest import PackageChange, PackageIdentity, Relations
from intact.model.objects import Kind
from intact.model.paths import RelPath
from intact.model.values import dataclass
from intact.model.versions import Version

__all__ = ["InstalledPackage", "Outcome", "OwnedEntry", "Ownership", "Seen", "TransactionRecord"]


@dataclass(frozen=True, slots=True)
class OwnedEntry:
    """One path of an installed package, as it was put there.

    Attributes:
        location: where it really stands, links of the parents resolved (``usr/lib/x`` for ``lib/x``).
        path: what the manifest calls it.
        mtime_ns: None where the time is not ours (directories, symlinks).
        inode: of the object that was put there; a quick test for "untouched", never a proof.
        hardlink: location of the file of which this is a further name, else None.
    """

    location: RelPath
    path: RelPath
    package: str
    kind: Kind
    mode: int
    uid: int
    gid: int
    size: int = 0
    mtime_ns: int | None = None
    inode: int = 0
    digest: Digest | None = None
    target: str = ""
    config: bool = False
    xattrs: Xattrs = ()
    hardlink: RelPath | None = None

    def standing(self, inode: int, mtime_ns: int | None) -> "OwnedEntry":
        """Return the same as it stands there now; many times as fast as `replace`."""
        if (self.inode, self.mtime_ns) == (inode, mtime_ns):
            return self
        return OwnedEntry(
            self.location,
            self.path,
            self.package,
            self.kind,
            self.mode,
            self.uid,
            self.gid,
            self.size,
            mtime_ns,
            inode,
            self.digest,
            self.target,
            self.config,
            self.xattrs,
            self.hardlink,
        )


@dataclass(frozen=True, slots=True)
class InstalledPackage:
    """One installed package.

    Attributes:
        installed_at: seconds since 1970.
        transaction: the transaction that put this version there.
        manifest_digest: names the retained manifest.
        signers: fingerprints of the keys that vouched for it; empty for one let in unsigned.
        size: sum of the file sizes in bytes.
    """

    identity: PackageIdentity
    relations: Relations
    summary: str
    license: str
    installed_at: int
    transaction: int
    manifest_digest: Digest
    signers: tuple[str, ...]
    size: int
    entries: int
    hooks: tuple[Hook, ...] = ()


@dataclass(frozen=True, slots=True)
class Ownership:
    """A package with what it owns: everything, or as far as a transaction touches it.

    Attributes:
        entries: sorted by location.
        touched: the locations of which `entries` tells, also those where it owns nothing; None for all that there are.
    """

    package: InstalledPackage
    entries: tuple[OwnedEntry, ...]
    touched: frozenset[RelPath] | None = None

    def since(self, newer: "Ownership | None") -> "Ownership":
        """Return what this one says, and of what it does not tell, what one of a later time says.

        Args:
            newer: of the same package; None where that is not known.
        """
        touched = self.touched
        if newer is None or touched is None:
            return self
        others = (one for one in newer.entries if one.location not in touched)
        entries = sorted((*others, *self.entries), key=lambda one: one.location)
        both = None if newer.touched is None else touched | newer.touched
        return Ownership(self.package, tuple(entries), both)


@dataclass(frozen=True, slots=True)
class Seen:
    """What a root remembers of a package's versions, also after the package is gone.

    Attributes:
        version: the highest one that was installed here.
        minimum_secure: versions below must not come back; None if no bundle said so.
    """

    name: str
    version: Version
    minimum_secure: Version | None = None


class Outcome(str, Enum):
    """How a transaction ended."""

    COMMITTED = "committed"
    ROLLED_BACK = "rolled back"
    DISCARDED = "discarded"


@dataclass(frozen=True, slots=True)
class TransactionRecord:
    """One line of the history.

    Attributes:
        kind: ``install``, ``remove`` or ``rollback``.
        command: what was typed, for people.
        reason: why it did not commit, or what a person should know; may be empty.
        signers: fingerprints of the keys that vouched for what was put there, by package; none for one let in unsigned.
        undoes: the transactions that this one rolled back.
        retained: its backups are still on the disk, so it can be rolled back.
        size: bytes that its backups occupy.
    """

    id: int
    kind: str
    command: str
    started: int
    finished: int
    outcome: Outcome
    reason: str = ""
    packages: tuple[PackageChange, ...] = ()
    notes: tuple[str, ...] = ()
    undoes: tuple[int, ...] = ()
    retained: bool = False
    size: int = 0
    signers: tuple[tuple[str, tuple[str, ...]], ...] = ()
