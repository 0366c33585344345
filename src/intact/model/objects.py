"""Pure. What was seen at a path of the root, and what shall stand there?"""

from enum import Enum
from typing import NamedTuple

from intact.model.entries import Digest, Xattrs
from intact.model.paths import RelPath
from intact.model.values import dataclass

__all__ = [
    "CAPABILITY",
    "SET_ID_BITS",
    "Attributes",
    "Backup",
    "BundleContent",
    "Content",
    "Identity",
    "Kind",
    "LiveContent",
    "NewDirectory",
    "NewFile",
    "NewHardlink",
    "NewObject",
    "NewSymlink",
    "Observed",
]

SET_ID_BITS = 0o6000
CAPABILITY = "security.capability"


class Kind(str, Enum):
    """The type of a filesystem object."""

    FILE = "file"
    DIRECTORY = "directory"
    SYMLINK = "symlink"
    OTHER = "other"


class Identity(NamedTuple):
    """What tells one object from every other that exists at the same time.

    Attributes:
        device: st_dev of stat(2).
        inode: st_ino of stat(2).
    """

    device: int
    inode: int


@dataclass(frozen=True, slots=True)
class Observed:
    """What lstat (and readlink, and perhaps hashing) said about a path.

    Attributes:
        mode: permission bits only (0 to 0o7777).
        target: a symlink's target, else empty.
        digest: SHA-256 where the content was read, else None.
        xattrs: extended attributes where they were asked for.
        mount: identity of the mount the object is on; only comparable within one run.
    """

    kind: Kind
    mode: int
    uid: int
    gid: int
    size: int
    mtime_ns: int
    inode: int
    links: int = 1
    target: str = ""
    digest: Digest | None = None
    xattrs: Xattrs = ()

    def with_digest(self, digest: Digest) -> "Observed":
        """Return the same with the digest of its content; many times as fast as `replace`."""
        return Observed(
            self.kind,
            self.mode,
            self.uid,
            self.gid,
            self.size,
            self.mtime_ns,
            self.inode,
            self.links,
            self.target,
            digest,
            self.xattrs,
        )

    @property
    def is_privileged(self) -> bool:
        """Tell whether running this file gives rights: set-id bits or capabilities."""
        if self.kind is not Kind.FILE:
            return False
        has_capability = bool(self.xattrs) and any(name == CAPABILITY for name, _ in self.xattrs)
        return has_capability or bool(self.mode & SET_ID_BITS)


@dataclass(frozen=True, slots=True)
class Attributes:
    """Ownership, mode, times and extended attributes that an object shall have.

    Attributes:
        mtime_ns: nanoseconds since 1970; None leaves the time alone.
    """

    mode: int
    uid: int
    gid: int
    mtime_ns: int | None = None
    xattrs: Xattrs = ()


@dataclass(frozen=True, slots=True)
class BundleContent:
    """Content that comes from the bundle `bundle` (index in the command), file `entry` of its manifest."""

    bundle: int
    entry: RelPath


@dataclass(frozen=True, slots=True)
class Backup:
    """Content that lies in the history, at `location` (a path of the root)."""

    location: RelPath


@dataclass(frozen=True, slots=True)
class LiveContent:
    """Content that stands unmodified at `location` in the root and is copied from there."""

    location: RelPath


Content = BundleContent | Backup | LiveContent


@dataclass(frozen=True, slots=True)
class NewFile:
    """A regular file to be staged."""

    attributes: Attributes
    size: int
    digest: Digest
    content: Content


@dataclass(frozen=True, slots=True)
class NewDirectory:
    """A directory to be staged; what it holds comes as nodes of its own."""

    attributes: Attributes


@dataclass(frozen=True, slots=True)
class NewSymlink:
    """A symbolic link to be staged."""

    target: str
    uid: int
    gid: int


@dataclass(frozen=True, slots=True)
class NewHardlink:
    """A further name for the file that the same plan puts at `target` (a location in the root)."""

    target: RelPath


NewObject = NewFile | NewDirectory | NewSymlink | NewHardlink
