"""Acts. Who may change a root now, and what has to be settled before?

Apart from `root`, because a command that only asks must not wait until everything that recovers has been loaded.
"""

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from intact.model.errors import UNCHANGED, RecoveryFailed, RootUnusable
from intact.model.objects import Kind
from intact.model.paths import RelPath
from intact.operations.root import Environment, Root
from intact.state.layout import MOUNT_DIRECTORY, STATE_PATH
from intact.state.ownership import insist_on_own_state
from intact.system.signals import signals_held
from intact.transaction.opening import make_state_directories, settle_identity
from intact.transaction.recover import Direction, Recovery, find_interrupted, recover

__all__ = ["change"]


@contextmanager
def change(
    root: Root, environment: Environment, *, recovery: bool = True, dry_run: bool = False
) -> Iterator[Recovery]:
    """Hold the lock of a root, after finishing or undoing what an earlier run left.

    Args:
        recovery: False leaves an interrupted transaction to the caller.
        dry_run: nothing is changed: no state is made where there is none, and nothing is recovered.

    Yields:
        What was recovered, and what has become of older leftovers.

    Raises:
        RootUnusable: it is not this user's, or others may write what it remembers.
        Locked: another pkg is at work.
        RecoveryFailed: an interrupted transaction could be neither finished nor undone, or this is a dry run.
    """
    private = root.disk.observe(root.layout.private)
    if private is None and dry_run:
        yield Recovery()
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
        found = Recovery()
        if dry_run:
            _insist_on_nothing_interrupted(root)
        elif recovery:
            with signals_held():  # it takes moments; a hook that takes longer is ended by the signal
                found = recover(root.disk, root.layout, Direction.AUTOMATIC, now=environment.clock())
        yield found


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
