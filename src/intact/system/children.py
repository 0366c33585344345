"""Acts. How does a command run in our place: same surroundings, same terminal, same signals, its own exit code?"""

import os
import resource
import signal
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

from intact.model.errors import machine_error
from intact.model.values import dataclass

if TYPE_CHECKING:
    import subprocess

__all__ = ["Surroundings", "run_in_our_place", "surroundings_now"]

# What people and supervisors send. SIGTSTP stays as it is: the terminal stops both of us.
_FORWARDED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2)
_FROM_KERNEL = (
    0x80  # SI_KERNEL: the terminal has sent it to every process of the foreground, the command included
)


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a process inherits.

    Attributes:
        umask: permission bits that new files do not get.
        core_limit: soft and hard limit of core files, in bytes.
    """

    environment: Mapping[str, str]
    umask: int
    core_limit: tuple[int, int]


def surroundings_now() -> Surroundings:
    """Return what a child of ours would inherit."""
    umask = os.umask(0o077)  # there is no call that only reads it
    os.umask(umask)
    return Surroundings(dict(os.environ), umask, resource.getrlimit(resource.RLIMIT_CORE))


def run_in_our_place(command: Sequence[str], surroundings: Surroundings) -> int:
    """Run a command and wait for it; return its exit code, or 128 and the number of the signal that ended it.

    Signals that reach us are handed on, and do not end us: what the command makes of them counts.

    Args:
        surroundings: what it inherits, which is not what we have made of ours.

    Raises:
        MachineError: it could not be started.
    """
    import subprocess  # noqa: PLC0415  every command asks `surroundings_now`, one in a thousand runs another

    # What is ignored (nohup) stays ignored, for both of us.
    heeded = [one for one in _FORWARDED if signal.getsignal(one) is not signal.SIG_IGN]
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [*heeded, signal.SIGCHLD])

    def prepare() -> None:
        resource.setrlimit(resource.RLIMIT_CORE, surroundings.core_limit)
        signal.pthread_sigmask(signal.SIG_SETMASK, before)

    try:
        try:
            process = subprocess.Popen(
                list(command),
                env=dict(surroundings.environment),
                umask=surroundings.umask,
                close_fds=False,  # what the caller has opened for it (make's jobserver); ours close by themselves
                preexec_fn=prepare,  # noqa: PLW1509  there is one thread only
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
