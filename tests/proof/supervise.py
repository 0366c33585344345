"""Acts. How does `pkg` run as a process of its own, with somebody who decides about each of its system calls?"""

import os
import secrets
import select
import signal
import socket
import sys
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import click

from intact.cli.commands import pkg
from intact.cli.main import run_command
from proof.listener import Call, Listener, become_listened_to
from proof.syscall_table import CHANGING, LOOKING

__all__ = ["CONTINUE", "KILL", "KILL_CALLER", "Ended", "count_calls", "load_all", "run_pkg", "supervised"]

CONTINUE, KILL, KILL_CALLER = 0, -1, -2  # decisions; a positive one is an errno
_STANDARD_DESCRIPTORS = 3
_LONGEST_SECONDS = 60
_CRASHED = 70

Policy = Callable[[int, Call], int]


@dataclass(frozen=True, slots=True)
class Ended:
    """How a run ended.

    Attributes:
        code: exit code, or None if it was killed.
        calls: how many calls were asked about.
        said: what it wrote to standard error.
        hung: it had to be stopped.
    """

    code: int | None
    calls: int
    said: str
    hung: bool = False


def load_all() -> None:
    """Import every command, so that no fault hits Python's own loading of modules."""
    with click.Context(pkg) as context:
        for name in pkg.list_commands(context):
            pkg.get_command(context, name)


def _redirect(said: int) -> None:
    nothing = os.open(os.devnull, os.O_RDWR)
    os.dup2(nothing, 0)
    os.dup2(nothing, 1)
    os.dup2(said, 2)
    # Whatever has replaced the streams of this process (a test runner, say) is not there in the new one.
    sys.stdin = os.fdopen(0, closefd=False)
    sys.stdout = os.fdopen(1, "w", closefd=False)
    sys.stderr = os.fdopen(2, "w", buffering=1, closefd=False)


def _in_child(arguments: list[str], command: Callable[[list[str]], int]) -> int:
    """Run the command line in this forked process, which has loaded it already."""
    try:
        return command(arguments)
    except BaseException:  # noqa: BLE001  a crash of ours is a finding, and the report needs its place
        traceback.print_exc()
        return _CRASHED


def run_pkg(arguments: list[str], place: Path, user: int | None = None) -> Ended:
    """Run `pkg` to its end, unobserved.

    Args:
        place: a directory for its standard error.
        user: run it as this user, who is in no group but the one of the same number.
    """
    return _run(arguments, place, None, looking=False, user=user)


def supervised(
    arguments: list[str],
    place: Path,
    policy: Policy,
    *,
    looking: bool = False,
    user: int | None = None,
    command: Callable[[list[str]], int] = run_command,
) -> Ended:
    """Run `pkg` and ask `policy` before each system call that changes something.

    Args:
        policy: gets the number of the call, from 1, and the call.
        looking: ask about calls that only look, too.
        user: run it as this user.
        command: run this instead.
    """
    return _run(arguments, place, policy, looking=looking, user=user, command=command)


def count_calls(arguments: list[str], place: Path, *, looking: bool = False) -> list[str]:
    """Run `pkg` and name the calls that a policy would be asked about."""
    names: list[str] = []

    def note(_number: int, call: Call) -> int:
        names.append(call.name)
        return CONTINUE

    supervised(arguments, place, note, looking=looking)
    return names


def _become(user: int) -> None:
    os.setgroups([])
    os.setgid(user)
    os.setuid(user)


def _run(
    arguments: list[str],
    place: Path,
    policy: Policy | None,
    *,
    looking: bool,
    user: int | None = None,
    command: Callable[[list[str]], int] = run_command,
) -> Ended:
    text = place / f"said-{os.getpid()}-{secrets.token_hex(4)}"
    said = os.open(text, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600)
    ours, theirs = socket.socketpair()
    child = os.fork()
    if child == 0:
        code = _CRASHED
        try:
            ours.close()
            _redirect(said)
            if user is not None:
                _become(user)
            if policy is not None:
                become_listened_to(theirs, CHANGING | LOOKING if looking else CHANGING, every_open=looking)
            theirs.close()
            code = _in_child(arguments, command)
        finally:
            os._exit(code)
    theirs.close()
    calls, hung = 0, False
    try:
        if policy is not None:
            calls, hung = _listen(ours, child, policy)
        _, status = os.waitpid(child, 0)
    finally:
        ours.close()
        message = os.pread(said, 1 << 16, 0).decode("utf-8", "replace")
        os.close(said)
        text.unlink()
    code = os.waitstatus_to_exitcode(status)
    return Ended(code if code >= 0 else None, calls, message, hung)


def _listen(channel: socket.socket, child: int, policy: Policy) -> tuple[int, bool]:
    listener = Listener(channel)
    end = os.pidfd_open(child)
    poll = select.poll()
    poll.register(listener.fd, select.POLLIN)
    poll.register(end, select.POLLIN)
    number = 0
    try:
        while True:
            ready = dict(poll.poll(_LONGEST_SECONDS * 1000))
            if not ready:
                os.kill(child, signal.SIGKILL)
                return number, True
            if ready.get(listener.fd, 0) & select.POLLIN:
                call = listener.receive()
                if call is None:
                    continue
                if call.name in {"write", "writev"} and call.arguments[0] < _STANDARD_DESCRIPTORS:
                    listener.let(call)  # what it says is not on the disk
                    continue
                number += 1
                decision = policy(number, call)
                if decision == CONTINUE:
                    listener.let(call)
                elif decision == KILL_CALLER and call.pid != child:  # one that does a part of the work
                    os.kill(call.pid, signal.SIGKILL)
                elif decision in {KILL, KILL_CALLER}:
                    os.kill(child, signal.SIGKILL)
                    return number, False
                else:
                    listener.refuse(call, decision)
            elif end in ready:
                return number, False
    finally:
        os.close(end)
        listener.close()
