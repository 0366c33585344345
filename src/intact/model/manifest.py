"""Pure. What does a bundle say about itself?"""

from intact.model.entries import Digest, Entry
from intact.model.hooks import Hook
from intact.model.relations import Relation, Requirement
from intact.model.values import dataclass, field
from intact.model.versions import Version

__all__ = ["ANY_ARCHITECTURE", "FORMAT", "Frame", "Manifest", "PackageChange", "PackageIdentity", "Relations"]

FORMAT = 1
ANY_ARCHITECTURE = "all"


@dataclass(frozen=True, slots=True)
class PackageIdentity:
    """Name, version and architecture: what a bundle is called."""

    name: str
    version: Version
    architecture: str

    def __str__(self) -> str:
        return f"{self.name} {self.version} ({self.architecture})"

    @property
    def file_name(self) -> str:
        """``NAME-VERSION-ARCH.tar.zst``."""
        return f"{self.name}-{self.version}-{self.architecture}.tar.zst"


@dataclass(frozen=True, slots=True)
class Relations:
    """What a package demands of the others.

    Attributes:
        requires: each must hold; alternatives inside one requirement.
        conflicts: none of these may be installed beside it.
        provides: further names under which it satisfies requirements.
        replaces: packages whose files it may take over.
    """

    requires: tuple[Requirement, ...] = ()
    conflicts: tuple[Relation, ...] = ()
    provides: tuple[Relation, ...] = ()
    replaces: tuple[Relation, ...] = ()


@dataclass(frozen=True, slots=True)
class Frame:
    """One independent zstd frame of the payload.

    Attributes:
        compressed: bytes as stored.
        size: bytes after decompression.
        digest: SHA-256 of the *compressed* bytes.
    """

    compressed: int
    size: int
    digest: Digest


@dataclass(frozen=True, slots=True)
class Manifest:
    """The bundle manifest: the only authority on what gets installed.

    `entries` are sorted by path (byte order of the UTF-8 text), directories before what they hold.
    `frames` is the frame table of the payload, frame 0 (this manifest) not included.
    """

    identity: PackageIdentity
    summary: str = ""
    license: str = ""
    relations: Relations = field(default_factory=Relations)
    upgrade_from: Version | None = None
    """Oldest installed version that may be upgraded in one step."""
    minimum_secure: Version | None = None
    """Versions below this one must not be installed any more."""
    expires: int | None = None
    """The last second, since 1970, at which this bundle may be installed."""
    created: int = 0
    """Seconds since 1970; the time of the build or SOURCE_DATE_EPOCH."""
    requires_features: tuple[str, ...] = ()
    hooks: tuple[Hook, ...] = ()
    entries: tuple[Entry, ...] = ()
    frames: tuple[Frame, ...] = ()


@dataclass(frozen=True, slots=True)
class PackageChange:
    """What happens to one package; None stands for "not installed"."""

    name: str
    old: Version | None
    new: Version | None
