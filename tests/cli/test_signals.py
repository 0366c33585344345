"""Ctrl-C and SIGTERM, wherever they come: the exit code tells, the root is whole, the next command goes on."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from support.command_line import PKG, Desk, Terminal, clean_environment, install_that_waits

CODES = {signal.SIGINT: 130, signal.SIGTERM: 143}
NAMES = {signal.SIGINT: "Interrupted", signal.SIGTERM: "Terminated"}
each_signal = pytest.mark.parametrize("number", CODES, ids=lambda number: signal.Signals(number).name)


@pytest.fixture
def settled(trusting: Desk) -> Desk:
    """A root with a package, and a large bundle of its next version."""
    trusting.good("install", trusting.bundle("app", "1", {"usr/app": "old"}))
    trusting.bundle("app", "2", {"usr/app": "new", "usr/large": os.urandom(2_000_000).hex()})
    return trusting


def _start(desk: Desk, *arguments: str) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        [PKG, "--root", "root", *arguments],
        cwd=desk.place,
        env=clean_environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def _until(condition: Callable[[], bool], running: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert running.poll() is None, running.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.005)


def _handles(running: "subprocess.Popen[bytes]", number: int) -> bool:
    """Tell whether the process catches a signal by now (SigCgt of /proc/PID/status)."""
    status = Path(f"/proc/{running.pid}/status").read_text()
    caught = int(status.split("SigCgt:")[1].split()[0], 16)
    return bool(caught >> (number - 1) & 1)


@each_signal
def test_a_signal_while_the_bundle_has_not_come_yet(number: signal.Signals, settled: Desk) -> None:
    before = settled.snapshot()
    running = _start(settled, "--json", "install", "-")
    _until(lambda: _handles(running, signal.SIGTERM) and _handles(running, signal.SIGINT), running)
    time.sleep(0.3)  # the command's modules are loaded; it waits for its bundle
    running.send_signal(number)
    out, err = running.communicate(timeout=20)
    assert running.returncode == CODES[number]
    document = json.loads(out)
    assert (document["exit_code"], document["error"]["kind"]) == (CODES[number], NAMES[number])
    assert err.decode().strip().splitlines() == [
        "pkg: interrupted",
        "  now: what had begun was undone or completed",
        "  next: `pkg history` tells which",
    ]
    assert settled.snapshot() == before


@each_signal
def test_a_signal_while_files_are_staged_discards_them(number: signal.Signals, settled: Desk) -> None:
    """The bundle comes through a pipe and stops in the middle, so the transaction is open when the signal comes."""
    before = settled.snapshot()
    running = install_that_waits(settled, "app-2.tar.zst", 2)
    running.send_signal(number)
    _, err = running.communicate(timeout=20)
    assert running.returncode == CODES[number]
    assert b"Traceback" not in err
    assert settled.snapshot() == before
    assert settled.leftovers() == []
    assert settled("recover", "--status").code == 0
    record = settled("--json", "history", "2").json["transactions"][0]
    assert record["outcome"] == "discarded"


@each_signal
def test_a_signal_at_any_moment_leaves_all_or_nothing(number: signal.Signals, settled: Desk) -> None:
    old = settled.snapshot(links=False)
    outcomes = set()
    for step in range(8):
        running = _start(settled, "install", "app-2.tar.zst", "--allow-downgrade")
        while running.poll() is None and not _handles(running, signal.SIGTERM):
            time.sleep(0.002)
        time.sleep(step * 0.05)
        running.send_signal(number)
        _, err = running.communicate(timeout=20)
        assert running.returncode in {0, CODES[number]}, err
        assert settled("recover", "--status").code == 0
        if settled.snapshot(links=False) == old:
            outcomes.add("old")
            assert running.returncode == CODES[number]
        else:
            outcomes.add("new")
            assert settled("list").out == "app 2 all\n"
            assert (settled.root / "usr/app").read_text() == "new"
            settled.good("rollback")
        assert settled.snapshot(links=False) == old
        assert settled("verify").code == 0
    assert "old" in outcomes


@each_signal
def test_a_signal_while_waiting_for_the_lock(number: signal.Signals, settled: Desk) -> None:
    before = settled.snapshot()
    holder = install_that_waits(settled, "app-2.tar.zst", 2)
    waiting = _start(settled, "remove", "app")
    _until(lambda: _handles(waiting, signal.SIGTERM), waiting)
    time.sleep(0.4)
    waiting.send_signal(number)
    waiting.communicate(timeout=20)
    assert waiting.returncode == CODES[number]
    holder.terminate()
    holder.communicate(timeout=20)
    assert settled.snapshot() == before


def _again_until_it_ends(terminal: Terminal, act: Callable[[], object]) -> None:
    """A signal between the prompt and its reading is seen with the next key only: that is Python's readline."""
    for _ in range(20):
        with suppress(OSError):
            act()
        try:
            terminal.running.wait(0.5)
        except subprocess.TimeoutExpired:
            continue
        return
    raise AssertionError("it does not end")


def test_ctrl_c_at_a_prompt_is_130_and_trusts_nobody(desk: Desk) -> None:
    desk.good("key", "generate", "key")
    terminal = Terminal(PKG, "--root", "root", "key", "trust", "key.pub", cwd=desk.place)
    terminal.until("Trust this key?")
    _again_until_it_ends(terminal, lambda: terminal.type("\x03"))
    code, shown = terminal.end()
    assert code == 130
    assert "pkg: interrupted" in shown
    assert "Traceback" not in shown
    assert desk("key", "list").out == ""


def test_who_ignores_ended_children_does_not_hide_how_a_command_has_ended(desk: Desk) -> None:
    """It stays ignored over execve; waitpid(2) then says ECHILD, and Python takes that for exit code 0."""
    output = desk.place / "output"
    output.write_text("old and whole")
    start = "import os, signal, sys; signal.signal(signal.SIGCHLD, signal.SIG_IGN); os.execv(sys.argv[1], sys.argv[1:])"
    line = "echo half >$1; exit 3"
    # Not by way of a shell, some of which reset it.
    direct = [sys.executable, "-I", "-B", "-c", "from intact.cli.main import main; main()"]
    words = [*direct, "produce", str(output), "--", "/bin/sh", "-c", line, "sh", "{}"]
    done = subprocess.run(
        [sys.executable, "-c", start, *words], capture_output=True, check=False, timeout=30, cwd=desk.place
    )
    assert done.returncode != 0
    assert output.read_text() == "old and whole", done


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_build_that_a_signal_ends_leaves_nothing_behind(number: signal.Signals, desk: Desk) -> None:
    try:
        os.close(os.open(desk.place, os.O_TMPFILE | os.O_RDWR))
    except OSError:
        pytest.skip("this filesystem knows no files without names")
    source = desk.place / "source"
    source.write_bytes(os.urandom(300 << 20))  # at level 19 it takes minutes
    package = '[package]\nname = "app"\nversion = "1"\narchitecture = "all"\n'
    (desk.place / "m.toml").write_text(
        f'format = 1\n{package}[[file]]\nsource = "source"\npath = "usr/app"\n'
    )
    names = sorted(desk.place.iterdir())
    running = _start(desk, "build", "m.toml", "--level", "19")
    descriptors = Path(f"/proc/{running.pid}/fd")
    _until(lambda: any(one.resolve() == source for one in descriptors.iterdir()), running)
    running.send_signal(number)
    _, told = running.communicate(timeout=60)
    assert running.returncode == CODES.get(number, -number)
    assert number == signal.SIGKILL or b"nothing is left of the build" in told
    assert sorted(desk.place.iterdir()) == names


def test_sigterm_at_a_prompt_is_143(desk: Desk) -> None:
    desk.good("key", "generate", "key")
    terminal = Terminal(PKG, "--root", "root", "key", "trust", "key.pub", cwd=desk.place)
    terminal.until("Trust this key?")
    _again_until_it_ends(terminal, terminal.running.terminate)
    code, shown = terminal.end()
    assert code == 143
    assert "Traceback" not in shown


def test_a_killed_command_is_finished_or_undone_by_the_next_and_told(settled: Desk) -> None:
    before = settled.snapshot()
    running = install_that_waits(settled, "app-2.tar.zst", 2)
    running.kill()
    running.communicate()
    status = settled("--json", "recover", "--status")
    assert (status.code, status.json["interrupted"][0]["transaction"]) == (6, 2)
    assert settled.snapshot() == before
    told = settled("recover")
    assert (told.code, "transaction 2" in told.out, "discarded" in told.out) == (0, True, True)
    assert settled("recover", "--status").code == 0
    assert settled.snapshot() == before
    assert settled.leftovers() == []


def test_the_next_changing_command_tells_what_it_recovered(settled: Desk) -> None:
    running = install_that_waits(settled, "app-2.tar.zst", 2)
    running.kill()
    running.communicate()
    result = settled("--json", "install", "app-2.tar.zst")
    assert result.code == 0
    assert [(one["transaction"], one["outcome"]) for one in result.json["recovered"]] == [(2, "discarded")]
    assert (
        "recovered: transaction 2 (`pkg --root root install -`) was interrupted; now discarded" in result.err
    )
    assert settled("list").out == "app 2 all\n"


@each_signal
def test_a_signal_that_a_finalizer_has_swallowed_comes_again(number: signal.Signals) -> None:
    """Python drops what is raised in a finalizer or in a callback of an import."""
    swallow = f"""
import os, sys, time
import intact.cli.main
main = sys.modules["intact.cli.main"]

class Swallows:
    def __del__(self):
        os.kill(os.getpid(), {int(number)})
        for _ in range(1000):
            pass

def command(arguments):
    swallows = Swallows()
    del swallows
    try:
        time.sleep(20)
    except KeyboardInterrupt as interrupt:
        return main._end_of(interrupt).exit_code
    return 0

main.run_command = command
main.main()
"""
    done = subprocess.run([sys.executable, "-I", "-c", swallow], capture_output=True, timeout=30, check=False)
    assert (done.returncode, done.stderr) == (CODES[number], b"")


def test_a_signal_before_anybody_could_tell_it_waits() -> None:
    """Terminated at the very moment that its handler is there: told in our words, not by a traceback."""
    at_once = """
import os, signal, sys
from intact.cli.main import main

def set_and_terminate(number, handler, set_handler=signal.signal):
    set_handler(number, handler)
    if number == signal.SIGTERM:
        os.kill(os.getpid(), number)

signal.signal = set_and_terminate
sys.argv[1:] = ["list"]
main()
"""
    done = subprocess.run([sys.executable, "-I", "-c", at_once], capture_output=True, timeout=30, check=False)
    assert done.returncode == 143
    assert done.stderr.startswith(b"pkg: interrupted\n")
