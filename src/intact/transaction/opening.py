"""Acts. How does a transaction begin, so that whatever it leaves behind has an owner?

1. its directory, 2. opening.json, durable, 3. the journal with the OPEN record, durable. Only then is anything
staged. A crash before 3 leaves a directory without a journal, in which nothing can be of value.
"""

import hashlib
import json
from dataclasses import dataclass

from intact.model.entries import Digest
from intact.model.errors import JournalDamaged
from intact.model.objects import Kind
from intact.model.paths import ROOT, RelPath
from intact.state.layout import MOUNT_DIRECTORY, StateLayout, TransactionPlaces
from intact.system.port import Disk
from intact.transaction.journal import Journal, Record
from intact.transaction.phases import Phase

__all__ = ["OpenTransaction", "Opening", "make_state_directories", "open_transaction", "read_opening"]


@dataclass(frozen=True, slots=True)
class Opening:
    """What a transaction was meant to do.

    Attributes:
        kind: ``install``, ``remove`` or ``rollback``.
        command: what was typed, for people.
        started: seconds since 1970.
        mounts: mount points on which something may be staged.
        undoes: transactions that this one rolls back.
    """

    kind: str
    command: str
    started: int
    mounts: tuple[RelPath, ...]
    undoes: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class OpenTransaction:
    """A transaction whose journal says OPEN; made by `open_transaction` alone."""

    places: TransactionPlaces
    opening: Opening
    journal: Journal


def make_state_directories(disk: Disk, layout: StateLayout) -> None:
    """Create what is missing of the state directory, durably."""
    missing = [path for path in [*layout.base.ancestors, layout.base] if disk.observe(path) is None]
    for path in missing:
        disk.make_directory(path, 0o755)
    for path in (layout.private, layout.manifests, layout.transactions):
        if disk.observe(path) is None:
            disk.make_directory(path)
            missing.append(path)
    for path in missing:
        disk.sync_directory(path.parent)


def open_transaction(disk: Disk, layout: StateLayout, number: int, opening: Opening) -> OpenTransaction:
    """Begin transaction `number`; its OPEN record is durable on return."""
    places = layout.transaction(number)
    disk.make_directory(places.home)
    disk.sync_directory(layout.transactions)
    text = json.dumps(
        {
            "kind": opening.kind,
            "command": opening.command,
            "started": opening.started,
            "mounts": opening.mounts,
            "undoes": opening.undoes,
        }
    ).encode()
    disk.write_durably(places.opening, text)
    record = Record(Phase.OPEN, opening.started, attached=hashlib.sha256(text).hexdigest())
    journal = Journal.create(disk, places.journal, number, record)
    _make_slot_directories(disk, places, opening.mounts)
    return OpenTransaction(places, opening, journal)


def _make_slot_directories(disk: Disk, places: TransactionPlaces, mounts: tuple[RelPath, ...]) -> None:
    disk.make_directory(places.slots)
    for mount in mounts:
        disk.watch_filesystem(mount)
        directory = places.slot_directory(mount)
        if directory == places.slots:
            continue
        top = mount / MOUNT_DIRECTORY
        if disk.observe(top) is None:
            disk.make_directory(top)
        disk.make_directory(directory)
        disk.learn_renames(directory)
    disk.learn_renames(places.slots)
    disk.watch_filesystem(places.home)


def read_opening(disk: Disk, places: TransactionPlaces, expected: Digest) -> Opening:
    """Read opening.json again.

    Raises:
        JournalDamaged: it is missing or not what the journal vouches for.
    """
    seen = disk.observe(places.opening)
    text = disk.read_file(places.opening) if seen is not None and seen.kind is Kind.FILE else b""
    if hashlib.sha256(text).hexdigest() != expected:
        raise JournalDamaged("the opening is missing or altered", path=f"/{places.opening}")
    value = json.loads(text)
    return Opening(
        kind=value["kind"],
        command=value["command"],
        started=value["started"],
        mounts=tuple(RelPath.parse(one) if one else ROOT for one in value["mounts"]),
        undoes=tuple(value["undoes"]),
    )
