"""Acts. How does what is being written get to the disk meanwhile, so that whoever makes it durable waits less?

A thread begins to sync whenever a portion has been written. It promises nothing: each sync that a promise depends on
comes all the same, on a descriptor of its own, and reports each error.
"""

import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress

from intact.system.syscalls import syncfs

__all__ = ["writing_back"]

_PORTION = 32 << 20


@contextmanager
def writing_back(descriptors: Sequence[int], portion: int = _PORTION) -> Iterator[Callable[[int], None]]:
    """Sync the filesystems of these descriptors now and then; the thread ends with the block.

    Args:
        descriptors: they become ours, and are closed at the end.
        portion: bytes after which it is time.

    Yields:
        What is to be called with the number of bytes written since its last call.
    """
    thread = _Syncing(descriptors)
    written = 0

    def note(count: int) -> None:
        nonlocal written
        written += count
        if written >= portion:
            written = 0
            thread.begin()

    try:
        yield note
    finally:
        thread.end()


class _Syncing(threading.Thread):
    """A thread that syncs when it is told to; what it is told meanwhile, it does once."""

    def __init__(self, descriptors: Sequence[int]) -> None:
        super().__init__(daemon=True)
        self._descriptors = descriptors
        self._wanted = threading.Event()
        self._ending = False
        self._is_started = False

    def begin(self) -> None:
        """Sync now, or once more after the sync that goes on."""
        self._wanted.set()
        if self._is_started:
            return
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())  # a thread inherits it:
        try:  # signals are for the main thread, and none comes between these two lines
            self.start()
            self._is_started = True
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)

    def end(self) -> None:
        """Let the sync that goes on be the last, and wait for it."""
        self._ending = True
        self._wanted.set()
        if self._is_started:
            self.join()
        else:
            self._close()

    def run(self) -> None:
        """Sync until it is enough; the descriptors are closed here, since a signal may keep others from waiting."""
        try:
            while self._wanted.wait() and not self._ending:
                self._wanted.clear()
                for fd in {os.fstat(fd).st_dev: fd for fd in self._descriptors}.values():
                    with suppress(OSError):  # told by whoever makes it durable
                        syncfs(fd)
        finally:
            self._close()

    def _close(self) -> None:
        for fd in self._descriptors:
            os.close(fd)
