"""Acts. How do polite signals wait while files are being renamed?

They are blocked in this thread, so that no system call of ours is interrupted, and their handlers only note them:
the kernel may deliver a signal to any other thread of the process (a progress bar has one), and Python would then
raise in the main thread all the same.

A KeyboardInterrupt may say in its arguments what became of the root, and then more, a line each: whoever ends the command
tells that.
"""

import signal
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import FrameType

from intact.model.errors import IntactError, RecoveryFailed

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

    If the block ends with an error, the interruption tells of it; only the news that a recovery is needed comes out in its
    place.
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
    failed: IntactError | None = None
    try:
        yield
    except IntactError as error:
        failed = error
        raise
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)  # what is pending is noted now
        for one, handler in handlers.items():
            signal.signal(one, handler if handler is not None else signal.SIG_DFL)
        first = _arrived[:1]
        _arrived.clear()
        _deliver(first, failed)


def _deliver(arrived: Sequence[int], failed: IntactError | None) -> None:
    """Let signals come now; what they end has perhaps failed already, and that is told with them."""
    try:
        for number in arrived:
            signal.raise_signal(number)
    except KeyboardInterrupt as interrupt:
        if failed is None:
            raise
        if not isinstance(failed, RecoveryFailed):
            interrupt.args = (failed.root_state, failed.message, *failed.details)
            raise


def signal_waits() -> bool:
    """Tell whether a polite signal is being held back; whoever takes long asks now and then."""
    return bool(_arrived) or not signal.sigpending().isdisjoint(POLITE)
