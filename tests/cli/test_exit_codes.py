"""Each exit code of the reference, reached by something that really happens, in a process of its own."""

import os
import sqlite3
import subprocess
from collections.abc import Callable
from contextlib import closing

import pytest

from support.command_line import Desk, Result, install_that_waits


def _conflict(desk: Desk) -> Result:
    return desk.process("install", desk.bundle("thief", "1", {"usr/app": "stolen"}))


def _unchanged(desk: Desk) -> Result:
    return desk.process("install", "--exit-unchanged", "app-1.tar.zst")


def _recovery_needed(desk: Desk) -> Result:
    running = install_that_waits(desk, desk.bundle("large", "1", {"usr/large": os.urandom(400_000).hex()}), 2)
    running.kill()
    running.communicate()
    return desk.process("recover", "--status")


def _recovery_failed(desk: Desk) -> Result:
    """The journal of a killed transaction was written over since."""
    _recovery_needed(desk)
    journal = desk.root / "var/lib/intact/private/transactions/2/journal"
    journal.write_bytes(b"x" * journal.stat().st_size * 3)
    (journal.parent / "opening.json").write_text("{}")
    return desk.process("recover")


def _database_damaged(desk: Desk) -> Result:
    with closing(sqlite3.connect(desk.root / "var/lib/intact/installed.db")) as connection:
        connection.execute("UPDATE packages SET version = '-'")
        connection.commit()
    return desk.process("list")


def _locked(desk: Desk) -> Result:
    running = install_that_waits(desk, desk.bundle("large", "1", {"usr/large": os.urandom(400_000).hex()}), 2)
    result = desk.process("--lock-timeout", "0.1", "remove", "app")
    running.kill()
    running.communicate()
    return result


def _no_space(desk: Desk) -> Result:
    if os.geteuid() != 0:
        pytest.skip("needs root to mount")
    small = desk.root / "small"
    small.mkdir()
    options = "size=64k,mode=755"
    if subprocess.run(["mount", "-t", "tmpfs", "-o", options, "none", small], check=False).returncode != 0:
        pytest.skip("this machine cannot mount a tmpfs")
    try:
        return desk.process("install", desk.bundle("big", "1", {"small/big": "x" * 200_000}))
    finally:
        subprocess.run(["umount", small], check=True)


def _differences(desk: Desk) -> Result:
    (desk.root / "usr/app").write_text("damaged")
    return desk.process("verify")


SITUATIONS: dict[str, tuple[int, Callable[[Desk], Result], str]] = {
    "0, done": (0, lambda desk: desk.process("install", desk.bundle("app", "2")), ""),
    "0, nothing to do": (0, lambda desk: desk.process("install", "app-1.tar.zst"), ""),
    "0, an answer": (0, lambda desk: desk.process("verify"), ""),
    "1, unknown package": (1, lambda desk: desk.process("remove", "nope"), "nope: not installed"),
    "1, no root": (1, lambda desk: desk.process("list", root="nowhere"), "mkdir -p nowhere"),
    "1, nobody's path": (1, lambda desk: desk.process("owner", "/nothing"), ""),
    "2, no such option": (2, lambda desk: desk.process("list", "--frob"), "pkg list --help"),
    "2, no path": (2, lambda desk: desk.process("owner", "../x"), "/usr/bin/hello"),
    "3, damaged": (
        3,
        lambda desk: desk.process("install", "-", data=b"\x28\xb5\x2f\xfd nothing"),
        "checksum",
    ),
    "3, not trusted": (
        3,
        lambda desk: desk.process("install", desk.bundle("app", "2", key="")),
        "--allow-unsigned",
    ),
    "3, inspected": (3, lambda desk: desk.process("inspect", desk.bundle("app", "2", key="")), ""),
    "4, nothing to do": (4, _unchanged, ""),
    "5, a file of another package": (5, _conflict, "/usr/app"),
    "6, a recovery is needed": (6, _recovery_needed, ""),
    "6, a database that cannot be": (6, _database_damaged, "the database cannot be read"),
    "7, locked": (7, _locked, "another pkg is at work: pid "),
    "9, no space": (9, _no_space, "ENOSPC"),
    "10, differences": (10, _differences, ""),
}


@pytest.fixture
def settled(trusting: Desk) -> Desk:
    """A root with one package."""
    trusting.good("install", trusting.bundle("app", "1", {"usr/app": "old"}))
    return trusting


@pytest.mark.parametrize("name", SITUATIONS)
def test_the_exit_code_is(name: str, settled: Desk) -> None:
    code, happen, says = SITUATIONS[name]
    result = happen(settled)
    assert result.code == code, result
    assert says in result.err
    assert "Traceback" not in result.err
    assert bool(result.err) == bool(says)


def test_all_exit_codes_but_the_reserved_one_are_reached() -> None:
    reached = {code for code, _, _ in SITUATIONS.values()}
    assert reached == set(range(11)) - {8}  # 8 is reserved for hooks and health checks


def test_a_journal_that_was_written_over_is_not_guessed_at(settled: Desk) -> None:
    before = settled.snapshot()
    result = _recovery_failed(settled)
    assert (result.code, result.out) == (6, "")
    assert (
        "pkg: /var/lib/intact/private/transactions/2/journal: record 0 of the journal is damaged"
        in result.err
    )
    assert "keep this directory" in result.err
    assert settled.process("install", "app-1.tar.zst").code == 6  # and nothing goes on as if it had not been
    assert settled.process("list").code == 0
    assert settled.snapshot() == before


@pytest.mark.parametrize(
    "arguments", [("install", "app-1.tar.zst"), ("remove", "app"), ("rollback",)], ids=str
)
def test_success_is_zero_whether_or_not_somebody_listens(arguments: tuple[str, ...], settled: Desk) -> None:
    result = settled.process("--quiet", *arguments)
    assert (result.code, result.out, result.err) == (0, "", "")


def test_exit_unchanged_is_about_nothing_to_do_alone(settled: Desk) -> None:
    second = settled.bundle("app", "2")
    assert settled.process("install", "--exit-unchanged", "-n", second).code == 0
    assert settled.process("install", "--exit-unchanged", second).code == 0
    result = settled.process("--json", "install", "--exit-unchanged", second)
    assert (result.code, result.json["changed"], result.json["transaction"]) == (4, False, None)
    assert settled.process("install", "--exit-unchanged", "app-1.tar.zst").code == 5
    assert settled.process("install", "--exit-unchanged", "-n", second).code == 4
