"""Acts. The verbs through which everything else reads and changes the disk.

Promises of every implementation:

1. All paths are locations below one root. No verb follows a symbolic link: the parents of a path are walked
   component by component through directory descriptors, and a parent that is a link is refused.
2. No verb opens an existing file for writing.
3. A new object is created exclusively, with mode 0600 (files) or 0700 (directories), and gets its final
   attributes through `set_attributes`, which applies owner, mode, extended attributes, times in this order. One verb,
   `put_file`, does all of that.
4. A failed call raises `MachineError` (or `NoSpace`) with the errno; nothing fails silently.
5. Nothing is durable until `sync_filesystem` or `sync_directory` or `write_durably` has returned.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from enum import Enum
from os import stat_result
from pathlib import Path
from typing import BinaryIO, Protocol

from intact.model.entries import Digest
from intact.model.objects import Attributes, Identity, Observed
from intact.model.paths import RelPath
from intact.model.values import dataclass

__all__ = ["Disk", "FileWriter", "Guard", "Space"]


class Guard(str, Enum):
    """An attribute that an administrator gave to a file or directory to protect it from every change."""

    IMMUTABLE = "immutable"
    APPEND_ONLY = "append-only"


@dataclass(frozen=True, slots=True)
class Space:
    """What statvfs and statfs say about the filesystem at a path.

    Attributes:
        free_bytes: what this user may still write.
        free_inodes: None where the filesystem has no fixed inode table (btrfs).
        filesystem: statfs's magic number.
        device: identity of the filesystem within this run.
    """

    total_bytes: int
    free_bytes: int
    free_inodes: int | None
    read_only: bool
    filesystem: int
    device: int


class FileWriter(Protocol):
    """A new file that nobody else can see yet."""

    def write(self, data: bytes | memoryview) -> None:
        """Append all of `data`."""
        ...

    def finish(self, attributes: Attributes) -> Observed:
        """Set the attributes through the descriptor, close, and tell what became of it (without digest)."""
        ...


class Disk(Protocol):
    """The door to one root."""

    # --- looking -------------------------------------------------------------------------------------
    def observe(self, path: RelPath, *, xattrs: bool = False) -> Observed | None:
        """Describe the object at `path` (lstat, readlink); None if there is none or a parent is missing."""
        ...

    def identity(self, path: RelPath) -> Identity | None:
        """Tell which object stands at `path` (links are not followed); None if there is none."""
        ...

    def digest(self, path: RelPath) -> Digest:
        """Hash the regular file at `path`."""
        ...

    def observe_content(self, path: RelPath, *, xattrs: bool = False) -> Observed:
        """Describe the regular file at `path` with its digest: both of one object, whoever exchanges names meanwhile.

        Raises for anything else than a regular file, and never blocks.
        """
        ...

    def observe_whole(
        self, path: RelPath, *, xattrs: bool = False, size: int | None = None
    ) -> Observed | None:
        """Describe the object at `path` as `observe` does, and a regular file as `observe_content` does.

        Args:
            size: only a file of this size is read; None for any.
        """
        ...

    def list_directory(self, path: RelPath) -> list[str]:
        """Name what is in the directory at `path`, sorted; names may hold lone surrogates (PEP 383)."""
        ...

    def look_into(self, path: RelPath) -> list[tuple[str, stat_result]]:
        """Tell what lstat says of each object in the directory at `path`, in no order.

        For very many objects: `list_directory` and `observe` take three times as long.
        """
        ...

    def tree(self, path: RelPath) -> Iterator[RelPath]:
        """Walk everything below the directory at `path`, parents first, without entering mount points."""
        ...

    def open_read(self, path: RelPath) -> BinaryIO:
        """Open the regular file at `path` for reading; raises for anything else, and never blocks."""
        ...

    def read_file(self, path: RelPath) -> bytes:
        """Return the content of the regular file at `path`."""
        ...

    def space(self, path: RelPath) -> Space:
        """Describe the filesystem that holds the directory at `path`."""
        ...

    def guard(self, path: RelPath) -> Guard | None:
        """Tell what keeps even root from renaming the object at `path` away (chattr(1)); None for nothing."""
        ...

    def mount_points(self) -> frozenset[RelPath]:
        """Name the mount points below the root (directories and single files), the root itself included."""
        ...

    def boundaries(self, locations: Iterable[RelPath]) -> frozenset[RelPath]:
        """Name the directories above these locations that no rename can cross, and all mount points.

        These are mount points and the tops of btrfs subvolumes, which show in st_dev only.
        """
        ...

    def host_path(self, path: RelPath) -> Path:
        """Return the host's name of a file of our own private state, for SQLite, which takes no descriptors."""
        ...

    # --- changing ------------------------------------------------------------------------------------
    def walk_anew(self) -> None:
        """Forget which directories were found where: somebody may have renamed one, and the name counts."""
        ...

    def make_directory(self, path: RelPath, mode: int = 0o700) -> None:
        """Create a directory; raises if the name exists."""
        ...

    def create_file(self, path: RelPath) -> AbstractContextManager[FileWriter]:
        """Create a file exclusively, mode 0600; leaving the context unfinished closes it as it is."""
        ...

    def put_file(self, path: RelPath, content: Iterable[bytes | memoryview], attributes: Attributes) -> int:
        """Create a file of a staging tree exclusively, write its content, set its attributes, close it, and return its inode number.

        Raises what `content` raises, too; the file is then closed as it is.
        """
        ...

    def make_symlink(self, path: RelPath, target: str, uid: int, gid: int) -> None:
        """Create a symbolic link and give it its owner."""
        ...

    def link(self, existing: RelPath, path: RelPath) -> None:
        """Give the object at `existing` a second name."""
        ...

    def copy_file(self, existing: RelPath, path: RelPath, attributes: Attributes) -> None:
        """Copy a regular file's content (shared extents where possible) into a new file."""
        ...

    def set_attributes(
        self,
        path: RelPath,
        attributes: Attributes,
        *,
        without: tuple[str, ...] = (),
        seen: Observed | None = None,
    ) -> int:
        """Set owner, mode, extended attributes and times of a file or directory, in this order; return its inode number.

        Args:
            without: names of extended attributes to take away; others that are not named stay.
            seen: what was found there; if it has been exchanged since, nothing is set, and ESTALE is raised.
        """
        ...

    def exchange(self, one: RelPath, other: RelPath) -> None:
        """Swap two objects in one step (renameat2 with RENAME_EXCHANGE)."""
        ...

    def move_new(self, source: RelPath, destination: RelPath) -> None:
        """Rename to a name that must not exist (RENAME_NOREPLACE)."""
        ...

    def move_over(self, source: RelPath, destination: RelPath) -> None:
        """Rename over whatever has the name (rename(2))."""
        ...

    def remove_file(self, path: RelPath) -> None:
        """Unlink a file or symbolic link."""
        ...

    def remove_directory(self, path: RelPath) -> None:
        """Remove an empty directory."""
        ...

    def learn_renames(self, directory: RelPath) -> None:
        """Find out, with scratch files in a directory of our own, what a rename with flags does on its filesystem.

        Some FUSE filesystems take the flags and do a plain rename, which would destroy what is to be
        exchanged. From then on such a filesystem counts as one without flags (EINVAL).
        """
        ...

    def write_durably(self, path: RelPath, data: bytes, mode: int = 0o600) -> None:
        """Create a file with this content, and sync the file and its directory."""
        ...

    def overwrite_block(self, path: RelPath, offset: int, data: bytes) -> None:
        """Write into a file of our own state (a journal) and sync it; the one exception to promise 2."""
        ...

    def sync_directory(self, path: RelPath) -> None:
        """Make the names in the directory at `path` durable."""
        ...

    def watch_filesystem(self, path: RelPath) -> None:
        """Note the write errors seen so far, so that `sync_filesystem` reports each later one.

        syncfs reports the errors since its descriptor was opened (Linux 5.8), hence this comes before the
        first byte is written.
        """
        ...

    def sync_filesystem(self, path: RelPath) -> None:
        """Make everything on the filesystem of the directory at `path` durable (syncfs); errors are fatal."""
        ...

    def writing_back(self, directories: Iterable[RelPath]) -> AbstractContextManager[Callable[[int], None]]:
        """Let the filesystems of these directories write back what is written to them in the block, before it is asked for.

        Yields what is to be called with the number of bytes written since its last call. Nothing is durable by it, and
        no error is told: that is what `sync_filesystem` is for.
        """
        ...

    # --- locking -------------------------------------------------------------------------------------
    def locked(self, path: RelPath, *, timeout: float, holder: str) -> AbstractContextManager[None]:
        """Hold the exclusive lock on a lock file, creating it.

        Args:
            path: the lock file.
            timeout: seconds to wait for another holder.
            holder: one line about us, for whoever has to wait.

        Raises:
            Locked: somebody else still holds it after `timeout` seconds.
        """
        ...
