"""Whatever somebody else has written, in every place that can hold text: it is shown escaped, and never acts."""

import json
import os
import re
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from support.command_line import Desk
from support.workshop import Workshop

# A colour, a title, a lone surrogate, both directions, nothing, line ends, C1, a tag: what acts or deceives.
EVIL = (
    "\x1b[31m\x1b]0;x\x07\x7f\x9b2J\u202e\u2066\u200b\u2028\u2029\u0085\ufeff\U000e0041\r\b\tpkg: all is well"
)
# TOML's text has no lone surrogates; of the rest, each field takes what its own rule says.
FIELDS: dict[str, str] = {
    "name": 'name = "EVIL"',
    "version": 'version = "1EVIL"',
    "summary": 'summary = "EVIL"',
    "license": 'license = "EVIL"',
    "architecture": 'architecture = "EVIL"',
    "requires": 'requires = ["EVIL"]',
    "conflicts": 'conflicts = ["x (= EVIL)"]',
    "an unknown key": '"EVIL" = 1',
    "a file's path": '[[file]]\nsource = "content"\npath = "EVIL"',
    "a file's source": '[[file]]\nsource = "EVIL"\npath = "usr/x"',
    "a file's owner": '[[file]]\nsource = "content"\npath = "usr/x"\nuser = "EVIL"',
    "a link's target": '[[symlink]]\npath = "usr/x"\ntarget = "EVIL"',
    "a hook's word": '[[hook]]\nwhen = "after"\ncommand = ["/bin/sh", "-c", "true", "EVIL"]',
    "a hook's program": '[[hook]]\nwhen = "after"\ncommand = ["/EVIL"]',
    "a hook's moment": '[[hook]]\nwhen = "EVIL"\ncommand = ["/bin/sh"]',
    "a table": '["EVIL"]\nx = 1',
    "no TOML at all": "x = EVIL",
}
BIDI = re.compile("[\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\U000e0000-\U000e007f]")


def is_clean(text: str) -> bool:
    """Tell whether a terminal only shows it: line feeds, and what is printable."""
    # Not splitlines: what it takes for the end of a line is among what must not be there.
    return all(line.isprintable() for line in text.split("\n")) and not BIDI.search(text)


def check(desk: Desk, *words: str) -> str:
    """Run a command in both ways; whatever it ends with, nothing of it acts."""
    plain = desk(*words)
    assert is_clean(plain.out), (words, plain.out)
    assert is_clean(plain.err), (words, plain.err)
    assert "Traceback" not in plain.err
    document = desk("--json", *words)
    assert document.out.isascii()
    assert is_clean(document.out)
    json.loads(document.out)
    return plain.out + plain.err


def _toml(text: str) -> str:
    return "".join(one if one.isascii() and one.isprintable() else f"\\U{ord(one):08x}" for one in text)


@pytest.mark.parametrize("field", FIELDS)
def test_sec_44_no_field_of_a_manifest_acts(field: str, trusting: Desk) -> None:
    """Of a source manifest; where it is let through, of the bundle, of the installed package and of its history too."""
    trusting.good("key", "trust", "key.pub", "--yes", "--hooks")
    (trusting.place / "content").write_text("x")
    given = FIELDS[field]
    own = {"name": 'name = "evil"', "version": 'version = "1"', "architecture": 'architecture = "all"'}
    package = "\n".join(text for key, text in own.items() if key != field)
    inside = "" if given.startswith("[") else given
    after = given if given.startswith("[") else ""
    text = f"format = 1\n[package]\n{package}\n{inside}\n{after}\n"
    evil = EVIL if field == "no TOML at all" else _toml(EVIL)
    (trusting.place / "evil.toml").write_text(text.replace("EVIL", evil), newline="")
    check(trusting, "build", "evil.toml", "-o", "evil.tar.zst", "--key", "key")
    if not (trusting.place / "evil.tar.zst").exists():
        return
    for words in (
        ("inspect", "--files", "evil.tar.zst"),
        ("install", "-n", "evil.tar.zst"),
        ("install", "evil.tar.zst"),
        ("install", "--no-hooks", "evil.tar.zst"),
        ("list",),
        ("info", "evil"),
        ("files", "evil"),
        ("owner", "/usr/x"),
        ("verify",),
        ("history",),
        ("history", "1"),
        ("remove", "-n", "evil"),
        ("remove", "evil"),
        ("rollback", "-n"),
        ("recover", "--rebuild"),
    ):
        check(trusting, *words)


def _file_in_the_way(desk: Desk, name: str) -> None:
    (desk.root / "usr" / name).parent.mkdir(parents=True, exist_ok=True)
    (desk.root / "usr" / name).write_text("somebody's")


@pytest.mark.parametrize("name", ["\x1b[31m", "\u202e", "\u200b", "\udcff", "a\nb", "\x9b2J"])
def test_sec_44_no_name_on_the_disk_acts(name: str, trusting: Desk) -> None:
    """Where a directory shall become a file, what lies in it is named."""
    trusting.good("install", trusting.bundle("app", "1", {"usr/app/x": "1"}))
    (trusting.root / "usr/app" / os.fsdecode(os.fsencode(name))).write_text("somebody's")
    trusting.bundle("app", "2", {"usr/app": "now a file"})
    for words in (("install", "app-2.tar.zst"), ("verify",), ("remove", "-n", "app"), ("remove", "app")):
        check(trusting, *words)


@pytest.mark.skipif(os.geteuid() != 0, reason="hooks run in the root by chroot, which needs root")
def test_sec_44_nothing_that_a_hook_says_acts(trusting: Desk) -> None:
    workshop = Workshop.__new__(Workshop)
    workshop.path = trusting.root
    workshop.give_shell()
    trusting.good("key", "trust", "key.pub", "--yes", "--hooks")
    (trusting.place / "content").write_text("x")
    (trusting.root / "said").write_bytes(EVIL.encode() + b"\xff\xfe\xe2\x82\n")
    for version, code in (("1", 0), ("2", 3)):
        (trusting.place / "hook.toml").write_text(
            f'format = 1\n[package]\nname = "hook"\nversion = "{version}"\narchitecture = "all"\n'
            f'[[hook]]\nwhen = "after"\n'
            f'command = ["/bin/sh", "-c", "while read -r one; do echo \\"$one\\"; done </said; exit {code}"]\n'
            '[[file]]\nsource = "content"\npath = "usr/hook"\n'
        )
        trusting.good("build", "hook.toml", "-o", f"hook-{version}.tar.zst", "--key", "key")
    assert "\\x1b[31m" in check(trusting, "install", "hook-1.tar.zst")
    assert "\\x1b[31m" in check(trusting, "history", "1")
    assert "\\x1b[31m" in check(trusting, "install", "hook-2.tar.zst")
    assert "\\x1b[31m" in check(trusting, "history")


def test_sec_44_no_row_of_a_database_acts(trusting: Desk) -> None:
    """Should somebody have altered it: what is asked for is still only shown."""
    trusting.good("install", trusting.bundle("app", "1"))
    with closing(sqlite3.connect(trusting.root / "var/lib/intact/installed.db")) as connection:
        for column in ("architecture", "summary", "license"):
            connection.execute(f"UPDATE packages SET {column} = ?", (EVIL,))  # noqa: S608  constants
        connection.execute("UPDATE packages SET signers = ?", (json.dumps([EVIL]),))
        for column in ("command", "reason", "kind"):
            connection.execute(f"UPDATE transactions SET {column} = ?", (EVIL,))  # noqa: S608  constants
        connection.execute("UPDATE transactions SET notes = ?", (json.dumps([EVIL]),))
        connection.commit()
    for words in (("list",), ("info", "app"), ("files", "app"), ("history",), ("history", "1"), ("verify",)):
        check(trusting, *words)


ENVIRONMENT: dict[str, Callable[[Desk, str], dict[str, str]]] = {
    "PKG_ROOT": lambda _desk, evil: {"PKG_ROOT": evil},
    "SOURCE_DATE_EPOCH": lambda _desk, evil: {"SOURCE_DATE_EPOCH": evil},
    "_PKG_COMPLETE": lambda _desk, evil: {"_PKG_COMPLETE": evil},
    "LANG": lambda _desk, evil: {"LANG": evil, "LC_ALL": evil, "TZ": evil, "TERM": evil, "COLUMNS": evil},
}


@pytest.mark.parametrize("name", ENVIRONMENT)
def test_sec_44_no_variable_acts(name: str, trusting: Desk) -> None:
    trusting.source("app", "1", {"usr/app": "x"})
    more = ENVIRONMENT[name](trusting, EVIL)
    for words in (["list"], ["build", "app-1.toml"], ["nonsense"]):
        result = trusting.process(*words, environment={**os.environ, **more}, root=None)
        assert is_clean(result.out), result
        assert is_clean(result.err), result
        assert "Traceback" not in result.err, result


def test_sec_44_the_holder_of_the_lock_does_not_act(trusting: Desk) -> None:
    import fcntl  # noqa: PLC0415

    trusting.bundle("app", "1")
    lock = trusting.root / "var/lib/intact/private/lock"
    lock.write_bytes(EVIL.encode() + b"\xff")
    with lock.open("rb") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        assert "\\x1b[31m" in check(trusting, "--lock-timeout", "0", "install", "app-1.tar.zst")


def test_sec_44_an_error_that_nobody_expected_does_not_act(trusting: Desk, tmp_path: Path) -> None:
    """Our own mistake still ends with a traceback; its text may hold anybody's words."""
    code = (
        "import sys; from intact.cli import main as m\n"
        "def fail(*_): raise ValueError(sys.argv[2])\n"
        "m.run_command = fail; m.main()"
    )
    import subprocess  # noqa: PLC0415
    import sys  # noqa: PLC0415

    done = subprocess.run(
        [sys.executable, "-I", "-c", code, "x", EVIL], capture_output=True, check=False, cwd=tmp_path
    )
    assert done.returncode == 1
    assert is_clean(done.stderr.decode()), done.stderr
    assert b"ValueError" in done.stderr
