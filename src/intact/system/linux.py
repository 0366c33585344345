"""Acts. The port to the disk, on Linux.

Keeps the promises of `port.Disk`. Each verb is one system call or a fixed sequence of them whose
interruption leaves at most an unfinished *new* object behind.
"""

import errno
import os
import stat
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from functools import update_wrapper
from pathlib import Path
from typing import BinaryIO, Concatenate, ParamSpec, TypeVar

from intact.model.entries import Digest, Xattrs
from intact.model.errors import RootUnusable, machine_error
from intact.model.objects import Attributes, Identity, Observed
from intact.model.paths import RelPath
from intact.system.attributes import apply_attributes, give_mode, insist_on_same, observed, read_xattrs
from intact.system.directories import DirectoryDescriptors
from intact.system.listing import below, statuses_in
from intact.system.locking import hold_lock
from intact.system.mounts import borders_above, mount_points_below
from intact.system.newfile import CREATE, LinuxFileWriter, close_quietly, put_file, write_all
from intact.system.port import Guard, Space
from intact.system.probing import FUSE_MAGIC, flags_are_honoured
from intact.system.reading import READ, digest_of, insist_on_file, observe_open
from intact.system.syscalls import (
    ATTR_APPEND,
    ATTR_IMMUTABLE,
    RENAME_EXCHANGE,
    RENAME_NOREPLACE,
    renameat2,
    statfs_magic,
    statx_attributes,
    syncfs,
)
from intact.system.writeback import writing_back

__all__ = ["LinuxDisk"]

_P = ParamSpec("_P")
_R = TypeVar("_R")

_CHUNK = 1 << 20


def _verb(
    call: Callable[Concatenate["LinuxDisk", RelPath, _P], _R],
) -> Callable[Concatenate["LinuxDisk", RelPath, _P], _R]:
    """Turn the OSError of a verb into the error that people are told, with the verb's first path."""

    def told(self: "LinuxDisk", path: RelPath, /, *args: _P.args, **kwargs: _P.kwargs) -> _R:
        self._directories.trim()
        try:
            return call(self, path, *args, **kwargs)
        except OSError as error:
            raise machine_error(call.__name__, error, f"/{path}") from error

    update_wrapper(told, call)
    return told


class LinuxDisk:
    """The door to the tree below the directory `root`."""

    def __init__(self, root: str) -> None:
        """Open the root.

        Raises:
            RootUnusable: it does not exist or is not a directory.
        """
        try:
            self._root_fd = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError as error:
            raise RootUnusable(
                f"the root cannot be opened ({errno.errorcode.get(error.errno or 0)}: {error.strerror})",
                path=root,
                remedy=f"create it first (mkdir -p {root}), or name another one with --root",
            ) from error
        self.root = root
        self._directories = DirectoryDescriptors(self._root_fd)
        self._watched: dict[int, int] = {}
        self._without_flags: set[int] = set()  # devices whose renames ignore flags

    def close(self) -> None:
        """Close every descriptor."""
        self._directories.drop_all()
        for fd in self._watched.values():
            os.close(fd)
        self._watched.clear()
        os.close(self._root_fd)

    def _at(self, path: RelPath) -> tuple[int, str]:
        directory, _, name = path.rpartition("/")
        return self._directories.descriptor(directory), name or "."

    def _open(self, path: RelPath, flags: int, mode: int = 0o600) -> int:
        parent, name = self._at(path)
        return os.open(name, flags, mode, dir_fd=parent)

    @contextmanager
    def _opened(self, path: RelPath, flags: int) -> Iterator[int]:
        fd = self._open(path, flags)
        try:
            yield fd
        finally:
            os.close(fd)

    # --- looking -------------------------------------------------------------------------------------
    @_verb
    def observe(self, path: RelPath, *, xattrs: bool = False) -> Observed | None:
        """Describe the object at `path`; None if there is none."""
        try:
            parent, name = self._at(path)
            status = os.stat(name, dir_fd=parent, follow_symlinks=False)
            target = os.readlink(name, dir_fd=parent) if stat.S_ISLNK(status.st_mode) else ""
        except (FileNotFoundError, NotADirectoryError):
            return None
        attributes: Xattrs = ()
        if xattrs and (stat.S_ISREG(status.st_mode) or stat.S_ISDIR(status.st_mode)):
            attributes = self._xattrs(path)
        return observed(status, target, attributes)

    def _xattrs(self, path: RelPath) -> Xattrs:
        try:
            with self._opened(path, READ) as fd:
                return read_xattrs(fd)
        except PermissionError:
            return ()

    @_verb
    def digest(self, path: RelPath) -> Digest:
        """Hash the regular file at `path`."""
        with self._opened(path, READ) as fd:
            return digest_of(fd, insist_on_file(fd).st_size)

    @_verb
    def observe_content(self, path: RelPath, *, xattrs: bool = False) -> Observed:
        """Describe the regular file at `path` with its digest."""
        return observe_open(*self._at(path), xattrs=xattrs)

    @_verb
    def observe_whole(
        self, path: RelPath, *, xattrs: bool = False, size: int | None = None
    ) -> Observed | None:
        """Describe the object at `path`, a regular file (of this size) with its digest; None if there is none."""
        try:
            parent, name = self._at(path)
            status = os.stat(name, dir_fd=parent, follow_symlinks=False)
            # Opening anything but a file can do something.
            if stat.S_ISREG(status.st_mode) and size in {None, status.st_size}:
                return observe_open(parent, name, xattrs=xattrs)
        except (FileNotFoundError, NotADirectoryError):  # at once, or between the two looks
            return None
        return self.observe(path, xattrs=xattrs)

    @_verb
    def list_directory(self, path: RelPath) -> list[str]:
        """Name what is in the directory at `path`, sorted."""
        with self._opened(path, READ | os.O_DIRECTORY) as fd:
            return sorted(os.listdir(fd))

    @_verb
    def look_into(self, path: RelPath) -> list[tuple[str, os.stat_result]]:
        """Tell what lstat says of each object in the directory at `path`."""
        with self._opened(path, READ | os.O_DIRECTORY) as fd:
            return statuses_in(fd)

    def tree(self, path: RelPath) -> Iterator[RelPath]:
        """Walk everything below the directory at `path`, parents first, within its filesystem."""
        return below(self, path)

    @_verb
    def open_read(self, path: RelPath) -> BinaryIO:
        """Open the regular file at `path` for reading."""
        fd = self._open(path, READ)
        try:
            insist_on_file(fd)
            return os.fdopen(fd, "rb", buffering=0)
        except BaseException:
            os.close(fd)
            raise

    @_verb
    def read_file(self, path: RelPath) -> bytes:
        """Return the content of the regular file at `path`."""
        with self.open_read(path) as source:
            return source.read()

    @_verb
    def space(self, path: RelPath) -> Space:
        """Describe the filesystem that holds the directory at `path`."""
        with self._opened(path, READ | os.O_DIRECTORY) as fd:
            status = os.fstatvfs(fd)
            return Space(
                total_bytes=status.f_blocks * status.f_frsize,
                free_bytes=status.f_bavail * status.f_frsize,
                free_inodes=status.f_favail if status.f_files else None,
                read_only=bool(status.f_flag & os.ST_RDONLY),
                filesystem=statfs_magic(fd),
                device=os.fstat(fd).st_dev,
            )

    @_verb
    def guard(self, path: RelPath) -> Guard | None:
        """Tell what keeps even root from renaming the object at `path` away; None for nothing."""
        try:
            parent, name = self._at(path)
            bits = statx_attributes(parent, name)
        except (FileNotFoundError, NotADirectoryError):
            return None
        if bits & ATTR_IMMUTABLE:
            return Guard.IMMUTABLE
        return Guard.APPEND_ONLY if bits & ATTR_APPEND else None

    def mount_points(self) -> frozenset[RelPath]:
        """Name the mount points below the root, the root included (from /proc/self/mountinfo)."""
        return mount_points_below(self._root_fd)

    def boundaries(self, locations: Iterable[RelPath]) -> frozenset[RelPath]:
        """Name the directories above these locations that no rename can cross, and all mount points."""
        top = os.fstat(self._root_fd).st_dev
        return self.mount_points() | borders_above(locations, top, self._device_of_directory)

    def _device_of_directory(self, path: RelPath) -> int | None:
        status = self._status_or_none(path)
        return status.st_dev if status and stat.S_ISDIR(status.st_mode) else None

    def identity(self, path: RelPath) -> Identity | None:
        """Tell which object stands at `path` (links are not followed); None if there is none."""
        status = self._status_or_none(path)
        return Identity(status.st_dev, status.st_ino) if status else None

    @_verb
    def _status_or_none(self, path: RelPath) -> os.stat_result | None:
        try:
            parent, name = self._at(path)
            return os.stat(name, dir_fd=parent, follow_symlinks=False)
        except (FileNotFoundError, NotADirectoryError):
            return None

    def host_path(self, path: RelPath) -> Path:
        """Return the host's name of a file of our own private state."""
        return Path(self.root, path)

    # --- changing ------------------------------------------------------------------------------------
    def walk_anew(self) -> None:
        """Forget which directories were found where."""
        self._directories.drop_all()

    @_verb
    def make_directory(self, path: RelPath, mode: int = 0o700) -> None:
        """Create a directory."""
        parent, name = self._at(path)
        os.mkdir(name, mode, dir_fd=parent)
        give_mode(parent, name, mode)

    @contextmanager
    def create_file(self, path: RelPath) -> Iterator[LinuxFileWriter]:
        """Create a file exclusively, mode 0600."""
        try:
            fd = self._open(path, CREATE)
        except OSError as error:
            raise machine_error("create_file", error, f"/{path}") from error
        try:
            yield LinuxFileWriter(fd, path)
        except BaseException:
            close_quietly(fd)
            raise
        try:
            os.close(fd)  # may report ENOSPC or EIO (NFS, quotas)
        except OSError as error:
            raise machine_error("close", error, f"/{path}") from error

    @_verb
    def put_file(self, path: RelPath, content: Iterable[bytes | memoryview], attributes: Attributes) -> int:
        """Create a file exclusively, with content and attributes; return its inode number."""
        parent, name = self._at(path)
        return put_file(parent, name, content, attributes)

    @_verb
    def make_symlink(self, path: RelPath, target: str, uid: int, gid: int) -> None:
        """Create a symbolic link and give it its owner."""
        parent, name = self._at(path)
        os.symlink(target, name, dir_fd=parent)
        if (uid, gid) != (os.geteuid(), os.getegid()):
            os.chown(name, uid, gid, dir_fd=parent, follow_symlinks=False)

    @_verb
    def link(self, existing: RelPath, path: RelPath) -> None:
        """Give the object at `existing` a second name."""
        source_fd, source = self._at(existing)
        parent, name = self._at(path)
        os.link(source, name, src_dir_fd=source_fd, dst_dir_fd=parent, follow_symlinks=False)

    @_verb
    def copy_file(self, existing: RelPath, path: RelPath, attributes: Attributes) -> None:
        """Copy a regular file's content into a new file; shares extents where the filesystem can."""
        with self.open_read(existing) as source, self.create_file(path) as writer:
            try:
                while os.copy_file_range(source.fileno(), writer._fd, 1 << 30):  # noqa: SLF001  same module
                    pass
            except OSError as error:
                if error.errno not in {errno.EXDEV, errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP}:
                    raise
                while chunk := source.read(_CHUNK):
                    writer.write(chunk)
            writer.finish(attributes)

    @_verb
    def set_attributes(
        self,
        path: RelPath,
        attributes: Attributes,
        *,
        without: tuple[str, ...] = (),
        seen: Observed | None = None,
    ) -> int:
        """Set owner, mode, extended attributes and times, through a descriptor; return the inode number."""
        with self._opened(path, READ) as fd:
            if seen is not None:
                insist_on_same(fd, seen)
            if without:
                for name in {name for name, _ in read_xattrs(fd)} & set(without):
                    os.removexattr(fd, name)
            return apply_attributes(fd, attributes)

    def _rename(self, source: RelPath, destination: RelPath, flags: int) -> None:
        source_fd, source_name = self._at(source)
        target_fd, target_name = self._at(destination)
        if flags and self._without_flags and os.fstat(source_fd).st_dev in self._without_flags:
            raise OSError(errno.EINVAL, "this filesystem ignores the flags of renameat2")
        renameat2(source_fd, source_name, target_fd, target_name, flags)
        self._directories.forget(source)
        self._directories.forget(destination)

    @_verb
    def exchange(self, one: RelPath, other: RelPath) -> None:
        """Swap two objects in one step."""
        self._rename(one, other, RENAME_EXCHANGE)

    @_verb
    def move_new(self, source: RelPath, destination: RelPath) -> None:
        """Rename to a name that must not exist."""
        self._rename(source, destination, RENAME_NOREPLACE)

    @_verb
    def move_over(self, source: RelPath, destination: RelPath) -> None:
        """Rename over whatever has the name."""
        self._rename(source, destination, 0)

    @_verb
    def learn_renames(self, path: RelPath) -> None:
        """Find out what a rename with flags does on the filesystem of the directory at `path`."""
        with self._opened(path, READ | os.O_DIRECTORY) as fd:
            if statfs_magic(fd) == FUSE_MAGIC and not flags_are_honoured(fd):
                self._without_flags.add(os.fstat(fd).st_dev)

    @_verb
    def remove_file(self, path: RelPath) -> None:
        """Unlink a file or symbolic link."""
        parent, name = self._at(path)
        os.unlink(name, dir_fd=parent)

    @_verb
    def remove_directory(self, path: RelPath) -> None:
        """Remove an empty directory."""
        parent, name = self._at(path)
        os.rmdir(name, dir_fd=parent)
        self._directories.forget(path)

    @_verb
    def write_durably(self, path: RelPath, data: bytes, mode: int = 0o600) -> None:
        """Create a file with this content, and sync the file and its directory."""
        fd = self._open(path, CREATE)
        try:
            write_all(fd, data)
            os.fchmod(fd, mode)
            os.fsync(fd)
        finally:
            os.close(fd)
        self.sync_directory(path.parent)

    @_verb
    def overwrite_block(self, path: RelPath, offset: int, data: bytes) -> None:
        """Write into a file of our own state and sync it."""
        with self._opened(path, os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC) as fd:
            if os.pwrite(fd, data, offset) != len(data):
                raise OSError(errno.EIO, "short write")
            os.fsync(fd)

    @_verb
    def sync_directory(self, path: RelPath) -> None:
        """Make the names in the directory at `path` durable."""
        with self._opened(path, READ | os.O_DIRECTORY) as fd:
            os.fsync(fd)

    @_verb
    def watch_filesystem(self, path: RelPath) -> None:
        """Note the write errors seen so far."""
        fd = self._open(path, READ | os.O_DIRECTORY)
        device = os.fstat(fd).st_dev
        if device in self._watched:
            os.close(fd)
        else:
            self._watched[device] = fd

    @_verb
    def sync_filesystem(self, path: RelPath) -> None:
        """Make everything on the filesystem of the directory at `path` durable."""
        with self._opened(path, READ | os.O_DIRECTORY) as fd:
            syncfs(self._watched.get(os.fstat(fd).st_dev, fd))

    @contextmanager
    def writing_back(self, directories: Iterable[RelPath]) -> Iterator[Callable[[int], None]]:
        """Let these filesystems write back what is written to them in the block, before it is asked for."""
        descriptors: list[int] = []
        with suppress(OSError):  # told by the sync that counts
            descriptors.extend(self._open(path, READ | os.O_DIRECTORY) for path in directories)
        with writing_back(descriptors) as note:
            yield note

    # --- locking -------------------------------------------------------------------------------------
    @contextmanager
    def locked(self, path: RelPath, *, timeout: float, holder: str) -> Iterator[None]:
        """Hold the exclusive lock on a lock file, creating it."""
        try:
            fd = self._open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC)
        except OSError as error:
            raise machine_error("lock", error, f"/{path}") from error
        try:
            hold_lock(fd, f"/{path}", timeout=timeout, holder=holder)
            yield
        finally:
            os.close(fd)
