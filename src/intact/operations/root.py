"""Acts. A root: its disk, its places, what it remembers, and who may change it."""

import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from intact.model.errors import RootUnusable
from intact.model.objects import Kind
from intact.model.paths import RelPath
from intact.operations.locate import Locator
from intact.state.database import Database
from intact.state.layout import STATE_PATH, StateLayout, mount_of
from intact.system.linux import LinuxDisk
from intact.system.port import Disk
from intact.transaction.opening import make_state_directories
from intact.transaction.recover import Direction, Recovered, recover

__all__ = ["Environment", "Root", "change", "open_root"]


def _no_progress(_phase: str, _done: int, _total: int) -> None:
    pass


@dataclass(frozen=True, slots=True)
class Environment:
    """What an operation gets from outside.

    Attributes:
        clock: seconds since 1970.
        command: what was typed, for the history.
        lock_timeout: seconds to wait for another pkg.
        progress: called with (phase, done, total); units depend on the phase (bytes, files).
    """

    command: str = ""
    lock_timeout: float = 10.0
    clock: Callable[[], int] = field(default=lambda: int(time.time()))
    progress: Callable[[str, int, int], None] = _no_progress


@dataclass(frozen=True, slots=True)
class Root:
    """An opened root."""

    path: str
    disk: Disk
    layout: StateLayout

    def database(self) -> Database:
        """Open the published database for reading; never waits."""
        return Database.open(self.disk.host_path(self.layout.database))

    @property
    def is_host(self) -> bool:
        """Tell whether this root is the running system's own."""
        return self.path == "/"


@contextmanager
def open_root(path: str, disk: Disk | None = None) -> Iterator[Root]:
    """Open a root for reading.

    Args:
        disk: another door to the disk than the real one.

    Raises:
        RootUnusable: it does not exist.
    """
    if disk is not None:
        yield _root(path, disk)
        return
    real = LinuxDisk(path)
    try:
        yield _root(path, real)
    finally:
        real.close()


def _root(path: str, disk: Disk) -> Root:
    base = Locator(disk).directory(STATE_PATH)
    mounts = disk.mount_points()
    mount = base if base in mounts else mount_of(base, mounts)
    return Root(path, disk, StateLayout(base, mount))


@contextmanager
def change(
    root: Root, environment: Environment, *, recovery: bool = True, dry_run: bool = False
) -> Iterator[tuple[Recovered, ...]]:
    """Hold the lock of a root, after finishing or undoing what an earlier run left.

    Args:
        recovery: False leaves an interrupted transaction to the caller.
        dry_run: in a root without state there is nothing to hold or to recover, and nothing is made.

    Yields:
        What was recovered.

    Raises:
        Locked: another pkg is at work.
        RecoveryFailed: an interrupted transaction could be neither finished nor undone.
    """
    private = root.disk.observe(root.layout.private)
    if private is None and dry_run:
        yield ()
        return
    if private is None:
        _insist_on_permission(root)
        make_state_directories(root.disk, root.layout)
    elif private.kind is not Kind.DIRECTORY or private.uid not in {0, os.geteuid()}:
        raise RootUnusable("the state directory belongs to somebody else", path=f"/{root.layout.private}")
    now = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(environment.clock()))
    holder = f"pid {os.getpid()}, `{environment.command or sys.argv[0]}`, since {now}"
    with root.disk.locked(root.layout.lock, timeout=environment.lock_timeout, holder=holder):
        make_state_directories(root.disk, root.layout)
        found: list[Recovered] = []
        if recovery:
            found = recover(root.disk, root.layout, Direction.AUTOMATIC, now=environment.clock())
        yield tuple(found)


def _insist_on_permission(root: Root) -> None:
    top = root.disk.observe(RelPath(""))
    if top is not None and os.geteuid() not in {0, top.uid}:
        raise RootUnusable(
            "this user may not change the root",
            path=root.path,
            remedy="run the command as root, or as the user who owns the root",
        )
