"""Acts. How is a command run so that it gets nothing from us that it could misuse, and cannot outlive us?

It gets a fixed environment, no standard input, no open file, the root as its directory (and as its root, if that is
not the machine's own), a session of its own, the group 0 and no other, and signals as a new program expects them. If
we are killed, the kernel kills it (PR_SET_PDEATHSIG, prctl(2)); whatever it leaves in its process group is
killed when it ends.
"""

import ctypes
import errno
import os
import select
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Final

from intact.model.errors import machine_error
from intact.model.values import dataclass
from intact.system.signals import signal_waits

__all__ = ["CommandEnd", "run_command"]

_ENVIRONMENT: Final = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "LANG": "C.UTF-8",
    "HOME": "/",
}
_MOST_OUTPUT = 16 << 10
_PIPE = 1 << 16
_SECONDS_TO_END = 2.0
_PR_SET_PDEATHSIG = 1
_MISSING = frozenset({errno.ENOENT, errno.EACCES, errno.ENOEXEC, errno.ENOTDIR, errno.ELOOP, errno.EISDIR})

_libc = ctypes.CDLL(None, use_errno=True)


@dataclass(frozen=True, slots=True)
class CommandEnd:
    """How a command ended.

    Attributes:
        fault: why it counts as failed, in words; empty if it ended with 0.
        output: the last of what it wrote, both streams together.
    """

    fault: str
    output: str


def run_command(
    command: Sequence[str],
    *,
    root: str,
    program: str,
    seconds: float,
    variables: Mapping[str, str],
    interruptible: bool,
) -> CommandEnd:
    """Run a command to its end, or end it.

    Args:
        command: its words, the program's name first.
        root: path of the root that it is to see as ``/``.
        program: path of the program below that root.
        seconds: how long it may take.
        variables: for its environment, beside the fixed ones.
        interruptible: a signal that is held back ends it.

    Raises:
        MachineError: no process could be started at all.
    """
    reading, writing = _pipe()
    try:
        try:
            process = subprocess.Popen(
                list(command),
                executable=program,
                stdin=subprocess.DEVNULL,
                stdout=writing,
                stderr=writing,
                close_fds=True,
                cwd="/",
                env={**_ENVIRONMENT, **variables},
                umask=0o022,
                group=0 if os.geteuid() == 0 else None,
                extra_groups=[] if os.geteuid() == 0 else None,
                start_new_session=True,
                # No other thread of ours holds a lock that it needs: the progress bar only draws.
                preexec_fn=lambda: _prepare(root),  # noqa: PLW1509
            )
        except (OSError, subprocess.SubprocessError) as error:
            if isinstance(error, OSError) and error.errno not in _MISSING:
                raise machine_error("run", error, program) from error
            return CommandEnd(f"could not be started: {error}", "")
        finally:
            os.close(writing)
        return _watch(process, reading, seconds, interruptible=interruptible)
    finally:
        os.close(reading)


def _pipe() -> tuple[int, int]:
    try:
        reading, writing = os.pipe()
    except OSError as error:
        raise machine_error("pipe", error, None) from error
    os.set_blocking(reading, False)
    return reading, writing


def _prepare(root: str) -> None:
    """In the new process, before the program: what subprocess has no option for."""
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    if root != "/":
        os.chroot(root)
        os.chdir("/")


def _watch(
    process: "subprocess.Popen[bytes]", reading: int, seconds: float, *, interruptible: bool
) -> CommandEnd:
    output = bytearray()
    deadline = time.monotonic() + seconds
    fault = ""
    try:
        while not _has_ended(process) and not fault:
            left = deadline - time.monotonic()
            if left <= 0:
                fault = f"took longer than {seconds:g} s and was ended"
            elif interruptible and signal_waits():
                fault = "was interrupted"
            else:
                _collect(reading, output, min(left, 0.1))
    finally:
        _end(process, gently=bool(fault))
    _collect(reading, output, 0)
    if not fault and process.returncode:
        fault = _fault_of(process.returncode)
    return CommandEnd(fault, output.decode("utf-8", "replace"))


def _has_ended(process: "subprocess.Popen[bytes]") -> bool:
    """Tell whether it has, and leave its number taken: nobody else can have it until `_end`."""
    return os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None


def _collect(reading: int, output: bytearray, seconds: float) -> None:
    """Read what is there, at most once what a pipe holds: who writes without end must not keep us; keep the end."""
    poll = select.poll()
    poll.register(reading, select.POLLIN)
    if not poll.poll(seconds * 1000):
        return
    with suppress(BlockingIOError):
        piece = os.read(reading, _PIPE)
        output += piece
        del output[:-_MOST_OUTPUT]
        if not piece:
            time.sleep(min(seconds, 0.01))  # it has closed its output, and still runs


def _end(process: "subprocess.Popen[bytes]", *, gently: bool) -> None:
    """End the command and all that is in its process group."""
    if gently:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        deadline = time.monotonic() + _SECONDS_TO_END
        while not _has_ended(process) and time.monotonic() < deadline:
            time.sleep(0.01)
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _fault_of(code: int) -> str:
    if code > 0:
        return f"ended with {code}"
    with suppress(ValueError):
        return f"was killed by {signal.Signals(-code).name}"
    return f"was killed by signal {-code}"
