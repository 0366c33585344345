"""Acts. How does work go on in all processors, while its results come one after the other, in the order of the work?

For work that releases Python's lock: (de)compression and hashing of large pieces, and for one sequence of works beside
their owner. The threads end with the iteration, so that whatever starts another process later is alone again.
"""

import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from functools import partial
from queue import SimpleQueue
from typing import Generic, NoReturn, TypeVar

from intact.system.syscalls import keep_freed_memory

__all__ = ["Beside", "in_order", "processors"]

_T = TypeVar("_T")
_MOST = 4  # what a frame takes, in both forms, is held that many times
_BEHIND = 1  # and its content so many times more


def processors() -> int:
    """Count the processors that we use: those that we may, and no more than memory is bounded for."""
    return min(len(os.sched_getaffinity(0)), _MOST)


class _Job(Generic[_T]):
    """One piece of work, and what became of it."""

    def __init__(self, work: Callable[[], _T]) -> None:
        self._work: Callable[[], _T] | None = work
        self._result: list[_T] = []
        self._error: BaseException | None = None
        self._done = threading.Lock()
        self._done.acquire()

    def run(self) -> None:
        work, self._work = self._work, None  # what it works on is not needed any longer than that
        try:
            if work is not None:
                self._result.append(work())
        except BaseException as error:  # noqa: BLE001  it is raised again where the result is wanted
            self._error = error
        finally:
            self._done.release()

    def result(self) -> _T:
        self._done.acquire()
        if self._error is not None:
            raise self._error
        return self._result[0]


def in_order(works: Iterable[Callable[[], _T]], ahead: int = 1) -> Generator[_T, None, None]:
    """Do all of it, and yield the results in order; to be closed, if it is not read to its end.

    Args:
        works: taken in the caller's thread, and at most `ahead` more of them than there are processors before their
            results are wanted. An error that it raises comes after the results of what it has yielded.
        ahead: bounds the memory.

    Raises:
        BaseException: what a work has raised, in its turn.
    """
    count = processors()
    source = iter(works)
    waiting: SimpleQueue[_Job[_T] | None] = SimpleQueue()
    pending: deque[_Job[_T]] = deque()
    threads: list[threading.Thread] = []
    try:
        more = True
        while more or pending:
            while more and len(pending) < count + ahead:
                job, more = _next_job(source)
                if job is None:
                    break
                pending.append(job)
                if count == 1 or not more:
                    job.run()
                    continue
                waiting.put(job)
                if len(threads) < min(count, len(pending)):
                    keep_freed_memory()
                    _start(waiting, threads)
            if pending:
                yield pending.popleft().result()
    finally:
        waiting.put(None)
        for thread in threads:
            thread.join()


class Beside:
    """Work that one thread does in its order, beside what the owner does meanwhile; to be closed.

    Where there is one processor only, the owner does it.
    """

    def __init__(self) -> None:
        """The thread begins with the first work."""
        self._waiting: SimpleQueue[_Job[object] | None] = SimpleQueue()
        self._pending: deque[_Job[object]] = deque()
        self._threads: list[threading.Thread] = []

    def begin(self, work: Callable[[], object]) -> None:
        """Have something done; waits while `_BEHIND` works before it are not done, which bounds the memory.

        Raises:
            BaseException: what a work before has raised.
        """
        # Where a thread has begun, it goes on, also when there is only one processor left: or works would change places.
        if not self._threads and processors() == 1:
            work()
            return
        self._wait(_BEHIND)
        job = _Job(work)
        self._pending.append(job)
        self._waiting.put(job)
        if not self._threads:
            _start(self._waiting, self._threads)

    def finish(self) -> None:
        """Wait until everything is done.

        Raises:
            BaseException: what a work has raised.
        """
        self._wait(0)

    def _wait(self, most: int) -> None:
        while len(self._pending) > most:
            self._pending.popleft().result()

    def close(self) -> None:
        """End the thread, when its work is done."""
        self._waiting.put(None)
        for thread in self._threads:
            thread.join()


def _next_job(source: Iterator[Callable[[], _T]]) -> tuple[_Job[_T] | None, bool]:
    """Return the next job, and whether there may be more."""
    try:
        return _Job(next(source)), True
    except StopIteration:
        return None, False
    except Exception as error:  # noqa: BLE001  it is told in its turn
        return _Job(partial(_raise, error)), False


def _raise(error: Exception) -> NoReturn:
    raise error


def _start(waiting: "SimpleQueue[_Job[_T] | None]", threads: list[threading.Thread]) -> None:
    """Start one more thread; signals are for the main thread, and none comes before this one is in the list."""
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())  # a thread inherits it
    try:
        thread = threading.Thread(target=_work, args=(waiting,), daemon=True)
        thread.start()
        threads.append(thread)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)


def _work(waiting: "SimpleQueue[_Job[_T] | None]") -> None:
    while (job := waiting.get()) is not None:
        job.run()
    waiting.put(None)  # for whoever else waits, in the list or not
