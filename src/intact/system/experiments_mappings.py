"""Acts. What does a process see of a file that it has mapped, as a library is, or open, when the file changes?"""

import mmap
import os
import resource
import signal
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from types import MappingProxyType

from intact.model.probes import Outcome, Result
from intact.system.experiments import attempt, make_file, name_of, untried
from intact.system.scratch import Experiment, die_with_parent

__all__ = ["MAPPING_EXPERIMENTS"]

_OLD, _NEW, _NOTHING = b"o", b"n", b"\0"
_PAGES = 16
_NAME, _OTHER = "library", "other"


class _Looker:
    """A process that has mapped the file and looks at it when it is asked."""

    def __init__(self, process: int, ask: int, told: int) -> None:
        self._process = process
        self._ask = ask
        self._told = told
        self.is_gone = False

    def looks(self) -> bytes | int:
        """Return the byte that it sees, or the signal that has killed it."""
        os.write(self._ask, b"?")
        seen = os.read(self._told, 1)
        if seen:
            return seen
        _, status = os.waitpid(self._process, 0)
        self.is_gone = True
        return os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0

    def end(self) -> None:
        """End it."""
        if not self.is_gone:
            os.kill(self._process, signal.SIGKILL)
            os.waitpid(self._process, 0)


@contextmanager
def _looking(directory: int, protection: int) -> Iterator[_Looker]:
    """Let another process map the file."""
    fd = os.open(_NAME, os.O_RDONLY | os.O_CLOEXEC, dir_fd=directory)
    try:
        pages = mmap.mmap(fd, 0, flags=mmap.MAP_PRIVATE, prot=protection)
    finally:
        os.close(fd)
    asked, ask = os.pipe()
    told, tell = os.pipe()
    process = os.fork()
    if process == 0:
        _look(pages, asked, tell, (ask, told))
    for one in (asked, tell):
        os.close(one)
    looker = _Looker(process, ask, told)
    try:
        yield looker
    finally:
        looker.end()
        for one in (ask, told):
            os.close(one)
        pages.close()


def _look(pages: mmap.mmap, asked: int, tell: int, others: tuple[int, int]) -> None:
    """In the new process: look at the last page each time somebody asks; no death of it leaves a core file."""
    try:
        die_with_parent()
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        signal.signal(signal.SIGBUS, signal.SIG_DFL)  # instead of a traceback (PYTHONFAULTHANDLER)
        for one in others:
            os.close(one)
        while os.read(asked, 1):
            os.write(tell, pages[-1:])
    finally:
        os._exit(0)


def _mapped(act: Callable[[int], None]) -> Experiment:
    def experiment(directory: int) -> Outcome:
        make_file(directory, _NAME, _OLD * mmap.PAGESIZE * _PAGES, 0o755)
        make_file(directory, _OTHER, _NEW * mmap.PAGESIZE * _PAGES, 0o755)
        protection = mmap.PROT_READ | mmap.PROT_EXEC
        fact = ""
        if _map_for_execution(directory).result is not Result.DONE:
            protection, fact = mmap.PROT_READ, "mapped for reading only"
        try:
            with _looking(directory, protection) as looker:
                if looker.looks() != _OLD:
                    return untried("the mapping does not show the file")
                done = attempt(lambda: act(directory))
                return done if done.result is not Result.DONE else _told(looker.looks(), fact)
        except OSError as error:
            return untried(f"files cannot be mapped here ({name_of(error)})")

    return experiment


def _told(seen: bytes | int, fact: str) -> Outcome:
    if isinstance(seen, int):
        return Outcome(Result.KILLED, "", signal.Signals(seen).name if seen else "no answer")
    if seen == _OLD:
        return Outcome(Result.OLD, "", fact)
    return Outcome(Result.NEW, "", "zeros" if seen == _NOTHING else fact)


def _map_for_execution(directory: int) -> Outcome:
    """Map a file as the dynamic linker maps a library."""
    if not os.access(_NAME, os.F_OK, dir_fd=directory):
        make_file(directory, _NAME, _OLD * mmap.PAGESIZE, 0o755)

    def act() -> None:
        fd = os.open(_NAME, os.O_RDONLY | os.O_CLOEXEC, dir_fd=directory)
        try:
            mmap.mmap(fd, 0, flags=mmap.MAP_PRIVATE, prot=mmap.PROT_READ | mmap.PROT_EXEC).close()
        finally:
            os.close(fd)

    return attempt(act)


def _write(directory: int) -> None:
    fd = os.open(_NAME, os.O_WRONLY | os.O_CLOEXEC, dir_fd=directory)
    try:
        os.pwrite(fd, _NEW * mmap.PAGESIZE * _PAGES, 0)
    finally:
        os.close(fd)


def _truncate(_directory: int) -> None:
    os.truncate(_NAME, 0)


def _rename_over(directory: int) -> None:
    os.rename(_OTHER, _NAME, src_dir_fd=directory, dst_dir_fd=directory)


def _remove(directory: int) -> None:
    os.unlink(_NAME, dir_fd=directory)


def _open_and_replaced(directory: int) -> Outcome:
    """Read through a descriptor that was opened before another file took the name."""
    make_file(directory, _NAME, _OLD)
    make_file(directory, _OTHER, _NEW)
    fd = os.open(_NAME, os.O_RDONLY | os.O_CLOEXEC, dir_fd=directory)
    try:
        done = attempt(lambda: _rename_over(directory))
        if done.result is not Result.DONE:
            return done
        try:
            return _told(os.pread(fd, 1, 0), "")
        except OSError as error:  # ESTALE on a network filesystem
            return Outcome(Result.REFUSED, name_of(error))
    finally:
        os.close(fd)


def _open_and_removed(directory: int) -> Outcome:
    """Look whether a file that is removed while it is open leaves another name (NFS: .nfsXXXX)."""
    make_file(directory, _NAME, _OLD)
    fd = os.open(_NAME, os.O_RDONLY | os.O_CLOEXEC, dir_fd=directory)
    try:
        done = attempt(lambda: _remove(directory))
        left = os.listdir(
            "."
        )  # opened anew: btrfs lists through a descriptor what was there when it was opened
        if done.result is not Result.DONE or not left:
            return done
        return Outcome(Result.IGNORED, "", f"left: {left[0]}")
    finally:
        os.close(fd)


MAPPING_EXPERIMENTS: Mapping[str, Experiment] = MappingProxyType(
    {
        "map-for-execution": _map_for_execution,
        "mapped-write": _mapped(_write),
        "mapped-truncate": _mapped(_truncate),
        "mapped-rename-over": _mapped(_rename_over),
        "mapped-remove": _mapped(_remove),
        "open-rename-over": _open_and_replaced,
        "open-remove": _open_and_removed,
    }
)
