"""Acts. How does a command run in our place: same terminal, same signals, its own exit code?"""

import os
import signal
import subprocess
from collections.abc import Sequence
from contextlib import suppress

from intact.model.errors import machine_error

__all__ = ["run_in_our_place"]

# What people and supervisors send. SIGTSTP stays as it is: the terminal stops both of us.
_FORWARDED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2)
_FROM_KERNEL = (
    0x80  # SI_KERNEL: the terminal has sent it to every process of the foreground, the command included
)


def run_in_our_place(command: Sequence[str]) -> int:
    """Run a command and wait for it; return its exit code, or 128 and the number of the signal that ended it.

    Signals that reach us are handed on, and do not end us: what the command makes of them counts.

    Raises:
        MachineError: it could not be started.
    """
    # What is ignored (nohup) stays ignored, for both of us.
    heeded = [one for one in _FORWARDED if signal.getsignal(one) is not signal.SIG_IGN]
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [*heeded, signal.SIGCHLD])
    try:
        try:
            process = subprocess.Popen(
                list(command),
                preexec_fn=lambda: signal.pthread_sigmask(signal.SIG_SETMASK, before),  # noqa: PLW1509  one thread
            )
        except OSError as error:
            raise machine_error("run", error, command[0]) from error
        return _watch(process, [*heeded, signal.SIGCHLD])
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _watch(process: "subprocess.Popen[bytes]", signals: Sequence[int]) -> int:
    while process.poll() is None:
        told = signal.sigwaitinfo(signals)
        if told.si_signo != signal.SIGCHLD and told.si_code != _FROM_KERNEL:
            with suppress(ProcessLookupError):
                os.kill(process.pid, told.si_signo)
    code = process.returncode
    return 128 - code if code < 0 else code
