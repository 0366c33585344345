"""What a root remembers: everybody may read it, nobody's reading delays anybody, and nobody else can have written it."""

import json
import os
import re
import shutil
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from intact.state.database import Database
from support.command_line import PKG, Desk, clean_environment

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root to become another user")
STATE = "var/lib/intact"
ASKING = (["list"], ["info", "app"], ["files", "app"], ["owner", "/usr/app"], ["history"], ["verify"])

# Opens whatever it can below a directory, again and again, and takes every kind of lock on it that it is given.
GREEDY = """
import fcntl, json, os, struct, sys
os.setgroups([]); os.setgid(65534); os.setuid(65534)
held, seen, refused = {}, set(), set()
def lock(fd):
    got = []
    for name, take in {
        "flock": lambda: fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB),
        "fcntl": lambda: fcntl.lockf(fd, fcntl.LOCK_SH | fcntl.LOCK_NB),
        "write": lambda: fcntl.lockf(fd, fcntl.LOCK_EX | fcntl.LOCK_NB),
        "OFD": lambda: fcntl.fcntl(fd, 37, struct.pack("hhqqi4x", fcntl.F_RDLCK, 0, 0, 0, 0)),
        "lease": lambda: fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_RDLCK),
    }.items():
        try:
            take()
            got.append(name)
        except OSError:
            pass
    return got
def walk(directory):
    try:
        entries = list(os.scandir(directory))
    except OSError:
        refused.add(directory)
        return
    for entry in entries:
        if entry.is_dir(follow_symlinks=False):
            walk(entry.path)
        elif entry.is_file(follow_symlinks=False):
            try:
                grab(entry)
            except FileNotFoundError:
                pass
def grab(entry):
    status = entry.stat(follow_symlinks=False)
    identity = status.st_ino, status.st_ctime_ns
    if identity in seen:
        return
    seen.add(identity)
    for flags in (os.O_RDWR, os.O_RDONLY):
        try:
            fd = os.open(entry.path, flags)
        except PermissionError:
            continue
        held.setdefault(entry.path, set()).update(lock(fd))  # and it stays open
        return
def tell():
    print(json.dumps({"held": {path: sorted(kinds) for path, kinds in held.items()}, "refused": sorted(refused)}), flush=True)
walk(sys.argv[1])
tell()
os.set_blocking(0, False)
while True:
    walk(sys.argv[1])
    try:
        if os.read(0, 1) == b"":
            break
    except BlockingIOError:
        pass
tell()
"""


@pytest.fixture
def settled(trusting: Desk) -> Desk:
    """A root with a package, and bundles of its next versions; everybody may look at it."""
    trusting.good("install", trusting.bundle("app", "1", {"usr/app": "1", "etc/app": "1"}))
    for number in range(2, 6):
        trusting.bundle("app", str(number), {"usr/app": str(number), "etc/app": "1"})
    trusting.place.chmod(0o755)
    return trusting


@contextmanager
def greedy(desk: Desk) -> Iterator[Callable[[], dict[str, object]]]:
    process = subprocess.Popen(
        [sys.executable, "-I", "-c", GREEDY, desk.root],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    assert json.loads(process.stdout.readline())["held"]

    def ended() -> dict[str, object]:
        told, _ = process.communicate()
        result: dict[str, object] = json.loads(told)
        return result

    try:
        yield ended
    finally:
        process.kill()
        process.communicate()


CHANGES = (
    *(("install", f"app-{number}.tar.zst") for number in range(2, 6)),
    ("rollback",),
    ("remove", "app"),
    ("install", "app-5.tar.zst"),
    ("recover", "--rebuild"),
    ("key", "revoke", "FINGERPRINT"),
)


@needs_root
def test_sec_40_no_lock_of_another_user_delays_a_change(settled: Desk) -> None:
    """No change may wait for any lock at all: --lock-timeout 0 ends with 7 if it had to."""
    fingerprint = settled("--json", "key", "list").json["keys"][0]["fingerprint"]
    with greedy(settled) as ended:
        for change in CHANGES:
            words = [fingerprint if one == "FINGERPRINT" else one for one in change]
            done = settled.process("--lock-timeout", "0", *words)
            assert (done.code, done.err) == (0, ""), change
        told = ended()
    held = told["held"]
    assert isinstance(held, dict)
    # It did what it could: the files that everybody may read were locked by it.
    for name in (f"{STATE}/installed.db", f"{STATE}/trust.toml", "usr/app"):
        assert {"flock", "fcntl", "OFD"} <= set(held[str(settled.root / name)]), name
    assert not [path for path in held if "/private" in path]
    assert str(settled.root / STATE / "private") in told["refused"]  # type: ignore[operator]


@needs_root
def test_sec_40_no_lock_of_another_user_delays_a_reader(settled: Desk) -> None:
    with greedy(settled):
        for words in ASKING:
            assert settled.process(*words).code == 0


@needs_root
def test_sec_40_the_lock_is_of_its_owner_alone(settled: Desk) -> None:
    lock = (settled.root / STATE / "private/lock").stat()
    assert (stat.S_IMODE(lock.st_mode), lock.st_uid, lock.st_nlink) == (0o600, os.geteuid(), 1)


def test_sec_40_a_lock_that_is_a_link_is_not_followed(settled: Desk) -> None:
    lock = settled.root / STATE / "private/lock"
    victim = settled.place / "victim"
    victim.write_text("mine")
    lock.unlink()
    lock.symlink_to(victim)
    result = settled("install", "app-2.tar.zst")
    assert (result.code, "ELOOP" in result.err) == (1, True)
    assert victim.read_text() == "mine"


PRIVATE = 0o077


def test_sec_25_what_is_private_is_so_and_what_is_asked_for_is_not(settled: Desk) -> None:
    for number in (2, 3):
        settled.good("install", f"app-{number}.tar.zst")
    base = settled.root / STATE
    for path in (base / "installed.db", base / "trust.toml"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o644
    assert stat.S_IMODE((base / "private").stat().st_mode) == 0o700
    # What is in a slot has the modes that it has in the root.
    below = [path for path in (base / "private").rglob("*") if "slots" not in path.parts[-2:]]
    # A database that a transaction keeps was made for everybody to read; the directory keeps it from them.
    opened = [path for path in below if path.lstat().st_mode & PRIVATE and path.suffix != ".db"]
    assert opened == []


@pytest.mark.skipif(shutil.which("strace") is None, reason="needs strace to see the first mode of a file")
@pytest.mark.parametrize("umask", [0, 0o777])
def test_sec_25_nothing_is_ever_more_open_than_at_its_end(umask: int, settled: Desk) -> None:
    """Also under the widest umask: the mode that a file or directory is made with, by any call."""
    trace = settled.place / "trace"
    command: list[str | Path] = [
        "strace",
        "-f",
        "-qq",
        "-e",
        "trace=open,openat,creat,mkdir,mkdirat",
        "-o",
        trace,
    ]
    words: list[str | Path] = [PKG, "--root", "root", "install", "app-2.tar.zst"]
    done = subprocess.run(
        [*command, *words],
        cwd=settled.place,
        env=clean_environment(),
        umask=umask,
        check=False,
        capture_output=True,
    )
    if b"ptrace" in done.stderr:
        pytest.skip("this machine does not let strace trace")
    assert (done.returncode, done.stderr) == (0, b"")
    call = re.compile(r'(\w+)\((?:AT_FDCWD|\d+), "([^"]+)",(?: ([\w|]*O_CREAT[\w|]*),)? (0\d+)\) = ')
    private: set[str] = set()
    for made, name, flags, mode in call.findall(trace.read_text()):
        if ".pyc" in name or "__pycache__" in name:
            continue
        if "O_EXCL" in flags and mode == "0600":
            private.add(Path(name).name)
        # SQLite says 0644 when it opens the scratch file that was made for it before.
        assert mode == ("0700" if made == "mkdirat" else "0600") or Path(name).name in private, (
            made,
            name,
            mode,
        )
    assert "next.db" in private


@needs_root
def test_sec_37_every_user_may_ask_and_learns_the_same(settled: Desk) -> None:
    code = (
        "import importlib, os, pkgutil, sys, intact\n"
        "for one in pkgutil.walk_packages(intact.__path__, 'intact.'): importlib.import_module(one.name)\n"
        "os.setgroups([]); os.setgid(65534); os.setuid(65534)\n"
        "sys.argv[0] = 'pkg'; from intact.cli.main import main; main()"
    )
    for words in ASKING[:-1]:
        done = subprocess.run(
            [sys.executable, "-I", "-B", "-c", code, "--root", "root", "--json", *words],
            cwd=settled.place,
            env=clean_environment(),
            capture_output=True,
            text=True,
            check=False,
        )
        assert (done.returncode, done.stderr) == (0, ""), words
        assert json.loads(done.stdout) == settled("--json", *words).json


def _give_away(path: Path) -> None:
    os.chown(path, 65534, 65534)


def _open_to_all(path: Path) -> None:
    path.chmod(path.stat().st_mode | 0o002)


def _open_to_group(path: Path) -> None:
    os.chown(path, -1, 65534)
    path.chmod(path.stat().st_mode | 0o020)


def _link(path: Path) -> None:
    moved = path.with_name("elsewhere")
    path.rename(moved)
    path.symlink_to(moved.name)


def _pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


FAULTS: dict[str, tuple[Callable[[Path], None], str]] = {
    "is somebody else's": (_give_away, "it belongs to somebody else (uid 65534)"),
    "is open to all": (_open_to_all, "others may write to it"),
    "is open to a group": (_open_to_group, "others may write to it"),
    "is a link": (_link, "it is a symlink, not a"),
    "is a pipe": (_pipe, "it is something else, not a regular file"),
}
PLACES = ("", "var", "var/lib", STATE, f"{STATE}/private", f"{STATE}/installed.db", f"{STATE}/trust.toml")
CASES = [
    (place, fault)
    for place in PLACES
    for fault in FAULTS
    if not (place == "" and fault in {"is a link", "is a pipe"})
    and not (fault == "is a pipe" and "." not in place)
    # A link of the administrator's above the state directory is followed, and what it leads to is looked at.
    and not (fault == "is a link" and place in {"var", "var/lib", STATE})
]


@needs_root
@pytest.mark.parametrize(("place", "fault"), CASES)
def test_sec_37_what_others_could_have_written_is_not_believed(place: str, fault: str, settled: Desk) -> None:
    spoil, said = FAULTS[fault]
    spoil(settled.root / place)
    before = settled.snapshot()
    for words in (
        ["install", "app-2.tar.zst"],
        ["remove", "app"],
        ["install", "-n", "app-2.tar.zst"],
        ["recover"],
    ):
        result = settled("--json", *words)
        error = result.json["error"]
        assert (result.code, error["kind"]) == (1, "RootUnusable"), (words, result.err)
        assert said in error["message"]
        assert error["path"] == str(Path("root", place))
        assert error["remedy"].startswith("find out who has made it so")
    if place or fault != "is somebody else's":
        assert settled("list").code == 1
    assert settled.snapshot() == before


@needs_root
def test_sec_37_whoever_asks_may_look_at_somebody_elses_root(settled: Desk) -> None:
    for path in (settled.root, *settled.root.rglob("*")):
        os.chown(path, 4711, 4711, follow_symlinks=False)
    assert settled("list").code == 0
    refused = settled("install", "app-2.tar.zst")
    assert (refused.code, "uid 4711" in refused.err) == (1, True)


@needs_root
@pytest.mark.parametrize("spoil", [_give_away, _open_to_all])
@pytest.mark.parametrize("place", ["etc", "etc/intact", "etc/intact/settings.toml"])
def test_sec_37_neither_are_settings(place: str, spoil: Callable[[Path], None], settled: Desk) -> None:
    settings = settled.root / "etc/intact/settings.toml"
    settings.parent.mkdir(parents=True)
    settings.write_text("[history]\ntransactions = 1\n")
    settled.good("install", "app-2.tar.zst")
    spoil(settled.root / place)
    before = settled.snapshot()
    result = settled("--json", "install", "app-3.tar.zst")
    assert (result.code, result.json["error"]["path"]) == (1, f"root/{place}"), result
    assert settled.snapshot() == before


def test_sec_37_a_private_directory_that_others_may_enter_is_refused(settled: Desk) -> None:
    (settled.root / STATE / "private").chmod(0o750)
    result = settled("install", "app-2.tar.zst")
    assert (result.code, "others may enter it (mode 0750)" in result.err) == (1, True)
    assert "chmod 0700 root/var/lib/intact/private" in result.err


def test_sec_37_a_group_of_the_owners_own_is_nobody_else(settled: Desk) -> None:
    """Where a umask of 002 is usual, a user's directories are open to the user's own group."""
    settled.root.chmod(0o775)
    if os.geteuid() == settled.root.stat().st_gid:
        settled.good("install", "app-2.tar.zst")


HOSTILE: dict[str, str] = {
    "a trigger": "CREATE TRIGGER evil AFTER INSERT ON transactions BEGIN DELETE FROM packages; END",
    "a view": "CREATE VIEW evil AS SELECT * FROM packages",
    "a view in the place of a table": "DROP TABLE seen; CREATE VIEW seen AS SELECT name, version FROM packages",
    "a table": "CREATE TABLE evil (a)",
    "an index": "CREATE INDEX evil ON packages (name COLLATE NOCASE)",
    "a column": "ALTER TABLE packages ADD COLUMN evil",
    "a generated column": "ALTER TABLE packages ADD COLUMN evil AS (hex(zeroblob(400000000)))",
    "a table less": "DROP TABLE seen",
    "text for a number": "UPDATE packages SET size = 'many'",
    "text for a time": "UPDATE packages SET installed_at = 'now'",
    "a time that no calendar has": "UPDATE packages SET installed_at = 9000000000000000000",
    "a blob for a name": "UPDATE packages SET name = x'00ff'",
    "a number below zero": "UPDATE packages SET entries = -1",
    "relations without an end": "UPDATE packages SET relations = replace(hex(zeroblob(50000)), '0', '[')",
    "a digest that climbs": "UPDATE packages SET manifest_digest = '../../../../etc/passwd'",
}


@pytest.mark.parametrize("name", HOSTILE)
def test_sec_37_a_database_that_is_not_quite_ours_is_refused(name: str, settled: Desk) -> None:
    with closing(sqlite3.connect(settled.root / STATE / "installed.db")) as connection:
        connection.executescript(HOSTILE[name])
        connection.commit()
    before = settled.snapshot()
    for words in (["list"], ["install", "app-2.tar.zst"], ["remove", "app"], ["verify"]):
        result = settled("--json", *words)
        assert (result.code, result.json["error"]["kind"]) == (6, "DatabaseDamaged"), (words, result)
    assert settled.snapshot() == before
    settled.good("recover", "--rebuild")
    settled.good("install", "app-2.tar.zst")


@pytest.mark.parametrize("suffix", ["-journal", "-wal", "-shm"])
def test_sec_37_what_lies_beside_the_database_is_not_looked_at(suffix: str, settled: Desk) -> None:
    victim = settled.place / "victim"
    victim.write_text("mine")
    (settled.root / STATE / f"installed.db{suffix}").symlink_to(victim)
    assert settled.good("list").out == "app 1 all\n"
    settled.good("install", "app-2.tar.zst")
    assert settled.good("list").out == "app 2 all\n"
    assert victim.read_text() == "mine"


def test_sec_37_sqlite_is_told_to_believe_nothing(settled: Desk) -> None:
    with settled_database(settled) as connection:
        assert connection.execute("PRAGMA trusted_schema").fetchone() == (0,)
        assert connection.execute("PRAGMA cell_size_check").fetchone() == (1,)


@contextmanager
def settled_database(desk: Desk) -> Iterator[sqlite3.Connection]:
    with Database.open(desk.root / STATE / "installed.db") as database:
        yield database._connection
