"""Acts. How does a transaction begin, so that whatever it leaves behind has an owner?

1. its directory, 2. opening.json, durable, 3. the journal with the OPEN record, durable. Only then is anything
staged. A crash before 3 leaves a directory without a journal, in which nothing can be of value.
"""

import errno
import hashlib
import os
import re
from collections.abc import Iterable
from contextlib import suppress

from intact.model.access_lists import ACCESS_LIST, DEFAULT_LIST
from intact.model.entries import Digest
from intact.model.errors import JournalDamaged, MachineError, RootUnusable
from intact.model.objects import Attributes, Kind
from intact.model.paths import RelPath
from intact.model.values import dataclass, replace
from intact.state.layout import SLOTS_OPENING, StateLayout, TransactionPlaces
from intact.system.port import Disk
from intact.transaction.journal import Journal, Record
from intact.transaction.leftovers import drop_transaction
from intact.transaction.opening_text import Opening, opening_text, parse_opening
from intact.transaction.phases import Phase

__all__ = [
    "OpenTransaction",
    "make_slot_directories",
    "make_state_directories",
    "next_number",
    "open_transaction",
    "read_opening",
    "settle_identity",
]

_IDENTITY = re.compile(r"[0-9a-f]{16}")


@dataclass(frozen=True, slots=True)
class OpenTransaction:
    """A transaction whose journal says OPEN; made by `open_transaction` alone."""

    places: TransactionPlaces
    opening: Opening
    journal: Journal


def make_state_directories(disk: Disk, layout: StateLayout) -> None:
    """Create what is missing of the state directory, durably."""
    readable = [*layout.base.ancestors, layout.base]
    wanted = [(path, 0o755) for path in readable]
    wanted += [(path, 0o700) for path in (layout.private, layout.manifests, layout.transactions)]
    missing = [(path, mode) for path, mode in wanted if disk.observe(path) is None]
    for path, mode in missing:
        _make_or_find(disk, path, mode)
    for path, _ in missing:
        disk.sync_directory(path.parent)


def _make_or_find(disk: Disk, path: RelPath, mode: int) -> None:
    try:
        disk.make_directory(path, mode)
    except MachineError as error:
        if error.errno != errno.EEXIST:  # another pkg, before either has the lock
            raise


def settle_identity(disk: Disk, layout: StateLayout) -> StateLayout:
    """Return the layout with the identity of this root, which is made once; to be called under the lock."""
    seen = disk.observe(layout.identity)
    if seen is not None and seen.kind is Kind.FILE:
        text = disk.read_file(layout.identity).decode("ascii", "replace").strip()
        if _IDENTITY.fullmatch(text):
            return replace(layout, id=text)
        disk.remove_file(layout.identity)  # a crash while it was written: nothing can have used it
    identity = os.urandom(8).hex()
    disk.write_durably(layout.identity, identity.encode() + b"\n")
    return replace(layout, id=identity)


def _insist_on_own_slots(disk: Disk, layout: StateLayout, mount: RelPath) -> None:
    """Make sure that nobody else can have put anything into our slots on a mount.

    Raises:
        RootUnusable: the directory at the top of the mount belongs to, or is open to, somebody else.
    """
    own = layout.slots_on(mount)
    for directory in (own.parent, own):
        seen = disk.observe(directory)
        if seen is None:
            continue
        if seen.kind is not Kind.DIRECTORY or seen.uid not in {0, os.geteuid()} or seen.mode & 0o077:
            raise RootUnusable(
                "this name is ours, but what bears it belongs to, or is open to, somebody else",
                path=f"/{directory}",
                remedy=f"look who has made /{directory}, and remove it; then run the same command again",
            )


def next_number(disk: Disk, layout: StateLayout, last: int, mounts: Iterable[RelPath]) -> int:
    """Choose the number of a transaction: a higher one than the last, and than any that history or slots there still bear.

    The state directory may have been restored from a copy that is older than what lies on other mounts.

    Args:
        last: the highest number that the database knows.
        mounts: those that the transaction will have slots on; no others are looked at.

    Raises:
        RootUnusable: somebody else can have put something into our slots.
    """
    names = disk.list_directory(layout.transactions)
    for mount in mounts:
        if mount != layout.mount:
            _insist_on_own_slots(disk, layout, mount)
            own = layout.slots_on(mount)
            names += disk.list_directory(own) if disk.observe(own) is not None else []
    numbers = (name.partition(".")[0] for name in names)
    return max([last, *(int(number) for number in numbers if number.isdigit())]) + 1


def open_transaction(disk: Disk, layout: StateLayout, number: int, opening: Opening) -> OpenTransaction:
    """Begin transaction `number`; its OPEN record is durable on return.

    Raises:
        MachineError: the system refused; nothing is left of it, if the disk lets us.
    """
    places = layout.transaction(number)
    disk.make_directory(places.home)
    try:
        journal = _begin(disk, layout, places, opening)
    except MachineError:
        with suppress(MachineError):
            drop_transaction(disk, layout, number, ())
        raise
    return OpenTransaction(places, opening, journal)


def _begin(disk: Disk, layout: StateLayout, places: TransactionPlaces, opening: Opening) -> Journal:
    disk.sync_directory(layout.transactions)
    text = opening_text(opening)
    disk.write_durably(places.opening, text)
    record = Record(Phase.OPEN, opening.started, attached=hashlib.sha256(text).hexdigest())
    return Journal.create(disk, places.journal, places.id, record)


def make_slot_directories(disk: Disk, transaction: OpenTransaction) -> None:
    """Make the places in which objects are staged, on every mount of the transaction."""
    places = transaction.places
    disk.make_directory(places.slots)
    _drop_access_lists(disk, places.slots)
    for mount in transaction.opening.mounts:
        disk.watch_filesystem(mount)
        directory = places.slot_directory(mount)
        if directory == places.slots:
            continue
        for above in (directory.parent.parent, directory.parent):
            if disk.observe(above) is None:
                disk.make_directory(above)
        disk.make_directory(directory)
        _drop_access_lists(disk, directory)
        # It tells whose slots they are, if the rest is lost.
        with disk.create_file(directory / SLOTS_OPENING) as writer:
            writer.write(opening_text(transaction.opening))
        disk.learn_renames(directory)
    disk.learn_renames(places.slots)
    disk.watch_filesystem(places.home)


def _drop_access_lists(disk: Disk, directory: RelPath) -> None:
    """A default list of a directory above (acl(5)) would be inherited by all that is staged, and go with it."""
    seen = disk.observe(directory, xattrs=True)
    if seen is not None and any(name == DEFAULT_LIST for name, _ in seen.xattrs):
        attributes = Attributes(seen.mode, seen.uid, seen.gid)
        disk.set_attributes(directory, attributes, without=(ACCESS_LIST, DEFAULT_LIST), seen=seen)


def read_opening(disk: Disk, places: TransactionPlaces, expected: Digest) -> Opening:
    """Read opening.json again.

    Raises:
        JournalDamaged: it is missing or not what the journal vouches for.
    """
    seen = disk.observe(places.opening)
    text = disk.read_file(places.opening) if seen is not None and seen.kind is Kind.FILE else b""
    if hashlib.sha256(text).hexdigest() != expected:
        raise JournalDamaged("the opening is missing or altered", path=f"/{places.opening}")
    try:
        return parse_opening(text)
    except ValueError as error:  # none of ours
        raise JournalDamaged(f"the opening cannot be read ({error})", path=f"/{places.opening}") from error
