"""Pure. What tables does the database have, and how do rows and values translate?

Every value read back goes through the vocabulary's own parsers, so that an altered database cannot smuggle in a
path, a version or a type.
"""

import base64
import json
import operator
import re
import sys
from collections.abc import Iterable
from typing import Any, Final

from intact.model.entries import Digest, Xattrs
from intact.model.hooks import Hook, Moment
from intact.model.installed import InstalledPackage, Outcome, OwnedEntry, Seen, TransactionRecord
from intact.model.manifest import PackageChange, PackageIdentity, Relations
from intact.model.objects import Kind
from intact.model.paths import RelPath
from intact.model.relations import parse_relation, parse_requirement
from intact.model.times import LATEST
from intact.model.versions import Version

__all__ = [
    "APPLICATION_ID",
    "ENTRY_COLUMNS",
    "FORMAT",
    "PACKAGE_COLUMNS",
    "SCHEMA",
    "SEEN_COLUMNS",
    "STATEMENTS",
    "TOUCHED",
    "TRANSACTION_COLUMNS",
    "entry_from_row",
    "entry_to_row",
    "package_from_row",
    "package_to_row",
    "seen_from_row",
    "seen_to_row",
    "touched_from_text",
    "touched_to_text",
    "transaction_from_row",
    "transaction_to_row",
]

APPLICATION_ID: Final = 0x496E7463  # "Intc"
FORMAT: Final = 3

SCHEMA: Final = """
CREATE TABLE packages (
    name TEXT PRIMARY KEY, version TEXT NOT NULL, architecture TEXT NOT NULL, summary TEXT NOT NULL,
    license TEXT NOT NULL, relations TEXT NOT NULL, installed_at INTEGER NOT NULL, transaction_id INTEGER NOT NULL,
    manifest_digest TEXT NOT NULL, signers TEXT NOT NULL, size INTEGER NOT NULL, entries INTEGER NOT NULL,
    hooks TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE entries (
    location TEXT NOT NULL, package TEXT NOT NULL, path TEXT, kind TEXT NOT NULL, mode INTEGER NOT NULL,
    uid INTEGER NOT NULL, gid INTEGER NOT NULL, size INTEGER NOT NULL, mtime_ns INTEGER, inode INTEGER NOT NULL,
    digest BLOB, target TEXT NOT NULL, config INTEGER NOT NULL, xattrs TEXT, hardlink TEXT,
    PRIMARY KEY (location, package)
) WITHOUT ROWID;
CREATE INDEX entries_by_package ON entries (package);
CREATE INDEX entries_by_path ON entries (path) WHERE path IS NOT NULL;
CREATE TABLE transactions (
    id INTEGER PRIMARY KEY, kind TEXT NOT NULL, command TEXT NOT NULL, started INTEGER NOT NULL,
    finished INTEGER NOT NULL, outcome TEXT NOT NULL, reason TEXT NOT NULL, packages TEXT NOT NULL,
    notes TEXT NOT NULL, undoes TEXT NOT NULL, retained INTEGER NOT NULL, size INTEGER NOT NULL,
    signers TEXT NOT NULL
);
CREATE TABLE seen (name TEXT PRIMARY KEY, version TEXT NOT NULL, minimum_secure TEXT) WITHOUT ROWID;
"""
# Of packages that a transaction changed in some places: which (JSON). Only in the databases of the way back.
TOUCHED: Final = """
CREATE TABLE touched (package TEXT PRIMARY KEY, locations TEXT NOT NULL) WITHOUT ROWID;
"""
# What sqlite_master holds of a database of ours; a trigger or a view of somebody else's would be one more.
STATEMENTS: Final = tuple(
    sorted(one.strip() for one in schema.split(";") if one.strip()) for schema in (SCHEMA, SCHEMA + TOUCHED)
)

PACKAGE_COLUMNS: Final = (
    "name, version, architecture, summary, license, relations, installed_at, transaction_id,"
    " manifest_digest, signers, size, entries, hooks"
)
ENTRY_COLUMNS: Final = "location, package, path, kind, mode, uid, gid, size, mtime_ns, inode, digest, target, config, xattrs, hardlink"
TRANSACTION_COLUMNS: Final = (
    "id, kind, command, started, finished, outcome, reason, packages, notes, undoes, retained, size, signers"
)
SEEN_COLUMNS: Final = "name, version, minimum_secure"

Row = tuple[Any, ...]
_KINDS: Final = {kind.value: kind for kind in Kind}
_DIGEST_BYTES: Final = 32
_DIGEST: Final = re.compile("[0-9a-f]{64}")
_INODES: Final = 1 << 64  # overlayfs with xino gives numbers of 2^63 and more; SQLite's integers have a sign


def _number(value: Any) -> int:  # noqa: ANN401  SQLite keeps any type in any column
    if type(value) is not int or value < 0:
        raise ValueError(f"{value!r} is not a number")
    return value


def _folded(inode: int) -> int:
    return inode - _INODES if inode >= _INODES // 2 else inode


def _time(mtime_ns: int | None) -> int | None:
    """A time that SQLite cannot hold (after the year 2262) vouches for nothing: the file's content is compared then."""
    return mtime_ns if mtime_ns is not None and abs(mtime_ns) < _INODES // 2 else None


def _inode(value: Any) -> int:  # noqa: ANN401  as above
    if type(value) is not int:
        raise TypeError(f"{value!r} is not a number")
    return value % _INODES


def _second(value: Any) -> int:  # noqa: ANN401  as above
    if _number(value) > LATEST:
        raise ValueError(f"{value} is no time")
    return int(value)


def _text(value: Any) -> str:  # noqa: ANN401  as above
    if type(value) is not str:
        raise TypeError(f"{value!r} is not text")
    return value


def _digest(value: Any) -> Digest:  # noqa: ANN401  as above
    if not _DIGEST.fullmatch(_text(value)):
        raise ValueError(f"{value!r} is no SHA-256")
    return Digest(value)


def _content_digest(value: Any) -> Digest:  # noqa: ANN401  as above
    if type(value) is not bytes or len(value) != _DIGEST_BYTES:
        raise ValueError(f"{value!r} is no SHA-256")
    return Digest(value.hex())


def package_to_row(package: InstalledPackage) -> Row:
    """Return the columns of `PACKAGE_COLUMNS`."""
    identity, relations = package.identity, package.relations
    texts = {
        "requires": [str(one) for one in relations.requires],
        "conflicts": [str(one) for one in relations.conflicts],
        "provides": [str(one) for one in relations.provides],
        "replaces": [str(one) for one in relations.replaces],
    }
    return (
        identity.name,
        str(identity.version),
        identity.architecture,
        package.summary,
        package.license,
        json.dumps(texts),
        package.installed_at,
        package.transaction,
        package.manifest_digest,
        json.dumps(package.signers),
        package.size,
        package.entries,
        json.dumps([[one.when.value, one.command, one.undo, one.seconds] for one in package.hooks]),
    )


def package_from_row(row: Row) -> InstalledPackage:
    """Read a row of `PACKAGE_COLUMNS`; raises ValueError, KeyError or TypeError for a row that cannot be."""
    (
        name,
        version,
        architecture,
        summary,
        license_,
        relations,
        installed_at,
        transaction,
        digest,
        signers,
        size,
        count,
        hooks,
    ) = row
    texts = json.loads(relations)
    return InstalledPackage(
        identity=PackageIdentity(_text(name), Version(version), _text(architecture)),
        relations=Relations(
            requires=tuple(map(parse_requirement, texts["requires"])),
            conflicts=tuple(map(parse_relation, texts["conflicts"])),
            provides=tuple(map(parse_relation, texts["provides"])),
            replaces=tuple(map(parse_relation, texts["replaces"])),
        ),
        summary=_text(summary),
        license=_text(license_),
        installed_at=_second(installed_at),
        transaction=_number(transaction),
        manifest_digest=_digest(digest),
        signers=tuple(map(str, json.loads(signers))),
        size=_number(size),
        entries=_number(count),
        hooks=tuple(
            Hook(Moment(when), tuple(map(str, command)), tuple(map(str, undo)), int(seconds))
            for when, command, undo, seconds in json.loads(hooks)
        ),
    )


def entry_to_row(entry: OwnedEntry, inode: int | None = None) -> Row:
    """Return the columns of `ENTRY_COLUMNS`; a path equal to the location is left out.

    Args:
        inode: that of what has been staged for it since; None if nothing was.
    """
    return (
        str(entry.location),
        entry.package,
        None if entry.path == entry.location else str(entry.path),
        entry.kind.value,
        entry.mode,
        entry.uid,
        entry.gid,
        entry.size,
        _time(entry.mtime_ns),
        _folded(entry.inode if inode is None else inode),
        None if entry.digest is None else bytes.fromhex(entry.digest),
        # A target may hold any bytes (lone surrogates, PEP 383), which SQLite's TEXT cannot; JSON can.
        json.dumps(entry.target) if entry.target else "",
        int(entry.config),
        _xattrs_text(entry.xattrs),
        entry.hardlink and str(entry.hardlink),
    )


def entry_from_row(row: Row) -> OwnedEntry:
    """Read a row of `ENTRY_COLUMNS`; raises ValueError, KeyError or TypeError for a row that cannot be."""
    (
        location,
        package,
        path,
        kind,
        mode,
        uid,
        gid,
        size,
        mtime_ns,
        inode,
        digest,
        target,
        config,
        xattrs,
        hardlink,
    ) = row
    for value in (mode, uid, gid, size):
        if type(value) is not int or value < 0:
            raise ValueError(f"{value!r} is not a number")
    place = RelPath.parse(location)
    return OwnedEntry(  # by position: for a hundred thousand rows, names take noticeably longer
        place,
        place if path is None else RelPath.parse(path),
        sys.intern(_text(package)),
        _KINDS[kind],
        mode,
        uid,
        gid,
        size,
        None if mtime_ns is None else operator.index(mtime_ns),
        _inode(inode),
        None if digest is None else _content_digest(digest),
        str(json.loads(target)) if target else "",
        bool(config),
        _xattrs(xattrs),
        None if hardlink is None else RelPath.parse(hardlink),
    )


def touched_to_text(locations: Iterable[RelPath]) -> str:
    """Return the column `locations` of the table `touched`."""
    return json.dumps(sorted(locations))


def touched_from_text(text: Any) -> frozenset[RelPath]:  # noqa: ANN401  as above
    """Read it; raises ValueError or TypeError for a text that cannot be."""
    return frozenset(RelPath.parse(_text(one)) for one in json.loads(_text(text)))


def _xattrs_text(xattrs: Xattrs) -> str | None:
    if not xattrs:
        return None
    return json.dumps([[name, base64.b64encode(value).decode()] for name, value in xattrs])


def _xattrs(text: str | None) -> Xattrs:
    if text is None:
        return ()
    return tuple((_text(name), base64.b64decode(value, validate=True)) for name, value in json.loads(text))


def transaction_to_row(record: TransactionRecord) -> Row:
    """Return the columns of `TRANSACTION_COLUMNS`."""
    packages = [
        [one.name, None if one.old is None else str(one.old), None if one.new is None else str(one.new)]
        for one in record.packages
    ]
    return (
        record.id,
        record.kind,
        _unicode(record.command),
        record.started,
        record.finished,
        record.outcome.value,
        _unicode(record.reason),
        json.dumps(packages),
        json.dumps(record.notes),
        json.dumps(record.undoes),
        int(record.retained),
        record.size,
        json.dumps(record.signers),
    )


def _unicode(text: str) -> str:
    """Escape what SQLite's TEXT cannot hold: file names on a command line may have any bytes (PEP 383)."""
    return text.encode(errors="backslashreplace").decode()


def transaction_from_row(row: Row) -> TransactionRecord:
    """Read a row of `TRANSACTION_COLUMNS`; raises ValueError or TypeError for a row that cannot be."""
    number, kind, command, started, finished, outcome, reason, packages, notes, undoes, *rest = row
    retained, size, signers = rest
    return TransactionRecord(
        id=_number(number),
        kind=_text(kind),
        command=_text(command),
        started=_second(started),
        finished=_second(finished),
        outcome=Outcome(outcome),
        reason=_text(reason),
        packages=tuple(
            PackageChange(str(name), old and Version(old), new and Version(new))
            for name, old, new in json.loads(packages)
        ),
        notes=tuple(map(str, json.loads(notes))),
        undoes=tuple(map(int, json.loads(undoes))),
        retained=bool(retained),
        size=_number(size),
        signers=tuple((str(name), tuple(map(str, keys))) for name, keys in json.loads(signers)),
    )


def seen_to_row(seen: Seen) -> Row:
    """Return the columns of `SEEN_COLUMNS`."""
    return seen.name, str(seen.version), seen.minimum_secure and str(seen.minimum_secure)


def seen_from_row(row: Row) -> Seen:
    """Read a row of `SEEN_COLUMNS`; raises ValueError or TypeError for a row that cannot be."""
    name, version, floor = row
    return Seen(_text(name), Version(version), None if floor is None else Version(floor))
