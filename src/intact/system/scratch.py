"""Acts. Where can something be tried so that nothing is left behind, and nothing can hang?

A scratch directory has a random name and is opened once; everything in it is reached through its descriptor. It is
removed when the block ends, also by Ctrl-C, SIGTERM and SIGHUP. Each experiment runs in a process of its own, which
leads a process group: after its time, or when we are interrupted, the whole group is killed. If we are killed
ourselves, the kernel kills the processes (PR_SET_PDEATHSIG, prctl(2)), and only the scratch directory stays.
"""

import ctypes
import errno
import json
import os
import secrets
import select
import signal
import stat
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType

from intact.model.errors import machine_error
from intact.model.probes import Outcome, Result
from intact.system.signals import POLITE, signals_held

__all__ = ["Experiment", "Scratch", "die_with_parent", "scratch_directory"]

_PREFIX = ".intact-probe-"
_OPEN_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_MOST_ANSWER = 1 << 16
_PR_SET_PDEATHSIG = 1
_SECONDS_TO_DIE = 2.0
_SECONDS_TO_REMOVE = 10.0
_ATTEMPTS = 40
_MOST_SILENCES = 3

_libc = ctypes.CDLL(None, use_errno=True)

Experiment = Callable[[int], Outcome]
"""Something to try in the empty directory with this descriptor, which is also the working directory."""


def die_with_parent() -> None:
    """Ask the kernel to kill this new process when the one that made it is gone."""
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


class Scratch:
    """An empty directory for experiments.

    Attributes:
        fd: its descriptor.
        place: the absolute path of the directory that it is in.
        left: after its end, why it could not be removed; empty if it was.
    """

    def __init__(self, fd: int, place: str) -> None:
        self.fd = fd
        self.place = place
        self.left = ""
        self._silences = 0

    def tried(self, experiment: Experiment, seconds: float) -> Outcome:
        """Make an experiment in a process of its own, in an empty directory of its own.

        A filesystem that has kept us waiting some times is not asked again.

        Args:
            seconds: after which it counts as hanging.
        """
        if self._silences >= _MOST_SILENCES:
            return Outcome(Result.UNTRIED, "ETIMEDOUT", "the filesystem has stopped answering")
        outcome = _in_a_process(lambda: _in_own_directory(self.fd, experiment), seconds)
        self._silences += outcome.errno == "ETIMEDOUT"
        return outcome


def _in_own_directory(scratch: int, experiment: Experiment) -> Outcome:
    with _directory_below(scratch) as fd:
        os.fchdir(fd)
        return experiment(fd)


@contextmanager
def scratch_directory(directory: str) -> Iterator[Scratch]:
    """Make a scratch directory in `directory`; it and all that is in it is gone when the block ends.

    Raises:
        MachineError: the directory cannot be opened, or nothing can be created in it.
    """
    parent = _opened(directory)
    name = _PREFIX + secrets.token_hex(8)
    made, fd, scratch = False, -1, None
    try:
        with _hanging_up_interrupts():
            try:
                with signals_held():
                    os.mkdir(name, 0o700, dir_fd=parent)
                    made = True
                    fd = _open_own(parent, name)
            except OSError as error:
                raise _told("create", error, directory) from error
            scratch = Scratch(fd, _path_of(parent, directory))
            yield scratch
    finally:
        with signals_held():
            left = _take_away(parent, name, fd) if made else ""
            if scratch is not None and left:
                scratch.left = f"{scratch.place}/{name} could not be removed ({left}): remove it later"
            for one in (fd, parent):
                if one >= 0:
                    os.close(one)


def _opened(directory: str) -> int:
    try:
        return os.open(directory, _OPEN_DIRECTORY)
    except OSError as error:
        raise _told("open", error, directory) from error


def _open_own(parent: int, name: str) -> int:
    """Open what has just been made; who may write to its parent could have put another directory there."""
    fd = os.open(name, _OPEN_DIRECTORY | os.O_NOFOLLOW, dir_fd=parent)
    if os.fstat(fd).st_uid == os.geteuid() and not os.listdir(fd):
        return fd
    os.close(fd)
    raise OSError(errno.EBUSY, "somebody else changes this directory meanwhile")


def _path_of(fd: int, otherwise: str) -> str:
    try:
        return os.readlink(f"/proc/self/fd/{fd}")
    except OSError:
        return otherwise


def _told(call: str, error: OSError, directory: str) -> Exception:
    told = machine_error(call, error, directory)
    told.root_state = "nothing was tried"
    if error.errno in {errno.EACCES, errno.EPERM}:
        told.remedy = "name a directory that this user may write to, or run it as root"
    return told


@contextmanager
def _hanging_up_interrupts() -> Iterator[None]:
    """Let the terminal's end be an interrupt, so that what has begun is tidied up."""
    unheeded = signal.getsignal(signal.SIGHUP) is not signal.SIG_DFL
    if unheeded or threading.current_thread() is not threading.main_thread():
        yield
        return

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    signal.signal(signal.SIGHUP, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGHUP, signal.SIG_DFL)


@contextmanager
def _directory_below(scratch: int) -> Iterator[int]:
    name = secrets.token_hex(4)
    fd = -1
    os.mkdir(name, 0o700, dir_fd=scratch)
    try:
        fd = os.open(name, _OPEN_DIRECTORY | os.O_NOFOLLOW, dir_fd=scratch)
        yield fd
    finally:
        if fd >= 0:
            _clear(fd)
            os.close(fd)
        with suppress(OSError):  # it is tried again at the end
            os.rmdir(name, dir_fd=scratch)


def _take_away(parent: int, name: str, fd: int) -> str:
    """Remove a directory and what is in it; return why it is still there."""
    outcome = _in_a_process(lambda: _removed(parent, name, fd), _SECONDS_TO_REMOVE)
    return "" if outcome.result is Result.DONE else outcome.errno or outcome.fact


def _removed(parent: int, name: str, fd: int) -> Outcome:
    """Try for a while: a killed process may keep its files for a moment longer (.nfsXXXX on NFS)."""
    failure = ""
    for _ in range(_ATTEMPTS):
        _clear(fd)
        try:
            os.rmdir(name, dir_fd=parent)
        except OSError as error:
            failure = errno.errorcode.get(error.errno or 0, "unknown error")
            time.sleep(_SECONDS_TO_REMOVE / _ATTEMPTS / 2)
        else:
            return Outcome(Result.DONE)
    return Outcome(Result.REFUSED, failure)


def _clear(directory: int) -> None:
    """Remove what is in a directory, as far as that is possible; no link is followed."""
    if directory < 0:
        return
    with suppress(OSError):
        for name in _names_in(directory):
            with suppress(OSError):
                _remove(directory, name)


def _names_in(directory: int) -> list[str]:
    """List a directory, opened anew: btrfs lists through a descriptor what was there when it was opened."""
    fd = os.open(".", _OPEN_DIRECTORY, dir_fd=directory)
    try:
        return os.listdir(fd)
    finally:
        os.close(fd)


def _remove(directory: int, name: str) -> None:
    status = os.stat(name, dir_fd=directory, follow_symlinks=False)
    if not stat.S_ISDIR(status.st_mode):
        os.unlink(name, dir_fd=directory)
        return
    fd = os.open(name, _OPEN_DIRECTORY | os.O_NOFOLLOW, dir_fd=directory)
    try:
        _clear(fd)
    finally:
        os.close(fd)
    os.rmdir(name, dir_fd=directory)


def _in_a_process(act: Callable[[], Outcome], seconds: float) -> Outcome:
    reading, writing = os.pipe()
    process = 0
    try:
        with signals_held(), warnings.catch_warnings():
            # Other threads may run while tests do; the new process needs none of their locks.
            warnings.simplefilter("ignore", DeprecationWarning)
            process = os.fork()
            if process == 0:
                _serve(act, writing)
        os.close(writing)
        writing = -1
        return _answer(reading, seconds)
    finally:
        with signals_held():
            if process:
                _end(process)
            for one in (reading, writing):
                if one >= 0:
                    os.close(one)


def _serve(act: Callable[[], Outcome], writing: int) -> None:
    """In the new process: do it, tell, and end."""
    try:
        os.setsid()  # Ctrl-C is for our parent, who kills the group
        die_with_parent()
        for number in POLITE:
            signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_SETMASK, ())
        outcome = _tolerant(act)
        os.write(writing, json.dumps([outcome.result.value, outcome.errno, outcome.fact]).encode())
    finally:
        os._exit(0)


def _tolerant(act: Callable[[], Outcome]) -> Outcome:
    try:
        return act()
    except OSError as error:  # what an experiment asks about it catches itself; this is its preparation
        name = errno.errorcode.get(error.errno or 0, "unknown error")
        return Outcome(Result.UNTRIED, name, f"its preparation failed: {name}")
    except Exception as error:  # noqa: BLE001  one experiment must not take the others' answers with it
        return Outcome(Result.UNTRIED, "", f"it broke: {type(error).__name__}: {error}")


def _answer(reading: int, seconds: float) -> Outcome:
    deadline = time.monotonic() + seconds
    poll = select.poll()
    poll.register(reading, select.POLLIN)
    while (left := deadline - time.monotonic()) > 0:
        if poll.poll(left * 1000):
            text = os.read(reading, _MOST_ANSWER)
            if not text:
                return Outcome(Result.UNTRIED, "", "its process died")
            result, name, fact = json.loads(text)
            return Outcome(Result(result), name, fact)
    return Outcome(Result.UNTRIED, "ETIMEDOUT", f"no answer within {seconds:g} s")


def _end(process: int) -> None:
    """Kill it and all that it has started; wait for it, but not for ever (a dead network filesystem)."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process, signal.SIGKILL)
    with suppress(ProcessLookupError):
        os.kill(process, signal.SIGKILL)
    deadline = time.monotonic() + _SECONDS_TO_DIE
    while os.waitpid(process, os.WNOHANG) == (0, 0) and time.monotonic() < deadline:
        time.sleep(0.001)
