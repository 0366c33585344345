"""Pure. Where does Intact keep what below the root?

    var/lib/intact/                 0755
    ├── installed.db                0644  the database; replaced, never modified
    ├── trust.toml                  0644  the trust store
    └── private/                    0700
        ├── lock                    0600
        ├── id                            the identity of this root
        ├── manifests/DIGEST.toml         the signed manifests of what is installed
        ├── outlived.json                 deleted backups that some process still has (of this boot)
        ├── rescued/                      content that a repair has found, until it is staged
        ├── kept/ID/                      people's files that a transaction moved out of the way
        └── transactions/ID/
            ├── opening.json, journal, plan.json
            ├── before.db                 what the changed packages looked like before
            ├── next.db                   the database after this transaction, until it is recorded
            ├── hooks.log                 what hooks and the health check wrote
            └── slots/N                   staged objects before the commit, backups after it

On every other mount that a transaction touches, the slots are in `.intact/ROOT/ID/` at its top, because a rename
cannot leave its mount; with them is a copy of opening.json, because numbers come again if the state directory is restored
from an older copy. ROOT is the identity of this root (`private/id`): the same filesystem may be seen by several
roots (an image, a container), and none may touch the slots of another.
"""

from intact.model.entries import Digest
from intact.model.paths import ROOT, RelPath
from intact.model.values import dataclass

__all__ = [
    "MANIFEST_PREFIX",
    "MOUNT_DIRECTORY",
    "SLOTS_OPENING",
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
SLOTS_OPENING = "opening.json"


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
        root_id: identity of the root.
    """

    id: int
    home: RelPath
    home_mount: RelPath
    root_id: str

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

    @property
    def commands_log(self) -> RelPath:
        """What hooks and health checks wrote."""
        return self.home / "hooks.log"

    def manifest(self, digest: Digest) -> RelPath:
        """Where a manifest waits to be retained."""
        return self.home / f"{MANIFEST_PREFIX}{digest}.toml"

    @property
    def slots(self) -> RelPath:
        """Slots of the mount that holds the state directory."""
        return self.home / "slots"

    def slot_directory(self, mount: RelPath) -> RelPath:
        """Return the directory that holds the slots of a mount."""
        if mount == self.home_mount:
            return self.slots
        return mount / MOUNT_DIRECTORY / self.root_id / str(self.id)


@dataclass(frozen=True, slots=True)
class StateLayout:
    """The places of one root.

    Attributes:
        base: location of the state directory.
        mount: the mount that holds it.
        id: identity of the root; empty until somebody has the lock.
    """

    base: RelPath = STATE_PATH
    mount: RelPath = ROOT
    id: str = ""

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
    def identity(self) -> RelPath:
        """The identity of this root."""
        return self.private / "id"

    def slots_on(self, mount: RelPath) -> RelPath:
        """Return the directory that holds this root's slots on a mount other than that of the state directory."""
        return mount / MOUNT_DIRECTORY / self.id

    @property
    def manifests(self) -> RelPath:
        """The retained manifests."""
        return self.private / "manifests"

    def manifest(self, digest: Digest) -> RelPath:
        """Return the place of one retained manifest."""
        return self.manifests / f"{digest}.toml"

    @property
    def rescued(self) -> RelPath:
        """Where content waits that was found somewhere, until it is staged."""
        return self.private / "rescued"

    @property
    def outlived(self) -> RelPath:
        """The note of deleted files that some process still has."""
        return self.private / "outlived.json"

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
        return TransactionPlaces(number, self.transactions / str(number), self.mount, self.id)
