"""A disk that crashes, or fails, at the N-th change; everything else is done by the real one."""

import errno
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

from intact.model.entries import Digest
from intact.model.errors import machine_error
from intact.model.objects import Attributes, Identity, Observed
from intact.model.paths import RelPath
from intact.system.linux import LinuxDisk
from intact.system.port import Disk, FileWriter, Guard, Space

__all__ = ["Crash", "FaultyDisk", "crash_at", "fail_at"]


class Crash(BaseException):
    """The process is gone. Not an Exception, so that no `except Exception` can heal it."""


Fault = Callable[[int, str, str], None]


def crash_at(step: int) -> Fault:
    """Crash before the change number `step` (from 1), and at every later one: the process is gone."""

    def fault(number: int, _verb: str, _path: str) -> None:
        if number >= step:
            raise Crash(f"step {step}")

    return fault


def fail_at(step: int, number: int = errno.EIO, *, forever: bool = False) -> Fault:
    """Fail the change number `step` with an errno, once or from then on."""

    def fault(count: int, verb: str, path: str) -> None:
        if count == step or (forever and count > step):
            raise machine_error(verb, OSError(number, "injected"), path)

    return fault


class _FaultyWriter:
    def __init__(self, writer: FileWriter, disk: "FaultyDisk", path: RelPath) -> None:
        self._writer = writer
        self._disk = disk
        self._path = path

    def write(self, data: bytes | memoryview) -> None:
        try:
            self._disk.step("write", self._path)
        except BaseException:
            self._writer.write(data[: len(data) // 2])  # half of it got there
            raise
        self._writer.write(data)

    def finish(self, attributes: Attributes) -> Observed:
        self._disk.step("finish", self._path)
        return self._writer.finish(attributes)


class FaultyDisk:
    """Implements `Disk`; `fault` is asked before each change."""

    def __init__(self, root: Path, fault: Fault = lambda _number, _verb, _path: None) -> None:
        self.real = LinuxDisk(str(root))
        self.fault = fault
        self.steps: list[tuple[str, str]] = []
        self.filesystem: int | None = None  # pretend to be on one with this magic number

    def close(self) -> None:
        self.real.close()

    def step(self, verb: str, path: RelPath) -> None:
        self.steps.append((verb, path))
        self.fault(len(self.steps), verb, f"/{path}")

    # --- looking -------------------------------------------------------------------------------------
    def observe(self, path: RelPath, *, xattrs: bool = False) -> Observed | None:
        return self.real.observe(path, xattrs=xattrs)

    def digest(self, path: RelPath) -> Digest:
        return self.real.digest(path)

    def observe_content(self, path: RelPath, *, xattrs: bool = False) -> Observed:
        return self.real.observe_content(path, xattrs=xattrs)

    def observe_whole(
        self, path: RelPath, *, xattrs: bool = False, size: int | None = None
    ) -> Observed | None:
        return self.real.observe_whole(path, xattrs=xattrs, size=size)

    def list_directory(self, path: RelPath) -> list[str]:
        return self.real.list_directory(path)

    def look_into(self, path: RelPath) -> list[tuple[str, os.stat_result]]:
        return self.real.look_into(path)

    def tree(self, path: RelPath) -> Iterator[RelPath]:
        return self.real.tree(path)

    def open_read(self, path: RelPath) -> BinaryIO:
        return self.real.open_read(path)

    def read_file(self, path: RelPath) -> bytes:
        return self.real.read_file(path)

    def space(self, path: RelPath) -> Space:
        space = self.real.space(path)
        return space if self.filesystem is None else replace(space, filesystem=self.filesystem)

    def identity(self, path: RelPath) -> Identity | None:
        return self.real.identity(path)

    def guard(self, path: RelPath) -> Guard | None:
        return self.real.guard(path)

    def mount_points(self) -> frozenset[RelPath]:
        return self.real.mount_points()

    def boundaries(self, locations: Iterable[RelPath]) -> frozenset[RelPath]:
        return self.real.boundaries(locations)

    def host_path(self, path: RelPath) -> Path:
        return self.real.host_path(path)

    def watch_filesystem(self, path: RelPath) -> None:
        self.real.watch_filesystem(path)

    # --- changing ------------------------------------------------------------------------------------
    def walk_anew(self) -> None:
        self.real.walk_anew()

    def make_directory(self, path: RelPath, mode: int = 0o700) -> None:
        self.step("make_directory", path)
        self.real.make_directory(path, mode)

    @contextmanager
    def create_file(self, path: RelPath) -> Iterator[FileWriter]:
        self.step("create_file", path)
        with self.real.create_file(path) as writer:
            yield _FaultyWriter(writer, self, path)

    def put_file(self, path: RelPath, content: Iterable[bytes | memoryview], attributes: Attributes) -> int:
        self.step("create_file", path)
        return self.real.put_file(path, self._pieces(path, content), attributes)

    def _pieces(self, path: RelPath, content: Iterable[bytes | memoryview]) -> Iterator[bytes | memoryview]:
        for piece in content:
            try:
                self.step("write", path)
            except BaseException:
                yield piece[: len(piece) // 2]  # half of it got there
                raise
            yield piece
        self.step("finish", path)

    def make_symlink(self, path: RelPath, target: str, uid: int, gid: int) -> None:
        self.step("make_symlink", path)
        self.real.make_symlink(path, target, uid, gid)

    def link(self, existing: RelPath, path: RelPath) -> None:
        self.step("link", path)
        self.real.link(existing, path)

    def copy_file(self, existing: RelPath, path: RelPath, attributes: Attributes) -> None:
        self.step("copy_file", path)
        self.real.copy_file(existing, path, attributes)

    def set_attributes(
        self,
        path: RelPath,
        attributes: Attributes,
        *,
        without: tuple[str, ...] = (),
        seen: Observed | None = None,
    ) -> int:
        self.step("set_attributes", path)
        return self.real.set_attributes(path, attributes, without=without, seen=seen)

    def exchange(self, one: RelPath, other: RelPath) -> None:
        self.step("exchange", other)
        self.real.exchange(one, other)

    def move_new(self, source: RelPath, destination: RelPath) -> None:
        self.step("move_new", destination)
        self.real.move_new(source, destination)

    def move_over(self, source: RelPath, destination: RelPath) -> None:
        self.step("move_over", destination)
        self.real.move_over(source, destination)

    def remove_file(self, path: RelPath) -> None:
        self.step("remove_file", path)
        self.real.remove_file(path)

    def remove_directory(self, path: RelPath) -> None:
        self.step("remove_directory", path)
        self.real.remove_directory(path)

    def learn_renames(self, directory: RelPath) -> None:
        self.real.learn_renames(directory)

    def write_durably(self, path: RelPath, data: bytes, mode: int = 0o600) -> None:
        try:
            self.step("write_durably", path)
        except Crash:
            self.real.write_durably(path, data[: len(data) // 2], mode)  # a torn write
            raise
        self.real.write_durably(path, data, mode)

    def overwrite_block(self, path: RelPath, offset: int, data: bytes) -> None:
        self.step("overwrite_block", path)
        self.real.overwrite_block(path, offset, data)

    def sync_directory(self, path: RelPath) -> None:
        self.step("sync_directory", path)
        self.real.sync_directory(path)

    def sync_filesystem(self, path: RelPath) -> None:
        self.step("sync_filesystem", path)
        self.real.sync_filesystem(path)

    def writing_back(self, directories: Iterable[RelPath]) -> AbstractContextManager[Callable[[int], None]]:
        return self.real.writing_back(directories)

    # --- locking -------------------------------------------------------------------------------------
    def locked(self, path: RelPath, *, timeout: float, holder: str) -> AbstractContextManager[None]:
        return self.real.locked(path, timeout=timeout, holder=holder)


def _is_a_disk(disk: FaultyDisk) -> Disk:
    """Let the type checker hold the fake against the port."""
    return disk
