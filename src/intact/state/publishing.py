"""Acts. How does the next generation of a file of our state come to lie ready, and take the place of the one before?"""

import os
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from intact.model.errors import machine_error
from intact.model.objects import Attributes
from intact.model.paths import RelPath
from intact.state.next_generation import DatabaseChanges, next_generation, way_back
from intact.state.sqlite_errors import told
from intact.system.port import Disk

__all__ = ["publish", "stage_database", "stage_way_back"]


def stage_database(disk: Disk, current: RelPath, target: RelPath, changes: DatabaseChanges) -> None:
    """Write the database as it will be after `changes`, readable by everybody; not yet durable.

    Raises:
        NoSpace: the disk is full.
        MachineError: it could not be written.
    """
    with _faults_told(disk, target):
        next_generation(disk.host_path(current), disk.host_path(target), changes)
    disk.set_attributes(target, Attributes(0o644, os.geteuid(), os.getegid()))


def stage_way_back(
    disk: Disk, current: RelPath, target: RelPath, before: Mapping[str, frozenset[RelPath] | None]
) -> None:
    """Write what a transaction changes in the database, as it is before; not yet durable.

    Args:
        before: the packages that change, and where they do; None for everywhere.

    Raises:
        NoSpace: the disk is full.
        MachineError: it could not be written.
    """
    with _faults_told(disk, target):
        way_back(disk.host_path(current), disk.host_path(target), before)


@contextmanager
def _faults_told(disk: Disk, target: RelPath) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise machine_error("stage_database", error, f"/{target}") from error
    except sqlite3.Error as error:
        raise told("stage_database", error, disk.host_path(target), f"/{target}", writing=True) from error


def publish(disk: Disk, scratch: RelPath, target: RelPath) -> None:
    """Rename a durable file into its place; durable on return, and `scratch` is gone.

    Both directories are synced: on btrfs a power cut after syncing the target's alone leaves both names. Then
    rename(2) does nothing, as it says of two names of one file, and the old name has to be removed.
    """
    disk.move_over(scratch, target)
    if disk.observe(scratch) is not None:
        disk.remove_file(scratch)
    for directory in sorted({scratch.parent, target.parent}):
        disk.sync_directory(directory)
