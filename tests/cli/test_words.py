"""How values become words: nothing foreign reaches a terminal as it came."""

import os
import time
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from intact.cli.words import error_lines, shown, size_text, time_text
from intact.cli.words_plan import action_line, change_line
from intact.model.actions import Action, Create, Node, Remove, RemoveDirectory, Replace, SetAttributes
from intact.model.entries import Digest
from intact.model.errors import Conflict, NoSpace, machine_error
from intact.model.manifest import PackageChange
from intact.model.objects import (
    Attributes,
    BundleContent,
    Kind,
    NewDirectory,
    NewFile,
    NewHardlink,
    NewSymlink,
    Observed,
)
from intact.model.paths import RelPath
from intact.model.versions import Version

ESCAPED: dict[str, tuple[str, str]] = {
    "plain": ("hello world", "hello world"),
    "other languages": ("grüße 日本 €", "grüße 日本 €"),
    "an emoji": ("😀", "😀"),
    "a colour": ("\x1b[31mred\x1b[0m", "\\x1b[31mred\\x1b[0m"),
    "a title": ("\x1b]0;title\x07", "\\x1b]0;title\\x07"),
    "the one-byte introducer": ("\x9b31m", "\\x9b31m"),
    "a line of its own": ("a\npkg: all is well", "a\\x0apkg: all is well"),
    "a line over": ("a\rb", "a\\x0db"),
    "a tab": ("a\tb", "a\\x09b"),
    "a backspace": ("evil\x08\x08", "evil\\x08\\x08"),
    "nothing": ("\x00", "\\x00"),
    "delete": ("\x7f", "\\x7f"),
    "right to left": ("a\u202egnp.exe", "a\\u202egnp.exe"),
    "isolates": ("\u2066x\u2069", "\\u2066x\\u2069"),
    "zero width": ("a\u200bb", "a\\u200bb"),
    "a mark of order": ("\ufeffa", "\\ufeffa"),
    "a soft hyphen": ("a\xadb", "a\\xadb"),
    "a line separator": ("a\u2028b", "a\\u2028b"),
    "a byte that is no UTF-8": (os.fsdecode(b"a\xffb"), "a\\udcffb"),
    "private use": ("\ue000", "\\ue000"),
    "far private use": ("\U0010fffd", "\\U0010fffd"),
    "a tag character": ("\U000e0041", "\\U000e0041"),
    "not given to any character": ("\u0378", "\\u0378"),
    "empty": ("", ""),
}


@pytest.mark.parametrize("name", ESCAPED)
def test_text_is_shown_as(name: str) -> None:
    text, expected = ESCAPED[name]
    assert shown(text) == expected


@given(st.text(st.characters()))
def test_nothing_that_is_shown_acts_on_a_terminal(text: str) -> None:
    for character in shown(text):
        assert unicodedata.category(character) not in {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}


@given(st.binary())
def test_any_bytes_of_a_file_name_can_be_shown_and_written(name: bytes) -> None:
    assert len(shown(os.fsdecode(name)).encode()) >= len(name)


@given(st.text(st.characters(categories=["L", "N", "P", "S", "Zs"])))
def test_what_is_harmless_is_shown_as_it_is(text: str) -> None:
    assert shown(text) == text


@given(st.text())
def test_showing_twice_changes_nothing_more(text: str) -> None:
    assert shown(shown(text)) == shown(text)


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        (0, "0 B"),
        (1, "1 B"),
        (1023, "1023 B"),
        (1024, "1.0 KiB"),
        (1536, "1.5 KiB"),
        (1 << 20, "1.0 MiB"),
        (5 << 30, "5.0 GiB"),
        (3 << 40, "3.0 TiB"),
        (5000 << 40, "5000.0 TiB"),
    ],
)
def test_a_size_is_written_for_people(size: int, expected: str) -> None:
    assert size_text(size) == expected


def test_a_time_is_local(monkeypatch: pytest.MonkeyPatch) -> None:
    for zone, expected in (("UTC", "2023-11-14 22:13:20"), ("XXX-5", "2023-11-15 03:13:20")):
        monkeypatch.setenv("TZ", zone)
        time.tzset()
        assert time_text(1_700_000_000) == expected
    monkeypatch.undo()
    time.tzset()


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (None, "1", "install  app 1"),
        ("1", None, "remove   app 1"),
        ("1", "2", "upgrade  app 1 → 2"),
        ("2", "1", "go back  app 2 → 1"),
        ("1", "1", "renew    app 1"),
        ("1~rc1", "1", "upgrade  app 1~rc1 → 1"),
        ("2", "1:1", "upgrade  app 2 → 1:1"),
    ],
)
def test_a_change_of_a_package_is_one_line(old: str | None, new: str | None, expected: str) -> None:
    assert (
        change_line(PackageChange("app", Version(old) if old else None, Version(new) if new else None))
        == expected
    )


HERE = RelPath("usr/app")
MODE = Attributes(0o4755, 0, 12)
FILE = NewFile(MODE, 2048, Digest("ab" * 32), BundleContent(0, RelPath("usr/app")))


def seen(kind: Kind) -> Observed:
    return Observed(kind=kind, mode=0o644, uid=0, gid=0, size=1, mtime_ns=1, inode=1)


ACTIONS: dict[str, tuple[Action, str]] = {
    "a file": (Create(HERE, 0, FILE), "create   /usr/app (file 4755 0:12, 2.0 KiB)"),
    "a directory": (Create(HERE, 0, NewDirectory(MODE)), "create   /usr/app (directory 4755 0:12)"),
    "a tree": (
        Create(HERE, 0, NewDirectory(MODE), (Node(RelPath("usr/app/x"), FILE),)),
        "create   /usr/app (directory 4755 0:12, with 1 more in it)",
    ),
    "a link": (Create(HERE, 0, NewSymlink("a\x1b", 0, 0)), "create   /usr/app (link to a\\x1b)"),
    "a second name": (
        Create(HERE, 0, NewHardlink(RelPath("usr/x"))),
        "create   /usr/app (same file as /usr/x)",
    ),
    "a replacement": (
        Replace(HERE, 0, FILE, seen(Kind.SYMLINK)),
        "replace  /usr/app (symlink → file 4755 0:12, 2.0 KiB)",
    ),
    "a replacement of something precious": (
        Replace(HERE, 0, FILE, seen(Kind.FILE), keep=True),
        "replace  /usr/app (file → file 4755 0:12, 2.0 KiB; the present one is kept)",
    ),
    "a removal": (Remove(HERE, 0, seen(Kind.FILE)), "remove   /usr/app (file)"),
    "a removed directory": (
        RemoveDirectory(HERE, seen(Kind.DIRECTORY)),
        "remove   /usr/app (directory, if it is empty)",
    ),
    "attributes": (SetAttributes(HERE, MODE, seen(Kind.DIRECTORY)), "set      /usr/app to 4755 0:12"),
}


@pytest.mark.parametrize("name", ACTIONS)
def test_an_action_is_one_line(name: str) -> None:
    action, expected = ACTIONS[name]
    assert action_line(action) == expected


def test_an_error_says_where_what_all_details_the_state_and_the_next_step() -> None:
    error = Conflict("no", path="a\nb", details=["one\x1b", "two"], remedy="type\tthis", root_state="fine\r")
    assert error_lines(error) == [
        "pkg: a\\x0ab: no",
        "  - one\\x1b",
        "  - two",
        "  now: fine\\x0d",
        "  next: type\\x09this",
    ]


def test_an_error_without_a_place_or_remedy_is_short() -> None:
    assert error_lines(Conflict("no")) == ["pkg: no", "  now: the root is as it was"]


def test_an_error_of_the_system_has_its_errno_by_name() -> None:
    error = machine_error("rename", OSError(28, "No space left on device"), "/usr")
    assert isinstance(error, NoSpace)
    assert error_lines(error)[0] == "pkg: /usr: rename: ENOSPC (No space left on device)"
