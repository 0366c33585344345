"""Pure. What can a package contain?"""

from typing import NewType

from intact.model.paths import RelPath
from intact.model.values import dataclass, field

__all__ = [
    "NEW_SUFFIX",
    "Digest",
    "DirectoryEntry",
    "Entry",
    "FileEntry",
    "HardlinkEntry",
    "SymlinkEntry",
    "Xattrs",
]

Digest = NewType("Digest", str)
"""SHA-256 of the content, 64 lower-case hexadecimal digits."""

NEW_SUFFIX = ".pkg-new"
"""What the new version of an edited configuration file has behind its name, where it lies beside the edited one."""

Xattrs = tuple[tuple[str, bytes], ...]
"""Extended attributes (``security.capability`` among them), sorted by name."""


@dataclass(frozen=True, slots=True)
class FileEntry:
    """A regular file.

    Attributes:
        mode: permission bits, set-id and sticky bits included (0 to 0o7777).
        owner: a user name, or a number as text.
        group: a group name, or a number as text.
        mtime: seconds since 1970.
        size: bytes.
        config: local edits survive an upgrade.
    """

    path: RelPath
    mode: int
    owner: str
    group: str
    mtime: int
    size: int
    digest: Digest
    config: bool = False
    xattrs: Xattrs = ()


@dataclass(frozen=True, slots=True)
class DirectoryEntry:
    """A directory that the package owns, perhaps together with other packages."""

    path: RelPath
    mode: int
    owner: str
    group: str
    xattrs: Xattrs = ()


@dataclass(frozen=True, slots=True)
class SymlinkEntry:
    """A symbolic link; its target is never followed by us."""

    path: RelPath
    target: str
    owner: str = "root"
    group: str = "root"


@dataclass(frozen=True, slots=True)
class HardlinkEntry:
    """A further name of the `FileEntry` whose path is `target`."""

    path: RelPath
    target: RelPath = field()


Entry = FileEntry | DirectoryEntry | SymlinkEntry | HardlinkEntry
