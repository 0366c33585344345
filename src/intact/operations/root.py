"""Acts. A root: its disk, its places, what it remembers, and who may change it."""

import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

from intact.model.errors import UNCHANGED, DatabaseDamaged, MachineError, RecoveryFailed, RootUnusable
from intact.model.objects import Kind
from intact.model.paths import RelPath
from intact.operations.locate import Locator
from intact.state.database import Database
from intact.state.layout import MOUNT_DIRECTORY, STATE_PATH, StateLayout, mount_of
from intact.state.ownership import insist_on_own_state
from intact.system.linux import LinuxDisk
from intact.system.port import Disk
from intact.system.signals import signals_held
from intact.transaction.opening import make_state_directories, settle_identity
from intact.transaction.recover import Direction, Recovered, find_interrupted, recover

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

    def tell_progress(self, phase: str, done: int, total: int) -> None:
        """Tell how far it is; a screen that has gone away must not stop a transaction."""
        with suppress(Exception):
            self.progress(phase, done, total)


@dataclass(slots=True)
class Root:
    """An opened root; its layout is complete once somebody has the lock (`change`)."""

    path: str
    disk: Disk
    layout: StateLayout

    def database(self) -> Database:
        """Open the published database for reading; never waits.

        Raises:
            DatabaseTooNew: a newer pkg has written it.
            DatabaseDamaged: it is not a database of ours, or it is gone.
        """
        if self.disk.observe(self.layout.database) is None and self._has_manifests():
            raise DatabaseDamaged(
                "the database is missing, but packages were installed here",
                path=f"/{self.layout.database}",
                root_state="nothing was changed by this command",
                remedy="make it anew with `pkg recover --rebuild`; the packages' own files are not affected",
            )
        return Database.open(self.disk.host_path(self.layout.database))

    def _has_manifests(self) -> bool:
        try:
            seen = self.disk.observe(self.layout.manifests)
            return seen is not None and bool(self.disk.list_directory(self.layout.manifests))
        except MachineError:  # only the owner of the root may look into it
            return False

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
        RootUnusable: it does not exist, or others may write what it remembers.
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
    mounts = disk.boundaries([base / "x"])
    mount = base if base in mounts else mount_of(base, mounts)
    layout = StateLayout(base, mount)
    insist_on_own_state(disk, layout, changing=False)
    return Root(path, disk, layout)


@contextmanager
def change(
    root: Root, environment: Environment, *, recovery: bool = True, dry_run: bool = False
) -> Iterator[tuple[Recovered, ...]]:
    """Hold the lock of a root, after finishing or undoing what an earlier run left.

    Args:
        recovery: False leaves an interrupted transaction to the caller.
        dry_run: nothing is changed: no state is made where there is none, and nothing is recovered.

    Yields:
        What was recovered.

    Raises:
        RootUnusable: it is not this user's, or others may write what it remembers.
        Locked: another pkg is at work.
        RecoveryFailed: an interrupted transaction could be neither finished nor undone, or this is a dry run.
    """
    private = root.disk.observe(root.layout.private)
    if private is None and dry_run:
        yield ()
        return
    if private is None:
        _insist_on_permission(root)
        _insist_on_complete_root(root)
        insist_on_own_state(root.disk, root.layout, changing=True)
        make_state_directories(root.disk, root.layout)
    insist_on_own_state(root.disk, root.layout, changing=True)
    now = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(environment.clock()))
    holder = f"pid {os.getpid()}, `{environment.command or sys.argv[0]}`, since {now}"
    with root.disk.locked(root.layout.lock, timeout=environment.lock_timeout, holder=holder):
        make_state_directories(root.disk, root.layout)
        root.layout = settle_identity(root.disk, root.layout)
        found: list[Recovered] = []
        if dry_run:
            _insist_on_nothing_interrupted(root)
        elif recovery:
            with signals_held():  # it takes moments; a hook that takes longer is ended by the signal
                found = recover(root.disk, root.layout, Direction.AUTOMATIC, now=environment.clock())
        yield tuple(found)


def _insist_on_nothing_interrupted(root: Root) -> None:
    interrupted = find_interrupted(root.disk, root.layout)
    if interrupted:
        raise RecoveryFailed(
            f"transaction {interrupted[0].places.id} was interrupted, and a dry run changes nothing, so it cannot finish it",
            root_state=UNCHANGED,
            remedy="run `pkg recover`, then the same command again",
        )


def _insist_on_complete_root(root: Root) -> None:
    """Where there are slots but no state directory, a filesystem is missing (a rescue shell without /var)."""
    top = RelPath(MOUNT_DIRECTORY)
    seen = root.disk.observe(top)
    if seen is not None and seen.kind is Kind.DIRECTORY and root.disk.list_directory(top):
        raise RootUnusable(
            f"/{STATE_PATH} is missing, but /{top} holds files of transactions; is a filesystem not mounted?",
            path=root.path,
            remedy=f"mount all filesystems of the root; if /{STATE_PATH} is gone for good, move /{top} elsewhere",
        )


def _insist_on_permission(root: Root) -> None:
    top = root.disk.observe(RelPath(""))
    if top is not None and os.geteuid() not in {0, top.uid}:
        raise RootUnusable(
            "this user may not change the root",
            path=root.path,
            remedy="run the command as root, or as the user who owns the root",
        )
