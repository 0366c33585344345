"""Acts. What does the published database say?

The file is never modified after it was published: the next one replaces it by a rename. So it is opened as
immutable, without any lock, and no reader can delay or block a writer, whoever the reader is.
"""

import os
import sqlite3
from collections.abc import Callable, Collection, Iterable, Iterator, Sized
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, NoReturn, TypeVar

from intact.model.entries import Digest
from intact.model.errors import DatabaseTooNew, machine_error
from intact.model.installed import InstalledPackage, OwnedEntry, Ownership, Seen, TransactionRecord
from intact.model.paths import RelPath
from intact.state.schema import (
    APPLICATION_ID,
    ENTRY_COLUMNS,
    FORMAT,
    PACKAGE_COLUMNS,
    SCHEMA,
    SEEN_COLUMNS,
    STATEMENTS,
    TRANSACTION_COLUMNS,
    entry_from_row,
    package_from_row,
    seen_from_row,
    touched_from_text,
    transaction_from_row,
)
from intact.state.sqlite_errors import told

__all__ = ["Database", "published_uri"]

_Value = TypeVar("_Value")
_BATCH, _LEFT_OUT = 500, 400  # SQLite takes at least 999 parameters in one statement


def _places(parameters: Sized) -> str:
    return ", ".join("?" * len(parameters))


def published_uri(path: Path) -> str:
    """Name a published database for SQLite: to be read without locks, because it is never modified."""
    escaped = "".join(f"%{byte:02x}" for byte in os.fsencode(path.absolute()))
    return f"file:{escaped}?mode=ro&immutable=1"


def _file_at(path: Path) -> tuple[int, ...] | None:
    """Tell the file at a path from all others that have been there or will be; None if there is none."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns


class Database:
    """The database of a root, as of one transaction."""

    def __init__(
        self, connection: sqlite3.Connection, place: str, file: tuple[int, ...] | None = None
    ) -> None:
        """Use `open`; `file` tells the opened file from others, if that is known."""
        self._connection = connection
        self._place = place
        self._file = file
        self._process = os.getpid()
        self._entries: dict[str, list[OwnedEntry]] = {}

    @classmethod
    def open(cls, path: Path) -> "Database":
        """Open the database at `path`; where there is none, it is an empty one and nothing is created.

        Raises:
            DatabaseTooNew: a newer pkg has written it.
            DatabaseDamaged: it is not a database of ours.
        """
        try:
            is_there = path.exists()
        except OSError as error:
            raise machine_error("open", error, str(path)) from error
        if not is_there:
            connection = sqlite3.connect(":memory:")
            connection.executescript(SCHEMA)
            return cls(connection, str(path))
        before = _file_at(path)
        try:
            connection = sqlite3.connect(published_uri(path), uri=True)
        except sqlite3.Error as error:
            raise told("open", error, path, str(path)) from error
        database = cls(connection, str(path), before if before == _file_at(path) else None)
        try:
            database._check_format()
        except BaseException:
            connection.close()
            raise
        return database

    @contextmanager
    def in_this_process(self) -> "Iterator[Database]":
        """Give the same database to a child of the process that has opened it: SQLite does not outlive a fork.

        Raises:
            DatabaseDamaged: the next one has taken its place since.
        """
        if os.getpid() == self._process:
            yield self
            return
        with self.open(Path(self._place)) as again:
            if self._file is None or again._file != self._file:  # noqa: SLF001  same class
                self._refuse("it is another one by now")
            yield again

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    def __enter__(self) -> "Database":  # noqa: PYI034  Self starts with Python 3.11
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @contextmanager
    def _damage_named(self) -> Iterator[None]:
        try:
            yield
        except (
            sqlite3.Error,
            ValueError,
            KeyError,
            TypeError,
            AttributeError,
            OverflowError,
            RecursionError,
        ) as error:
            raise told("read", error, Path(self._place), self._place) from error

    def _check_format(self) -> None:
        with self._damage_named():
            self._connection.execute("PRAGMA trusted_schema=OFF")
            self._connection.execute("PRAGMA cell_size_check=ON")
            (application,) = self._connection.execute("PRAGMA application_id").fetchone()
            (version,) = self._connection.execute("PRAGMA user_version").fetchone()
        if application == APPLICATION_ID and version > FORMAT:
            raise DatabaseTooNew(
                f"the database has format {version}, and this pkg knows formats up to {FORMAT}",
                path=self._place,
                remedy="use the newer pkg that wrote it",
            )
        if application != APPLICATION_ID or version != FORMAT:
            self._refuse("it is not a database of Intact")
        made = self._rows("SELECT type, sql FROM sqlite_master", (), tuple)
        if sorted(str(sql) for _, sql in made if sql is not None) not in STATEMENTS or any(
            kind != "index" for kind, sql in made if sql is None
        ):
            self._refuse("it has other tables, indexes, views or triggers than a database of Intact")

    def _refuse(self, fault: str) -> NoReturn:
        raise told("open", ValueError(fault), Path(self._place), self._place)

    def _rows(self, query: str, parameters: Iterable[Any], read: Callable[[Any], _Value]) -> list[_Value]:
        with self._damage_named():
            return [read(row) for row in self._connection.execute(query, tuple(parameters))]

    def last_transaction(self) -> int:
        """Return the highest transaction number, 0 before the first."""
        (number,) = self._rows("SELECT coalesce(max(id), 0) FROM transactions", (), lambda row: int(row[0]))
        return number

    def packages(self) -> list[InstalledPackage]:
        """Return all installed packages, sorted by name."""
        return self._rows(f"SELECT {PACKAGE_COLUMNS} FROM packages ORDER BY name", (), package_from_row)  # noqa: S608

    def package(self, name: str) -> InstalledPackage | None:
        """Return one package, or None if it is not installed."""
        query = f"SELECT {PACKAGE_COLUMNS} FROM packages WHERE name = ?"  # noqa: S608  constants
        found = self._rows(query, (name,), package_from_row)
        return found[0] if found else None

    def entries(self, package: str) -> list[OwnedEntry]:
        """Return what a package owns, sorted by location; read once, because a published database never changes."""
        if package not in self._entries:
            query = f"SELECT {ENTRY_COLUMNS} FROM entries WHERE package = ? ORDER BY location"  # noqa: S608  constants
            self._entries[package] = self._rows(query, (package,), entry_from_row)
        return list(self._entries[package])

    def counts(self) -> dict[str, int]:
        """Count the entries of each package that has any, by name."""
        query = "SELECT package, count(*) FROM entries GROUP BY package"
        return dict(self._rows(query, (), lambda row: (str(row[0]), int(row[1]))))

    def entries_between(self, package: str, start: int, stop: int) -> Iterator[OwnedEntry]:
        """Yield some of what a package owns, by their place in the order of locations, and hold one of them at a time."""
        query = f"SELECT {ENTRY_COLUMNS} FROM entries WHERE package = ? ORDER BY location LIMIT ? OFFSET ?"  # noqa: S608  constants
        with self._damage_named():
            rows = self._connection.execute(query, (package, stop - start, start))
        while True:
            with self._damage_named():
                row = rows.fetchone()
                entry = None if row is None else entry_from_row(row)
            if entry is None:
                return
            yield entry

    def entries_at(self, package: str, locations: Iterable[RelPath]) -> list[OwnedEntry]:
        """Return what a package owns at these locations, sorted by location."""
        return self._own_entries(package, "location", locations)

    def entries_called(self, package: str, paths: Iterable[RelPath]) -> list[OwnedEntry]:
        """Return what a package owns that its manifest calls so, sorted by location."""
        wanted = list(paths)
        found = self._own_entries(package, "location", wanted, "AND path IS NULL")
        found += self._own_entries(package, "path", wanted)
        return sorted(found, key=lambda one: one.location)

    def _own_entries(
        self, package: str, column: str, values: Iterable[RelPath], condition: str = ""
    ) -> list[OwnedEntry]:
        wanted = sorted(set(values))
        found: list[OwnedEntry] = []
        for start in range(0, len(wanted), _BATCH):
            batch = [str(one) for one in wanted[start : start + _BATCH]]
            # Without the sign, SQLite may go through all that the package has, for each batch.
            where = f"WHERE {column} IN ({_places(batch)}) AND +package = ? {condition}"
            query = f"SELECT {ENTRY_COLUMNS} FROM entries {where} ORDER BY location"  # noqa: S608  our own columns
            found += self._rows(query, (*batch, package), entry_from_row)
        return sorted(found, key=lambda one: one.location)

    def entries_ending(self, package: str, ending: str) -> list[OwnedEntry]:
        """Return what a package owns whose location ends like this, sorted by location."""
        query = (
            f"SELECT {ENTRY_COLUMNS} FROM entries"  # noqa: S608  constants
            " WHERE package = ? AND substr(location, -length(?)) = ? ORDER BY location"
        )
        return self._rows(query, (package, ending, ending), entry_from_row)

    def ownerships(self) -> list[Ownership]:
        """Return the packages with what the database tells of their entries, sorted by name."""
        touched: dict[str, Any] = {}
        if self._rows("SELECT name FROM sqlite_master WHERE name = 'touched'", (), tuple):
            touched = dict(
                self._rows(
                    "SELECT package, locations FROM touched",
                    (),
                    lambda row: (str(row[0]), touched_from_text(row[1])),
                )
            )
        return [
            Ownership(one, tuple(self.entries(one.identity.name)), touched.get(one.identity.name))
            for one in self.packages()
        ]

    def owners(
        self, locations: Iterable[RelPath], besides: Collection[str] = ()
    ) -> dict[RelPath, list[OwnedEntry]]:
        """Return who owns each of the locations; those that nobody owns are left out.

        Args:
            besides: packages that do not count.
        """
        wanted = sorted(set(locations))
        left_out = sorted(besides)[:_LEFT_OUT]  # the rest of them, if there are so many, below
        condition = f"location IN ({{}}) AND package NOT IN ({_places(left_out)})"
        found: dict[RelPath, list[OwnedEntry]] = {}
        for start in range(0, len(wanted), _BATCH):
            batch = [str(one) for one in wanted[start : start + _BATCH]]
            query = f"SELECT {ENTRY_COLUMNS} FROM entries WHERE {condition.format(_places(batch))}"  # noqa: S608  question marks
            for entry in self._rows(query, (*batch, *left_out), entry_from_row):
                if entry.package not in besides:
                    found.setdefault(entry.location, []).append(entry)
        return found

    def holding(self, digest: Digest) -> list[OwnedEntry]:
        """Return the files that have this content, as they were installed; looks at every entry."""
        query = f"SELECT {ENTRY_COLUMNS} FROM entries WHERE digest = ? ORDER BY location"  # noqa: S608  our own columns
        return self._rows(query, (bytes.fromhex(digest),), entry_from_row)

    def owner_of(self, path: RelPath) -> list[OwnedEntry]:
        """Return who owns a path, given as location or as a manifest says it."""
        query = f"SELECT {ENTRY_COLUMNS} FROM entries WHERE location = ? OR path = ? ORDER BY package"  # noqa: S608
        return self._rows(query, (str(path), str(path)), entry_from_row)

    def history(self) -> list[TransactionRecord]:
        """Return all transactions, newest first."""
        query = f"SELECT {TRANSACTION_COLUMNS} FROM transactions ORDER BY id DESC"  # noqa: S608  constants
        return self._rows(query, (), transaction_from_row)

    def transaction(self, number: int) -> TransactionRecord | None:
        """Return one transaction."""
        query = f"SELECT {TRANSACTION_COLUMNS} FROM transactions WHERE id = ?"  # noqa: S608  constants
        found = self._rows(query, (number,), transaction_from_row)
        return found[0] if found else None

    def seen(self, name: str) -> Seen | None:
        """Return what is remembered of a package's versions; None if it was never installed here."""
        query = f"SELECT {SEEN_COLUMNS} FROM seen WHERE name = ?"  # noqa: S608  constants
        found = self._rows(query, (name,), seen_from_row)
        return found[0] if found else None
