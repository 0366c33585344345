"""The published database: what it says, who may read it, and what it refuses."""

import os
import re
import sqlite3
import subprocess
import sys
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from intact.model.entries import Digest
from intact.model.errors import DatabaseDamaged, DatabaseTooNew, MachineError, NoSpace
from intact.model.installed import InstalledPackage, Outcome, OwnedEntry, Ownership, Seen, TransactionRecord
from intact.model.manifest import PackageChange, PackageIdentity, Relations
from intact.model.objects import Kind
from intact.model.paths import RelPath
from intact.model.relations import parse_relation, parse_requirement
from intact.model.versions import Version
from intact.state.database import Database
from intact.state.next_generation import DatabaseChanges, next_generation, way_back
from intact.state.publishing import stage_database
from intact.system.linux import LinuxDisk

RECORD = TransactionRecord(
    id=1,
    kind="install",
    command="pkg install hello",
    started=10,
    finished=11,
    outcome=Outcome.COMMITTED,
    reason="because",
    packages=(PackageChange("hello", None, Version("1.0")),),
    notes=("a note",),
    undoes=(3, 4),
    retained=True,
    size=77,
)
PACKAGE = InstalledPackage(
    identity=PackageIdentity("hello", Version("1:1.0-1"), "amd64"),
    relations=Relations(
        requires=(parse_requirement("a (>= 1) | b"),),
        conflicts=(parse_relation("c"),),
        provides=(parse_relation("d (= 2)"),),
        replaces=(parse_relation("e (<< 3)"),),
    ),
    summary="Says hello",
    license="MIT",
    installed_at=12,
    transaction=1,
    manifest_digest=Digest("ab" * 32),
    signers=("SHA256:x",),
    size=5,
    entries=3,
)
FILE = OwnedEntry(
    RelPath("usr/lib/x"),
    RelPath("lib/x"),
    "hello",
    Kind.FILE,
    0o4755,
    1,
    2,
    size=5,
    mtime_ns=99,
    inode=123,
    digest=Digest("cd" * 32),
    config=True,
    xattrs=(("security.capability", b"\x01\x00"),),
)
LINK = OwnedEntry(
    RelPath("usr/odd"), RelPath("usr/odd"), "hello", Kind.SYMLINK, 0o777, 0, 0, target="b\udcffd"
)
TWIN = replace(FILE, location=RelPath("usr/twin"), path=RelPath("usr/twin"), hardlink=RelPath("usr/lib/x"))
CHANGES = DatabaseChanges(RECORD, (), (Ownership(PACKAGE, (FILE, LINK, TWIN)),))


@pytest.mark.parametrize("inode", [0, (1 << 63) - 1, 1 << 63, (1 << 64) - 1])
def test_every_inode_number_that_the_kernel_can_give_comes_back(inode: int, tmp_path: Path) -> None:
    entry = replace(FILE, inode=inode)
    place = tmp_path / "database"
    next_generation(tmp_path / "none", place, DatabaseChanges(RECORD, (), (Ownership(PACKAGE, (entry,)),)))
    with Database.open(place) as database:
        assert database.entries("hello") == [entry]


@pytest.fixture
def published(tmp_path: Path) -> Path:
    """A database with one package."""
    path = tmp_path / "installed.db"
    next_generation(tmp_path / "nothing", path, CHANGES)
    return path


def _after(path: Path, changes: DatabaseChanges) -> Path:
    target = path.with_name(f"{path.name}.next")
    next_generation(path, target, changes)
    return target


def test_everything_comes_back_as_it_was_written(published: Path) -> None:
    with Database.open(published) as database:
        assert database.packages() == [PACKAGE]
        assert database.package("hello") == PACKAGE
        assert database.package("other") is None
        assert database.entries("hello") == [FILE, LINK, TWIN]
        assert database.history() == [RECORD]
        assert database.transaction(1) == RECORD
        assert database.transaction(2) is None
        assert database.last_transaction() == 1


def test_a_command_line_with_bytes_that_are_no_unicode_is_kept_escaped(tmp_path: Path) -> None:
    odd = replace(RECORD, command="pkg install b\udcffd.tar.zst", reason="b\udcffd.tar.zst: damaged")
    next_generation(tmp_path / "nothing", tmp_path / "odd.db", DatabaseChanges(odd))
    with Database.open(tmp_path / "odd.db") as database:
        found = database.history()[0]
    assert (found.command, found.reason) == ("pkg install b\\udcffd.tar.zst", "b\\udcffd.tar.zst: damaged")


def test_owners_are_found_by_location_and_by_manifest_path(published: Path) -> None:
    with Database.open(published) as database:
        assert database.owner_of(RelPath("usr/lib/x")) == [FILE]
        assert database.owner_of(RelPath("lib/x")) == [FILE]
        assert database.owner_of(RelPath("nowhere")) == []
        many = [RelPath(f"p/{number}") for number in range(2000)]
        assert database.owners([*many, FILE.location]) == {FILE.location: [FILE]}


def test_a_missing_database_is_an_empty_one_and_is_not_created(tmp_path: Path) -> None:
    with Database.open(tmp_path / "nothing.db") as database:
        assert database.packages() == []
        assert database.last_transaction() == 0
        assert database.seen("hello") is None
    assert list(tmp_path.iterdir()) == []


def test_the_current_generation_is_never_modified(published: Path) -> None:
    before = published.read_bytes()
    _after(published, DatabaseChanges(replace(RECORD, id=2), ("hello",)))
    assert published.read_bytes() == before
    assert sorted(path.name for path in published.parent.iterdir()) == ["installed.db", "installed.db.next"]


def test_a_package_is_replaced_whole_and_removed_whole(published: Path) -> None:
    newer = replace(PACKAGE, identity=PackageIdentity("hello", Version("2"), "amd64"))
    upgraded = _after(published, DatabaseChanges(replace(RECORD, id=2), (), (Ownership(newer, (LINK,)),)))
    with Database.open(upgraded) as database:
        assert database.entries("hello") == [LINK]
    removed = _after(upgraded, DatabaseChanges(replace(RECORD, id=3), ("hello",), (), (1,)))
    with Database.open(removed) as database:
        assert database.packages() == []
        assert database.entries("hello") == []
        assert [one.retained for one in database.history()] == [True, True, False]


def test_the_highest_version_seen_survives_removal_and_is_never_lowered(published: Path) -> None:
    older = replace(PACKAGE, identity=PackageIdentity("hello", Version("0.5"), "amd64"))
    lowered = _after(published, DatabaseChanges(replace(RECORD, id=2), (), (Ownership(older, ()),)))
    removed = _after(lowered, DatabaseChanges(replace(RECORD, id=3), ("hello",)))
    with Database.open(removed) as database:
        assert database.seen("hello") == Seen("hello", Version("1:1.0-1"))


def test_a_newer_format_is_refused_with_both_versions(published: Path) -> None:
    with closing(sqlite3.connect(published)) as connection:
        connection.execute("PRAGMA user_version=7")
    with pytest.raises(DatabaseTooNew, match=r"format 7.*up to 3"):
        Database.open(published)


DAMAGES = {
    "empty": b"",
    "text": b"hello " * 1000,
    "zeros": bytes(8192),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_a_file_that_is_no_database_is_refused(name: str, tmp_path: Path) -> None:
    path = tmp_path / "installed.db"
    path.write_bytes(DAMAGES[name])
    with pytest.raises(DatabaseDamaged) as caught:
        Database.open(path)
    assert caught.value.exit_code == 6


SMUGGLED = {
    "a path that climbs": "UPDATE entries SET location = '../../etc/passwd' WHERE package = 'hello' AND location = 'usr/odd'",
    "an absolute path": "UPDATE entries SET path = '/etc/passwd'",
    "an unknown type": "UPDATE entries SET kind = 'socket'",
    "a digest of the wrong type": "UPDATE entries SET digest = 'text'",
    "a hardlink that climbs": "UPDATE entries SET hardlink = '../x'",
    "xattrs that are no list": "UPDATE entries SET xattrs = '7'",
}


@pytest.mark.parametrize("name", SMUGGLED)
def test_no_value_is_believed(name: str, published: Path) -> None:
    with closing(sqlite3.connect(published, isolation_level=None)) as connection:
        connection.execute(SMUGGLED[name])
    with Database.open(published) as database, pytest.raises(DatabaseDamaged):
        database.entries("hello")


def test_a_bad_version_is_not_believed(published: Path) -> None:
    with closing(sqlite3.connect(published, isolation_level=None)) as connection:
        connection.execute("UPDATE packages SET version = 'not one!'")
    with Database.open(published) as database, pytest.raises(DatabaseDamaged):
        database.packages()


def test_no_flipped_byte_crashes_a_reader(published: Path) -> None:
    whole = published.read_bytes()
    for at in range(0, len(whole), 97):
        published.write_bytes(whole[:at] + bytes([whole[at] ^ 0xFF]) + whole[at + 1 :])
        try:
            with Database.open(published) as database:
                database.packages()
                database.entries("hello")
                database.history()
        except (DatabaseDamaged, DatabaseTooNew):
            continue


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to become another user")
def test_another_user_can_read_and_leaves_nothing_behind(fast_path: Path) -> None:
    disk = LinuxDisk(str(fast_path))
    stage_database(disk, RelPath("nothing"), RelPath("installed.db"), CHANGES)
    disk.close()
    code = (
        "import os, sys; from pathlib import Path; from intact.state.database import Database\n"
        "os.setgroups([]); os.setgid(65534); os.setuid(65534)\n"
        "with Database.open(Path(sys.argv[1])) as d: print([str(p.identity) for p in d.packages()])"
    )
    command = [sys.executable, "-c", code, str(fast_path / "installed.db")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.stdout == "['hello 1:1.0-1 (amd64)']\n", done.stderr
    assert [path.name for path in fast_path.iterdir()] == ["installed.db"]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_is_told_as_such(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_current: Path, _target: Path, _changes: DatabaseChanges) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    monkeypatch.setattr("intact.state.publishing.next_generation", full)
    disk = LinuxDisk(str(tmp_path))
    with pytest.raises(NoSpace, match="ENOSPC"):
        stage_database(disk, RelPath("a"), RelPath("b"), CHANGES)
    disk.close()


# --- as far as a transaction touches a package -----------------------------------------------------------
def test_what_is_not_touched_stays_as_it_is(published: Path) -> None:
    newer = replace(PACKAGE, identity=PackageIdentity("hello", Version("2"), "amd64"))
    other = replace(LINK, target="elsewhere")
    touched = frozenset({LINK.location, TWIN.location, RelPath("usr/new")})
    upgraded = _after(
        published, DatabaseChanges(replace(RECORD, id=2), (), (Ownership(newer, (other,), touched),))
    )
    with Database.open(upgraded) as database:
        assert database.packages() == [newer]
        assert database.entries("hello") == [FILE, other]


def test_the_way_back_tells_how_far_it_tells(published: Path, tmp_path: Path) -> None:
    touched = frozenset({LINK.location, RelPath("usr/new")})
    other = replace(PACKAGE, identity=PackageIdentity("other", Version("1"), "amd64"))
    third = replace(PACKAGE, identity=PackageIdentity("third", Version("1"), "amd64"))
    theirs = replace(FILE, package="third")
    current = _after(
        published, DatabaseChanges(None, (), (Ownership(other, ()), Ownership(third, (theirs,))))
    )
    way_back(current, tmp_path / "before.db", {"hello": touched, "third": None, "other": None})
    with Database.open(tmp_path / "before.db") as database:
        assert database.ownerships() == [
            Ownership(PACKAGE, (LINK,), touched),
            Ownership(other, ()),
            Ownership(third, (theirs,)),
        ]


def test_where_nothing_is_installed_the_way_back_is_empty(tmp_path: Path) -> None:
    way_back(tmp_path / "nothing.db", tmp_path / "before.db", {})
    assert not (tmp_path / "nothing.db").exists()
    with Database.open(tmp_path / "before.db") as database:
        assert database.ownerships() == []


@pytest.mark.parametrize(("kind", "told"), [("nothing", "EIO"), ("a directory", "EISDIR")])
def test_the_file_that_could_not_be_opened_is_told_not_the_one_being_written(
    kind: str, told: str, tmp_path: Path
) -> None:
    current = tmp_path / "current.db"
    if kind == "a directory":
        current.mkdir()
    with pytest.raises(MachineError, match=told) as caught:
        way_back(current, tmp_path / "before.db", {"hello": None})
    assert caught.value.path == str(current)
    assert "%2f" not in str(caught.value)


def test_owners_besides_very_many_packages(published: Path) -> None:
    other = replace(PACKAGE, identity=PackageIdentity("zz", Version("1"), "amd64"))
    theirs = replace(LINK, package="zz")
    current = _after(published, DatabaseChanges(None, (), (Ownership(other, (theirs,)),)))
    with Database.open(current) as database:
        many = [f"a{number}" for number in range(1000)]
        assert database.owners([LINK.location]) == {LINK.location: [LINK, theirs]}
        assert database.owners([LINK.location], [*many, "hello"]) == {LINK.location: [theirs]}
        assert database.owners([LINK.location, FILE.location], [*many, "zz"]) == {
            FILE.location: [FILE],
            LINK.location: [LINK],
        }
        assert database.owners([LINK.location], [*many, "hello", "zz"]) == {}


def test_entries_are_found_under_the_name_that_the_manifest_gives_them(published: Path) -> None:
    with Database.open(published) as database:
        assert database.entries_called("hello", [RelPath("lib/x"), RelPath("usr/odd")]) == [FILE, LINK]
        assert database.entries_called("hello", [FILE.location]) == []  # the manifest calls it lib/x
        assert database.entries_at("hello", [FILE.location, RelPath("lib/x")]) == [FILE]
        assert database.entries_called("other", [RelPath("usr/odd")]) == []
        assert database.entries_ending("hello", "/x") == [FILE]
        assert database.entries_ending("hello", "%") == []


def test_what_an_older_transaction_says_of_a_path_comes_before_what_a_newer_one_says() -> None:
    old, new = replace(LINK, target="old"), replace(LINK, target="new")
    newer = Ownership(
        replace(PACKAGE, summary="newer"), (FILE, new), frozenset({FILE.location, LINK.location})
    )
    older = Ownership(PACKAGE, (old,), frozenset({LINK.location, TWIN.location}))
    both = Ownership(PACKAGE, (FILE, old), frozenset({FILE.location, LINK.location, TWIN.location}))
    assert older.since(newer) == both
    assert older.since(None) == older
    assert older.since(Ownership(PACKAGE, (FILE, new, TWIN))) == Ownership(PACKAGE, (FILE, old))
    assert Ownership(PACKAGE, (old,)).since(newer) == Ownership(PACKAGE, (old,))


def test_entries_come_one_after_the_other_by_their_place(published: Path) -> None:
    with Database.open(published) as database:
        assert database.counts() == {"hello": 3}
        assert list(database.entries_between("hello", 0, 3)) == [FILE, LINK, TWIN]
        assert list(database.entries_between("hello", 1, 2)) == [LINK]
        assert list(database.entries_between("hello", 2, 9)) == [TWIN]
        assert list(database.entries_between("other", 0, 3)) == []


def test_damage_in_a_row_is_named_when_its_turn_comes(published: Path) -> None:
    with closing(sqlite3.connect(published)) as connection, connection:
        connection.execute("UPDATE entries SET kind = 'door' WHERE location = 'usr/odd'")
    with Database.open(published) as database:
        found = database.entries_between("hello", 0, 3)
        assert next(found) == FILE
        with pytest.raises(DatabaseDamaged):
            next(found)


def _in_a_child(database: Database) -> bytes:
    """Read in a child, as `forks` does it; return what it has read, or the name of its error."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            try:
                with database.in_this_process() as again:
                    told = f"{again is database} {len(again.entries('hello'))}"
            except Exception as error:  # noqa: BLE001  whatever it is
                told = type(error).__name__
            os.write(writing, told.encode())
        finally:
            os._exit(0)
    os.close(writing)
    os.waitpid(child, 0)
    with os.fdopen(reading, "rb") as answer:
        return answer.read()


def test_a_child_reads_the_same_database_or_none(published: Path) -> None:
    with Database.open(published) as database:
        with database.in_this_process() as same:
            assert same is database
        assert _in_a_child(database) == b"False 3"
        _after(published, DatabaseChanges(replace(RECORD, id=2), ("hello",))).rename(published)
        assert _in_a_child(database) == b"DatabaseDamaged"
        assert len(database.entries("hello")) == 3


def test_a_damaged_database_is_named_and_not_the_copy_of_its_rows(published: Path, tmp_path: Path) -> None:
    damaged = bytearray(published.read_bytes())
    for page in range(4096, len(damaged), 4096):
        damaged[page : page + 8] = b"\xff" * 8
    published.write_bytes(damaged)
    with pytest.raises(DatabaseDamaged, match=re.escape(str(published))):
        way_back(published, tmp_path / "before", {"hello": None})


def test_a_place_that_looks_like_a_uri_is_a_place(
    published: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    next_generation(published, Path("file:next%41"), DatabaseChanges(None))
    assert (tmp_path / "file:next%41").read_bytes()[:6] == b"SQLite"
    assert not (tmp_path / "nextA").exists()


def test_some_entries_of_a_package_are_found_without_going_through_all(published: Path) -> None:
    with Database.open(published) as database:
        asked: list[str] = []
        database._connection.set_trace_callback(asked.append)
        assert database.entries_at("hello", [FILE.location]) == [FILE]
        assert database.entries_called("hello", [FILE.path, LINK.path]) == [FILE, LINK]
        database._connection.set_trace_callback(None)
        for query in asked:
            (plan, *_) = database._connection.execute(f"EXPLAIN QUERY PLAN {query}").fetchall()
            assert "entries_by_package" not in plan[3], query
