"""Runs `pkg` command lines as processes of their own, many per second, and measures each.

A small server has imported what a command needs; for each command line it forks. So a command is a process with a
memory of its own, and costs a few milliseconds instead of the start of an interpreter. The peak that the kernel
tells for it counts from the size that the server had, which is what `pkg` itself has when its modules are loaded.
With `real`, the installed program is executed instead.

    python -m support.measured        one JSON document per line, in and out
"""

import importlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from support.command_line import PKG, clean_environment

__all__ = ["Measured", "Server", "measuring"]

_SECONDS_FOR_A_HANG = 60
_LOADED = (
    "intact.cli.changing",
    "intact.operations.install",
    "intact.bundle.verified",
    "intact.trust.sshsig",
)


@dataclass(frozen=True)
class Measured:
    """What a command left, and what it took.

    Attributes:
        peak: KiB of memory at its largest.
        seconds: of processor time.
    """

    code: int
    out: str
    err: str
    peak: int
    seconds: float


class Server:
    """Runs one command after the other."""

    def __init__(self, running: "subprocess.Popen[str]") -> None:
        self._running = running

    def run(self, *arguments: str | Path, real: bool = False) -> Measured:
        """Run a command line.

        Args:
            real: as the program that people start.
        """
        assert self._running.stdin is not None
        assert self._running.stdout is not None
        order = {"arguments": [str(one) for one in arguments], "real": real}
        self._running.stdin.write(json.dumps(order) + "\n")
        self._running.stdin.flush()
        answer: dict[str, Any] = json.loads(self._running.stdout.readline())
        return Measured(**answer)


@contextmanager
def measuring(place: Path) -> Iterator[Server]:
    """Start a server whose commands run in the directory `place`."""
    command = [sys.executable, "-m", "support.measured"]
    tests = str(Path(__file__).parent.parent)
    with subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=place,
        text=True,
        env=clean_environment(PYTHONPATH=tests),
    ) as running:
        try:
            yield Server(running)
        finally:
            running.communicate(timeout=_SECONDS_FOR_A_HANG)


def _serve() -> None:
    for name in _LOADED:
        importlib.import_module(name)
    for line in sys.stdin:
        sys.stdout.write(json.dumps(_measured(**json.loads(line))) + "\n")
        sys.stdout.flush()


def _measured(*, arguments: list[str], real: bool) -> dict[str, object]:
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        child = os.fork()
        if child == 0:
            _become_command(arguments, (out.fileno(), err.fileno()), real=real)
        status, usage = _wait(child)
        texts = [os.pread(one.fileno(), 1 << 24, 0).decode(errors="surrogateescape") for one in (out, err)]
    code = os.waitstatus_to_exitcode(status)
    seconds = usage.ru_utime + usage.ru_stime
    return {"code": code, "out": texts[0], "err": texts[1], "peak": usage.ru_maxrss, "seconds": seconds}


def _wait(child: int) -> tuple[int, Any]:
    """Wait for a command, but not for ever: one that hangs is killed, which its exit code shows."""
    deadline = time.monotonic() + _SECONDS_FOR_A_HANG
    pause = 0.001
    while time.monotonic() < deadline:
        ended, status, usage = os.wait4(child, os.WNOHANG)
        if ended:
            return status, usage
        time.sleep(pause)
        pause = min(0.02, pause * 1.5)
    os.kill(child, signal.SIGKILL)
    return os.wait4(child, 0)[1:]


def _become_command(arguments: list[str], streams: tuple[int, int], *, real: bool) -> None:
    """Be the command; never returns."""
    code = 1
    try:
        nowhere = os.open(os.devnull, os.O_RDONLY)
        for number, stream in enumerate((nowhere, *streams)):
            os.dup2(stream, number)
        if real:
            os.execv(PKG, [str(PKG), *arguments])  # noqa: S606  it is the program itself
        code = _call(arguments)
    except BaseException:  # noqa: BLE001  it is told as the interpreter would
        traceback.print_exc()
    finally:
        for one in (sys.stdout, sys.stderr):
            one.flush()
        os._exit(code)


def _call(arguments: list[str]) -> int:
    sys.argv = ["pkg", *arguments]
    try:
        importlib.import_module("intact.cli.main").main()
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else 1
    return 0


if __name__ == "__main__":
    _serve()
