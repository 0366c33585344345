"""Acts. A root: its disk, its places, and what it remembers."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from intact.model.errors import DatabaseDamaged, MachineError
from intact.model.values import dataclass, field
from intact.operations.locate import Locator
from intact.state.database import Database
from intact.state.layout import STATE_PATH, StateLayout, mount_of
from intact.state.ownership import insist_on_own_state
from intact.system.linux import LinuxDisk
from intact.system.port import Disk

__all__ = ["Environment", "Root", "open_root"]


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
    """An opened root; its layout is complete once somebody has the lock (`changing.change`)."""

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
