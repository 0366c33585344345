"""Acts. How is the database after a transaction written, without touching the database before it?

The current file is copied, the copy is changed in one SQL transaction, and that is the next generation: a complete
file of its own, which somebody else makes durable and renames into place. SQLite's own journal and syncs are
off, because a crash only leaves a scratch file.

The way back is a database, too: of the packages that a transaction changes, as far as it does.
"""

import os
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path

from intact.model.installed import Ownership, Seen, TransactionRecord
from intact.model.paths import RelPath
from intact.model.values import dataclass, field
from intact.state.database import published_uri
from intact.state.schema import (
    APPLICATION_ID,
    ENTRY_COLUMNS,
    FORMAT,
    PACKAGE_COLUMNS,
    SCHEMA,
    SEEN_COLUMNS,
    TOUCHED,
    TRANSACTION_COLUMNS,
    entry_to_row,
    package_to_row,
    seen_from_row,
    seen_to_row,
    touched_to_text,
    transaction_to_row,
)
from intact.state.sqlite_errors import told

__all__ = ["DatabaseChanges", "next_generation", "way_back"]

_CHUNK = 1 << 20


@dataclass(frozen=True, slots=True)
class DatabaseChanges:
    """What a transaction changes in the database.

    Attributes:
        transaction: its line of the history; None if nothing happened to the root.
        removed: names of packages that are gone.
        installed: packages with their entries; what they had before is replaced, as far as these tell of it.
        no_longer_retained: transactions whose backups go.
        seen: versions that were here, besides those of `installed`, and what their bundles call secure.
        inodes: numbers that entries of `installed` have got since, by location.
    """

    transaction: TransactionRecord | None
    removed: tuple[str, ...] = ()
    installed: tuple[Ownership, ...] = ()
    no_longer_retained: tuple[int, ...] = ()
    seen: tuple[Seen, ...] = ()
    inodes: Mapping[RelPath, int] = field(default_factory=dict)


def next_generation(current: Path, target: Path, changes: DatabaseChanges) -> None:
    """Write the database as it will be after `changes` to the new file `target` (mode 0600, not synced).

    Args:
        current: the database so far; it need not exist.

    Raises:
        OSError: a file could not be read or written.
        sqlite3.Error: as above, from SQLite.
    """
    is_new = not _copy(current, target)
    with _written(target, SCHEMA if is_new else "") as connection:
        _apply(connection, changes)


def way_back(current: Path, target: Path, before: Mapping[str, frozenset[RelPath] | None]) -> None:
    """Write what a transaction changes, as it is before it, to the new file `target` (mode 0600, not synced).

    SQLite copies the rows; whoever reads them there finds out whether they can be.

    Args:
        current: the database so far; it need not exist where nothing is installed.
        before: the packages that change, and where they do; None for everywhere.

    Raises:
        OSError: the file could not be written.
        sqlite3.Error: as above, from SQLite.
        MachineError: `current` could not be opened.
    """
    os.close(_create(target))
    with _written(target, SCHEMA + TOUCHED, current if before else None) as connection:
        for name, touched in before.items():
            _copy_rows(connection, "packages", PACKAGE_COLUMNS, "name = ?", [(name,)])
            if touched is None:
                _copy_rows(connection, "entries", ENTRY_COLUMNS, "package = ? ORDER BY location", [(name,)])
                continue
            places = ((name, str(location)) for location in touched)
            _copy_rows(connection, "entries", ENTRY_COLUMNS, "package = ? AND location = ?", places)
            _insert(connection, "touched", "package, locations", [(name, touched_to_text(touched))])


@contextmanager
def _written(target: Path, schema: str, source: Path | None = None) -> Iterator[sqlite3.Connection]:
    """Open a file that nobody else knows yet, for one SQL transaction.

    Args:
        schema: for a new file.
        source: a published database to be read as `source`.
    """
    with closing(sqlite3.connect(target.absolute(), isolation_level=None, uri=True)) as connection:
        connection.execute("PRAGMA trusted_schema=OFF")
        connection.execute("PRAGMA cell_size_check=ON")
        connection.execute("PRAGMA journal_mode=OFF")
        connection.execute("PRAGMA synchronous=OFF")
        if schema:
            connection.execute(f"PRAGMA application_id={APPLICATION_ID}")
            connection.execute(f"PRAGMA user_version={FORMAT}")
            connection.executescript(schema)
        if source is not None:
            _attach(connection, source)
        connection.execute("BEGIN")
        yield connection
        connection.execute("COMMIT")


def _attach(connection: sqlite3.Connection, source: Path) -> None:
    try:
        connection.execute("ATTACH ? AS source", (published_uri(source),))
    except sqlite3.Error as error:  # the fault is not that of the file that is being written
        raise told("open", error, source, str(source)) from error


def _create(target: Path) -> int:
    flags = os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC
    return os.open(target, flags, 0o600)


def _copy(current: Path, target: Path) -> bool:
    """Create `target`, private, with the content of `current`; False if there is none."""
    with os.fdopen(_create(target), "wb") as copy:
        try:
            source = current.open("rb")
        except FileNotFoundError:
            return False
        with source:
            while chunk := source.read(_CHUNK):
                copy.write(chunk)
    return True


def _apply(connection: sqlite3.Connection, changes: DatabaseChanges) -> None:
    for name in changes.removed:
        connection.execute("DELETE FROM entries WHERE package = ?", (name,))
        connection.execute("DELETE FROM packages WHERE name = ?", (name,))
    for one in changes.installed:
        identity = one.package.identity
        _insert(connection, "packages", PACKAGE_COLUMNS, [package_to_row(one.package)])
        rows = (entry_to_row(entry, changes.inodes.get(entry.location)) for entry in one.entries)
        _change_entries(connection, identity.name, rows, one.touched)
        _remember(connection, Seen(identity.name, identity.version))
    for seen in changes.seen:
        _remember(connection, seen)
    connection.executemany(
        "UPDATE transactions SET retained = 0 WHERE id = ?", [(one,) for one in changes.no_longer_retained]
    )
    if changes.transaction is not None:
        _insert(connection, "transactions", TRANSACTION_COLUMNS, [transaction_to_row(changes.transaction)])


def _change_entries(
    connection: sqlite3.Connection,
    package: str,
    rows: Iterable[tuple[object, ...]],
    touched: frozenset[RelPath] | None,
) -> None:
    """Write what is new or different and delete what is gone: an upgrade costs what changed."""
    query = f"SELECT {ENTRY_COLUMNS} FROM entries WHERE package = ?"  # noqa: S608  constants
    if touched is None:
        found = list(connection.execute(query, (package,)))
    else:
        one = f"{query} AND location = ?"
        found = [row for at in touched for row in connection.execute(one, (package, str(at)))]
    before = {row[0]: row for row in found}
    if not before:  # a new package: its rows need not be in memory all at once
        _insert(connection, "entries", ENTRY_COLUMNS, rows)
        return
    after = {row[0]: row for row in rows}
    gone = [(location, package) for location in before.keys() - after.keys()]
    connection.executemany("DELETE FROM entries WHERE location = ? AND package = ?", gone)
    changed = (row for location, row in after.items() if before.get(location) != row)
    _insert(connection, "entries", ENTRY_COLUMNS, changed)


def _insert(
    connection: sqlite3.Connection, table: str, columns: str, rows: Iterable[tuple[object, ...]]
) -> None:
    places = ", ".join("?" * (columns.count(",") + 1))
    connection.executemany(f"INSERT OR REPLACE INTO {table} ({columns}) VALUES ({places})", rows)  # noqa: S608  constants


def _copy_rows(
    connection: sqlite3.Connection, table: str, columns: str, where: str, keys: Iterable[tuple[str, ...]]
) -> None:
    query = f"INSERT INTO {table} ({columns}) SELECT {columns} FROM source.{table} WHERE {where}"  # noqa: S608  constants
    try:
        connection.executemany(query, keys)
    except sqlite3.DatabaseError as error:
        if type(error) is not sqlite3.DatabaseError:  # such as a full disk
            raise
        (source,) = (one[2] for one in connection.execute("PRAGMA database_list") if one[1] == "source")
        raise told(
            "read", error, Path(source), source
        ) from error  # what is being written is not the damaged one


def _remember(connection: sqlite3.Connection, new: Seen) -> None:
    """Keep the highest version, and the highest floor, ever seen; they outlive the package."""
    query = f"SELECT {SEEN_COLUMNS} FROM seen WHERE name = ?"  # noqa: S608  constants
    row = connection.execute(query, (new.name,)).fetchone()
    if row is not None:
        old = seen_from_row(row)
        floors = [one for one in (old.minimum_secure, new.minimum_secure) if one is not None]
        new = Seen(new.name, max(old.version, new.version), max(floors, default=None))
    _insert(connection, "seen", SEEN_COLUMNS, [seen_to_row(new)])
