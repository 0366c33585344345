"""Acts. How do further processes take over parts of a long piece of work, so that nothing depends on them?

For work that keeps Python's lock: many small files. A child shares what we have in memory when it begins, does its part,
writes its answer into a file in memory, and ends. Whatever becomes of it (no memory, a signal, an error), its part is
then without an answer, and whoever asked does it himself, and meets the error himself. So a child only looks, or makes
what can be taken away again.

There are no children where a thread is at work (it may hold a lock that the child would wait for for ever), where there
is one processor, or little to do. A child dies with us, so that no lock of ours outlives us with it.
"""

import os
import signal
import threading
from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from itertools import accumulate, pairwise
from typing import NoReturn

from intact.system.syscalls import die_with_parent
from intact.system.workers import processors

__all__ = ["FEWEST", "Answer", "all_in_parts", "in_parts"]

Answer = tuple[range, bytes | None]
Work = Callable[[range, Callable[[int], None]], bytes]
FEWEST = 1000
"""Items for a process: it takes a few milliseconds to make one."""


def in_parts(
    count: int,
    work: Work,
    progress: Callable[[int], None] = lambda _done: None,
    fewest: int = FEWEST,
    weights: Sequence[int] | None = None,
) -> list[Answer]:
    """Let `work` do `count` items, in as many processes as there are processors; return the answers by part.

    Args:
        work: gets the numbers of some items, and what is to be called with the number, or the weight, of those that are
            done; for some parts it is run in a child, and what it does to anything in memory is lost.
        progress: called with what is done of all so far, roughly.
        fewest: items for each process.
        weights: what each item costs, in any unit; all the same, if nothing is said.

    Returns:
        Each part with its answer; None where there is none.

    Raises:
        Exception: what `work` has raised for the first part.
    """
    done = range(count + 1) if weights is None else [0, *accumulate(weights)]
    parts = _parts(done, fewest)
    own, whole = done[parts[0].stop], done[-1]
    children: list[_Child] = []
    try:
        _start(children, work, parts[1:])
        first = work(parts[0], lambda here: progress(here * whole // own if own else whole))
        answers = {child.part: child.answer() for child in children}
    finally:
        _end(children)
    return [(parts[0], first), *((part, answers.get(part)) for part in parts[1:])]


def all_in_parts(
    count: int,
    work: Work,
    progress: Callable[[int], None] = lambda _done: None,
    fewest: int = FEWEST,
    weights: Sequence[int] | None = None,
    *,
    take_away: Callable[[range], None] = lambda _part: None,
) -> Iterator[tuple[range, bytes]]:
    """As `in_parts`, and what has no answer is done here: yield the answer to each part.

    Args:
        take_away: called with a part before it is done once more; for work that leaves something behind.

    Raises:
        Exception: what `work` has raised here.
    """
    for part, answer in in_parts(count, work, progress, fewest, weights):
        if answer is None:
            take_away(part)
        yield part, work(part, lambda _done: None) if answer is None else answer


def _start(children: "list[_Child]", work: Work, parts: Sequence[range]) -> None:
    """Start a child for each part; no signal comes before all of them are in the list, and so will be ended."""
    if not parts:
        return
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    try:
        with suppress(OSError):  # no process, no memory
            children.extend(_Child(work, part) for part in parts)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)


def _end(children: "Sequence[_Child]") -> None:
    """End all that have not ended; a signal that comes meanwhile waits, or it would leave some of them at work."""
    if not children:
        return
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    try:
        for child in children:
            child.kill()
        for child in children:
            child.forget()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)


def _parts(done: Sequence[int], fewest: int) -> Sequence[range]:
    """Cut the items into parts of the same weight.

    Args:
        done: the weight of as many items as the place in it says.
    """
    count, whole = len(done) - 1, done[-1]
    most = processors() if threading.active_count() == 1 else 1
    number = max(1, min(most, count // fewest))
    borders = [0, *(bisect_left(done, whole * at // number) for at in range(1, number)), count]
    return [range(start, end) for start, end in pairwise(borders)]


class _Child:
    """A process that does one part."""

    def __init__(self, work: Work, part: range) -> None:
        self.part = part
        self._fd = os.memfd_create("answer", os.MFD_CLOEXEC)
        parent = os.getpid()
        try:
            self._pid: int | None = os.fork()
        except OSError:
            os.close(self._fd)
            raise
        if self._pid == 0:
            _be_child(work, part, self._fd, parent)

    def answer(self) -> bytes | None:
        """Wait for the end; None if it was not a good one."""
        if self._pid is None:
            return None
        try:
            _, status = os.waitpid(self._pid, 0)
        except ChildProcessError:  # whoever started us ignores SIGCHLD, so nobody knows how it ended
            status = -1
        self._pid = None
        if status != 0:
            return None
        length = os.fstat(self._fd).st_size
        found = os.pread(self._fd, length, 0)
        return found if len(found) == length else None

    def kill(self) -> None:
        """Let it end now, if it has not ended."""
        if self._pid is not None:
            with suppress(ProcessLookupError):
                os.kill(self._pid, signal.SIGKILL)

    def forget(self) -> None:
        """Wait for its end, and forget its answer."""
        if self._pid is not None:
            with suppress(ChildProcessError):
                os.waitpid(self._pid, 0)
            self._pid = None
        os.close(self._fd)


def _be_child(work: Work, part: range, fd: int, parent: int) -> NoReturn:
    """Do the part, write the answer, and end without a trace."""
    code = 1
    try:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_SETMASK, ())
        die_with_parent(signal.SIGKILL)
        if os.getppid() == parent:  # else it has died already
            found = work(part, lambda _done: None)
            code = 0 if os.write(fd, found) == len(found) else 1
    finally:
        os._exit(code)
