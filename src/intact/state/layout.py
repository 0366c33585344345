"""Pure. Where does Intact keep what below the root?

    var/lib/intact/                 0755
    ├── installed.db                0644  the database; replaced, never modified
    ├── trust.toml                  0644  the trust store
    └── private/                    0700
        ├── lock                    0600
        ├── manifests/DIGEST.toml         the signed manifests of what is installed
        ├── kept/ID/                      people's files that a transaction moved out of the way
        └── transactions/ID/
            ├── opening.json, journal, plan.json
            ├── before.db                 what the changed packages looked like before
            ├── next.db                   the database after this transaction, until it is recorded
            └── slots/N                   staged objects before the commit, backups after it

On every other mount that a transaction touches, the slots are in `.intact/ID/` at its top, because a rename
cannot leave its mount.
"""

from dataclasses import dataclass

from intact.model.entries import Digest
from intact.model.paths import ROOT, RelPath

__all__ = [
    "MANIFEST_PREFIX",
    "MOUNT_DIRECTORY",
    "STATE_PATH",
    "TRASH_SUFFIX",
    "StateLayout",
    "TransactionPlaces",
    "mount_of",
]

STATE_PATH = RelPath("var/lib/intact")
MANIFEST_PREFIX = "manifest-"
MOUNT_DIRECTORY = ".intact"
TRASH_SUFFIX = ".trash"


def mount_of(location: RelPath, mount_points: frozenset[RelPath]) -> RelPath:
    """Return the mount point that `location` is on; a mount point itself belongs to the mount above."""
    at = location.parent
    while at and at not in mount_points:
        at = at.parent
    return at


@dataclass(frozen=True, slots=True)
class TransactionPlaces:
    """The places of one transaction.

    Attributes:
        home: its directory in the state directory.
        home_mount: the mount that holds `home`.
    """

    id: int
    home: RelPath
    home_mount: RelPath

    @property
    def opening(self) -> RelPath:
        """What was intended, written before anything else."""
        return self.home / "opening.json"

    @property
    def journal(self) -> RelPath:
        """The phases."""
        return self.home / "journal"

    @property
    def plan(self) -> RelPath:
        """The steps, with their undo data."""
        return self.home / "plan.json"

    @property
    def before_database(self) -> RelPath:
        """The changed packages as they were before."""
        return self.home / "before.db"

    @property
    def next_database(self) -> RelPath:
        """The database as it will be."""
        return self.home / "next.db"

    def manifest(self, digest: Digest) -> RelPath:
        """Where a manifest waits to be retained."""
        return self.home / f"{MANIFEST_PREFIX}{digest}.toml"

    @property
    def slots(self) -> RelPath:
        """Slots of the mount that holds the state directory."""
        return self.home / "slots"

    def slot_directory(self, mount: RelPath) -> RelPath:
        """Return the directory that holds the slots of a mount."""
        return self.slots if mount == self.home_mount else mount / MOUNT_DIRECTORY / str(self.id)


@dataclass(frozen=True, slots=True)
class StateLayout:
    """The places of one root; `base` is the location of the state directory."""

    base: RelPath = STATE_PATH
    mount: RelPath = ROOT

    @property
    def database(self) -> RelPath:
        """The published database."""
        return self.base / "installed.db"

    @property
    def trust_store(self) -> RelPath:
        """The trust store."""
        return self.base / "trust.toml"

    @property
    def private(self) -> RelPath:
        """What only the owner of the root may enter."""
        return self.base / "private"

    @property
    def lock(self) -> RelPath:
        """The lock file."""
        return self.private / "lock"

    @property
    def manifests(self) -> RelPath:
        """The retained manifests."""
        return self.private / "manifests"

    def manifest(self, digest: Digest) -> RelPath:
        """Return the place of one retained manifest."""
        return self.manifests / f"{digest}.toml"

    @property
    def kept(self) -> RelPath:
        """People's files that had to make room."""
        return self.private / "kept"

    @property
    def transactions(self) -> RelPath:
        """The transactions, open or in the history."""
        return self.private / "transactions"

    def transaction(self, number: int) -> TransactionPlaces:
        """Return the places of one transaction."""
        return TransactionPlaces(number, self.transactions / str(number), self.mount)
