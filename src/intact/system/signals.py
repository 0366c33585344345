"""Acts. How do polite signals wait while files are being renamed?

They are blocked in this thread, so that no system call of ours is interrupted, and their handlers only note them:
the kernel may deliver a signal to any other thread of the process (a progress bar has one), and Python would then
raise in the main thread all the same.
"""

import signal
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from types import FrameType

from intact.model.errors import RecoveryFailed

__all__ = ["POLITE", "signal_waits", "signals_held"]

# Those that end a process, and leave it the time to tidy up.
POLITE = (
    signal.SIGINT,
    signal.SIGTERM,
    signal.SIGHUP,
    signal.SIGQUIT,
    signal.SIGUSR1,
    signal.SIGUSR2,
)
_arrived: list[int] = []


@contextmanager
def signals_held() -> Iterator[None]:
    """Hold polite signals back; the first that came is delivered when the block ends.

    Only the news that a recovery is needed is more important than the signal, and comes out in its place.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    _arrived.clear()

    def note(number: int, _frame: FrameType | None) -> None:
        _arrived.append(number)

    # What is ignored (nohup, a job of a shell script) stays ignored.
    heeded = [one for one in POLITE if signal.getsignal(one) is not signal.SIG_IGN]
    handlers = {one: signal.signal(one, note) for one in heeded}
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, heeded)
    outranked: AbstractContextManager[None] = nullcontext()
    try:
        yield
    except RecoveryFailed:
        outranked = suppress(KeyboardInterrupt)
        raise
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)  # what is pending is noted now
        for one, handler in handlers.items():
            signal.signal(one, handler if handler is not None else signal.SIG_DFL)
        first = _arrived[:1]
        _arrived.clear()
        with outranked:
            for number in first:
                signal.raise_signal(number)


def signal_waits() -> bool:
    """Tell whether a polite signal is being held back; whoever takes long asks now and then."""
    return bool(_arrived) or not signal.sigpending().isdisjoint(POLITE)
