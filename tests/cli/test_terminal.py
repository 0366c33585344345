"""On a terminal: a progress bar after a second, questions, passphrases that are not shown."""

import json
import os
import subprocess
import sys
import time

import pytest

from support.command_line import PKG, Desk, Terminal, clean_environment


def _pkg(desk: Desk, *arguments: str, **environment: str) -> Terminal:
    return Terminal(
        PKG, "--root", "root", *arguments, cwd=desk.place, environment=clean_environment(**environment)
    )


@pytest.fixture
def keyed(desk: Desk) -> Desk:
    """A desk with a key that nobody trusts yet."""
    desk.good("key", "generate", "key", "--comment", "me@example.org")
    return desk


@pytest.mark.parametrize("answer", ["y", "Y", "yes"])
def test_a_key_is_trusted_when_a_person_agrees(answer: str, keyed: Desk) -> None:
    terminal = _pkg(keyed, "key", "trust", "key.pub")
    asked = terminal.until("Trust this key?")
    assert "SHA256:" in asked  # what is agreed to is shown before
    assert "me@example.org" in asked
    terminal.type(f"{answer}\n")
    code, shown = terminal.end()
    assert (code, "trusted: SHA256:" in shown) == (0, True)
    assert len(keyed("key", "list").out.splitlines()) == 1


@pytest.mark.parametrize("answer", ["n", "no", ""])
def test_a_no_is_no_interruption_and_trusts_nobody(answer: str, keyed: Desk) -> None:
    terminal = _pkg(keyed, "key", "trust", "key.pub")
    terminal.until("Trust this key?")
    terminal.type(f"{answer}\n")
    code, shown = terminal.end()
    assert code == 1
    assert "pkg: key.pub: the key is not trusted" in shown
    assert "interrupted" not in shown
    assert keyed("key", "list").out == ""


def test_an_answer_that_is_none_is_asked_again(keyed: Desk) -> None:
    terminal = _pkg(keyed, "key", "trust", "key.pub")
    terminal.until("Trust this key?")
    terminal.type("perhaps\n")
    terminal.until("invalid")
    terminal.type("y\n")
    assert terminal.end()[0] == 0


def test_yes_asks_nothing(keyed: Desk) -> None:
    code, shown = _pkg(keyed, "key", "trust", "key.pub", "--yes").end()
    assert (code, "Trust this key?" in shown) == (0, False)


def test_without_a_terminal_nobody_is_asked(keyed: Desk) -> None:
    result = keyed.process("key", "trust", "key.pub", data=b"n\n")
    assert (result.code, "?" in result.err) == (2, False)
    assert "there is nobody here to ask" in result.err
    assert "say --fingerprint SHA256:" in result.err
    assert keyed("key", "list").out == ""


def test_a_passphrase_is_asked_twice_and_never_shown(desk: Desk) -> None:
    terminal = _pkg(desk, "key", "generate", "safe", "--passphrase")
    terminal.until("Passphrase:")
    time.sleep(0.2)  # until the echo is off
    terminal.type("open sesame\n")
    terminal.until("Repeat for confirmation:")
    time.sleep(0.2)
    terminal.type("open sesame\n")
    code, shown = terminal.end()
    assert (code, "sesame" in shown) == (0, False)
    command = ["ssh-keygen", "-y", "-P", "open sesame", "-f", str(desk.place / "safe")]
    known = subprocess.run(command, capture_output=True, text=True, check=False)
    assert known.stdout.split()[:2] == (desk.place / "safe.pub").read_text().split()[:2]


def test_two_passphrases_that_differ_make_no_key(desk: Desk) -> None:
    terminal = _pkg(desk, "key", "generate", "safe", "--passphrase")
    terminal.until("Passphrase:")
    time.sleep(0.2)
    terminal.type("one\n")
    terminal.until("Repeat")
    time.sleep(0.2)
    terminal.type("two\n")
    terminal.until("do not match")
    terminal.type("\x03")
    terminal.running.terminate()
    assert terminal.end()[0] in {130, 143}
    assert not (desk.place / "safe").exists()


def test_a_protected_key_signs_after_its_passphrase_was_typed(desk: Desk) -> None:
    environment = clean_environment(PKG_KEY_PASSPHRASE="sesame")  # noqa: S106  a test's
    made = desk.process("key", "generate", "safe", "--passphrase", environment=environment)
    assert made.code == 0
    bundle = desk.bundle("app", "1", key="")
    terminal = _pkg(desk, "sign", bundle, "--key", "safe")
    terminal.until("Passphrase of the key:")
    time.sleep(0.2)
    terminal.type("sesame\n")
    code, shown = terminal.end()
    assert (code, "signed by SHA256:" in shown, "sesame" in shown) == (0, True, False)


@pytest.mark.parametrize("known", [None, ""])
def test_no_new_passphrase_is_asked_for_without_a_terminal(known: str | None, desk: Desk) -> None:
    more = {} if known is None else {"PKG_KEY_PASSPHRASE": known}
    result = desk.process(
        "key", "generate", "safe", "--passphrase", data=b"x\nx\n", environment=clean_environment(**more)
    )
    assert (result.code, "next: set PKG_KEY_PASSPHRASE" in result.err) == (2, True)
    assert not (desk.place / "safe").exists()


def test_a_passphrase_may_have_any_bytes(desk: Desk) -> None:
    environment = clean_environment(PKG_KEY_PASSPHRASE=os.fsdecode(b"\xff\xfe"))
    assert desk.process("key", "generate", "safe", "--passphrase", environment=environment).code == 0
    bundle = desk.bundle("app", "1", key="")
    assert desk.process("sign", bundle, "--key", "safe", environment=environment).code == 0


def test_a_short_command_shows_no_bar(keyed: Desk) -> None:
    keyed.good("key", "trust", "key.pub", "--yes")
    code, shown = _pkg(keyed, "install", keyed.bundle("app", "1")).end()
    assert code == 0
    assert "\x1b" not in shown
    assert shown.splitlines()[0] == "install  app 1"


def _slow(desk: Desk) -> str:
    """A bundle that takes more than a second to come, because it comes through a slow pipe."""
    return desk.bundle(
        "app", "1", {f"usr/{number}": os.urandom(300_000).hex() for number in range(6)}, key=""
    )


SLOW_PIPE = """
import subprocess, sys, time
content = open(sys.argv[1], "rb").read()
with subprocess.Popen(sys.argv[2:], stdin=subprocess.PIPE) as running:
    for part in range(16):
        running.stdin.write(content[len(content) * part // 16 : len(content) * (part + 1) // 16])
        running.stdin.flush()
        time.sleep(0.15)
    running.stdin.close()
sys.exit(running.returncode)
"""


@pytest.mark.parametrize("quiet", [False, True], ids=["loud", "quiet"])
def test_a_long_command_shows_a_bar_and_takes_it_away(quiet: bool, desk: Desk) -> None:  # noqa: FBT001
    options = ["--quiet"] if quiet else []
    command = [str(PKG), "--root", "root", *options, "install", "--allow-unsigned", "-"]
    terminal = Terminal(sys.executable, "-c", SLOW_PIPE, _slow(desk), *command, cwd=desk.place)
    code, shown = terminal.end()
    assert code == 0
    assert ("stage" in shown, "%" in shown) == (not quiet, not quiet)
    if quiet:
        assert shown == ""
    else:
        last = shown[shown.rindex("install  app 1") :]
        assert "\x1b" not in last  # the bar is gone by then, and what follows is plain
        assert "done: transaction 1" in last
        assert shown.count("\x1b[?25h") == shown.count("\x1b[?25l")  # the cursor is back


def test_on_a_terminal_json_is_still_one_document(keyed: Desk) -> None:
    code, shown = _pkg(keyed, "--json", "key", "list").end()
    assert (code, json.loads(shown)) == (0, {"keys": [], "thresholds": []})


def test_what_is_shown_on_a_terminal_is_escaped_too(desk: Desk) -> None:
    code, shown = _pkg(desk, "info", "\x1b[31mred").end()
    assert (code, "\x1b" in shown, "\\x1b[31mred: not installed" in shown) == (1, False, True)
