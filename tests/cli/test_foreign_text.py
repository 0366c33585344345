"""Names that want to paint over the screen: printed escaped by every command, and never a traceback."""

import os
from pathlib import Path

import pytest

from support.command_line import Desk

ODD: dict[str, bytes] = {
    "an escape sequence": b"\x1b[31mx\x1b[0m",
    "a line feed": b"a\npkg: all is well",
    "a carriage return": b"a\rb",
    "bytes that are no UTF-8": b"\xff\xfe",
    "half a character": b"\xe2\x82",
    "right to left": "a\u202eb".encode(),
    "a C1 control": "\x9b31m".encode(),
    "a very long name": b"x" * 5000,
    "an option's look-alike": "\u2010\u2010json".encode(),
}
each_name = pytest.mark.parametrize("name", ODD)
each_file_name = pytest.mark.parametrize("name", [name for name in ODD if len(ODD[name]) < 255])

COMMANDS: dict[str, tuple[str, ...]] = {
    "install": ("install",),
    "inspect": ("inspect",),
    "remove": ("remove",),
    "info": ("info",),
    "files": ("files",),
    "owner": ("owner",),
    "verify": ("verify",),
    "build": ("build",),
    "build out": ("build", "app-1.toml", "-o"),
    "build key": ("build", "app-1.toml", "--key"),
    "sign": ("sign", "app-1.tar.zst", "--key"),
    "sign with a signature": ("sign", "app-1.tar.zst", "--signature"),
    "trust": ("key", "trust"),
    "trust for packages": ("key", "trust", "key.pub", "--packages"),
    "revoke": ("key", "revoke"),
    "roll back": ("rollback",),
    "history": ("history",),
    "complete": ("completion",),
    "nonsense": (),
    "an option": ("list", "--frob"),
    "a root": ("--root",),
}


def _is_clean(text: str) -> bool:
    return all(line.isprintable() for line in text.splitlines()) and "Traceback" not in text


@pytest.fixture
def settled(trusting: Desk) -> Desk:
    """A root with one package."""
    trusting.good("install", trusting.bundle("app", "1"))
    return trusting


@each_name
@pytest.mark.parametrize("command", COMMANDS)
def test_an_odd_argument_is_shown_escaped(command: str, name: str, settled: Desk) -> None:
    before = settled.snapshot()
    odd = os.fsdecode(ODD[name])
    arguments = [*COMMANDS[command], odd, *(["list"] if command == "a root" else [])]
    result = settled(*arguments)
    assert result.code in ({0, 1} if command == "build out" else {1, 2, 3})
    assert _is_clean(result.out)
    assert _is_clean(result.err)
    assert result.out + result.err != ""
    assert "all is well" not in result.err.splitlines()
    assert settled.snapshot() == before
    assert settled("--json", *arguments).json


@each_file_name
def test_a_bundle_with_an_odd_name_is_installed_and_remembered(name: str, settled: Desk) -> None:
    source = settled.place / settled.bundle("app", "2")
    odd = os.fsdecode(ODD[name] + b".tar.zst")
    source.rename(settled.place / odd)
    assert settled("inspect", odd).code == 0
    result = settled.process("install", odd.encode(errors="surrogateescape"))
    assert (result.code, result.err) == (0, "")
    for arguments in (("history",), ("history", "2")):
        assert _is_clean(settled(*arguments).out)
    assert "pkg --root root install" in settled("--json", "history", "2").json["transactions"][0]["command"]
    assert settled("rollback").code == 0
    assert settled("recover", "--status").code == 0


@each_file_name
def test_a_damaged_bundle_with_an_odd_name_does_not_break_the_root(name: str, settled: Desk) -> None:
    """The reason of a discarded transaction names the file; it is noted in the history."""
    source = settled.place / settled.bundle("app", "2", {"usr/app": os.urandom(5000).hex()})
    content = bytearray(source.read_bytes())
    content[-10] ^= 1
    odd = os.fsdecode(ODD[name] + b".tar.zst")
    (settled.place / odd).write_bytes(content)
    result = settled("install", odd)
    assert result.code == 3
    assert _is_clean(result.err)
    assert _is_clean(settled("history").out)
    assert settled("install", settled.bundle("app", "3")).code == 0


def test_paths_that_a_terminal_would_act_upon_do_not_get_into_a_bundle(desk: Desk) -> None:
    (desk.place / "bad.toml").write_text(
        'format = 1\n[package]\nname = "bad"\nversion = "1"\narchitecture = "all"\nsummary = "a\\u001bb"\n'
        '[[symlink]]\npath = "a\\u001b[31m"\ntarget = "x"\n[[symlink]]\npath = "a\\u202eb"\ntarget = "x"\n'
    )
    result = desk("build", "bad.toml")
    assert result.code == 3
    assert _is_clean(result.err)
    assert "symlink[0].path: the path has the unprintable character U+001B" in result.err
    assert "symlink[1].path: the path has the unprintable character U+202E" in result.err


def test_what_lies_in_the_root_is_shown_escaped(settled: Desk) -> None:
    """A link's target is anybody's text."""
    source = settled.source("link", "1", {}, more='[[symlink]]\npath = "usr/link"\ntarget = "there"')
    settled.good("build", source, "-o", "link.tar.zst", "--key", "key")
    settled.good("install", "link.tar.zst")
    link = settled.root / "usr/link"
    link.unlink()
    Path(os.fsdecode(os.fsencode(link))).symlink_to(os.fsdecode(b"\x1b[31m\xff"))
    result = settled("verify", "link")
    assert result.code == 10
    assert "\\x1b[31m\\udcff found" in result.out
    assert settled("--json", "verify", "link").json["differences"][0]["found"] == "\x1b[31m\udcff"


def test_a_comment_of_a_key_cannot_act(desk: Desk) -> None:
    desk.good("key", "generate", "key", "--comment", "me\x1b[2J\nssh-ed25519 x")
    shown = desk("key", "trust", "key.pub", "--yes")
    assert shown.code == 0
    assert _is_clean(shown.out + shown.err)
    assert _is_clean(desk("key", "list").out)
    assert len(desk("key", "list").out.splitlines()) == 1
    assert len(desk("key", "export").out.splitlines()) == 1


def test_an_odd_root_works(desk: Desk) -> None:
    odd = os.fsdecode(b"ro\xff\x1bot")
    (desk.place / odd).mkdir()
    bundle = desk.bundle("app", "1", key="")
    for arguments in (("install", "--allow-unsigned", bundle), ("list",), ("verify",), ("rollback",)):
        result = desk.process(*arguments, root=None, environment={**os.environ, "PKG_ROOT": odd})
        assert result.code == 0, result
        assert _is_clean(result.out + result.err)
