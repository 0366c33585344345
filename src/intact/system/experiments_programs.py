"""Acts. What can be done to a program or a script while it runs, and what does its process see afterwards?

The program is a copy of one that every machine has, `cat`: what is written to it comes back, so that each answer
shows that it still runs. Where it does not run as a copy, the interpreter that runs us is copied.
"""

import errno
import hashlib
import os
import select
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from types import MappingProxyType

from intact.model.probes import Outcome, Result
from intact.system.experiments import attempt, make_file, name_of, untried
from intact.system.scratch import Experiment, die_with_parent
from intact.system.syscalls import RENAME_EXCHANGE, renameat2

__all__ = ["PROGRAM", "PROGRAM_EXPERIMENTS", "NotRunning", "RunningProgram", "running_program"]

PROGRAM = "program"
_OTHER = "other"
_SECONDS_TO_ANSWER = 3.0
_ECHO = "import os\nwhile x := os.read(0, 99): os.write(1, x)"
_SHELL = "/bin/sh"
# Longer than any buffer that a shell reads its script into.
_PADDING = b"# A line that says nothing, so that the shell has to read on.\n" * 4096
_READY = b"ready\n"
_WAITS = b"echo ready\nread line\n"


class NotRunning(Exception):
    """No copy of a program runs here; the text says why."""


class RunningProgram:
    """A process that runs the program in the scratch directory."""

    def __init__(self, process: "subprocess.Popen[bytes]") -> None:
        self.process = process

    def answers(self) -> bool:
        """Tell whether it still does what it is there for."""
        if self.process.stdin is None or self.process.stdout is None:
            return False
        try:
            os.write(self.process.stdin.fileno(), b"?")
        except OSError:
            return False
        poll = select.poll()
        poll.register(self.process.stdout, select.POLLIN)
        return bool(poll.poll(_SECONDS_TO_ANSWER * 1000)) and os.read(self.process.stdout.fileno(), 1) == b"?"

    def death(self) -> str:
        """Say by what it was ended."""
        with suppress(subprocess.TimeoutExpired):
            code = self.process.wait(_SECONDS_TO_ANSWER)
            return signal.Signals(-code).name if code < 0 else f"exit code {code}"
        return "no answer"


def _candidates() -> Iterator[tuple[str, tuple[str, ...]]]:
    found = shutil.which("cat", path="/bin:/usr/bin:" + os.environ.get("PATH", ""))
    if found is not None:
        yield found, ("cat",)
    if sys.executable:
        yield sys.executable, ("python", "-I", "-S", "-u", "-c", _ECHO)


def _copy_program(directory: int, path: str, name: str) -> None:
    with open(path, "rb") as file:
        make_file(directory, name, file.read(), 0o755)


def _start(name: str, words: tuple[str, ...]) -> "subprocess.Popen[bytes]":
    """Start what is in the working directory."""
    return subprocess.Popen(
        list(words),
        executable=f"./{name}",
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        bufsize=0,
        env={"PATH": "/usr/bin:/bin", "PYTHONHOME": f"{sys.base_prefix}:{sys.base_exec_prefix}"},
        preexec_fn=die_with_parent,  # noqa: PLW1509  this process has one thread
    )


def _stop(process: "subprocess.Popen[bytes]") -> None:
    process.kill()
    process.wait()
    for stream in (process.stdin, process.stdout):
        if stream is not None:
            stream.close()


@contextmanager
def running_program(directory: int, name: str = PROGRAM) -> Iterator[RunningProgram]:
    """Run a copy of a program under this name in the directory, which is the working directory.

    Raises:
        NotRunning: none runs.
    """
    reasons = []
    for path, words in _candidates():
        _copy_program(directory, path, name)
        try:
            process = _start(name, words)
        except OSError as error:
            reasons.append(_reason(directory, error))
        else:
            program = RunningProgram(process)
            try:
                if program.answers():
                    yield program
                    return
                reasons.append(f"a copy of {path} does not run: {program.death()}")
            finally:
                _stop(process)
        os.unlink(name, dir_fd=directory)
    raise NotRunning(reasons[0] if reasons else "there is no program to copy")


def _reason(directory: int, error: OSError) -> str:
    if error.errno == errno.EACCES and os.fstatvfs(directory).f_flag & os.ST_NOEXEC:
        return "programs cannot run on this mount (noexec)"
    return f"programs cannot be run here ({name_of(error)})"


def _with_program(act: Callable[[int, RunningProgram], Outcome]) -> Experiment:
    def experiment(directory: int) -> Outcome:
        make_file(directory, _OTHER, b"another file\n" * 1000, 0o755)
        try:
            with running_program(directory) as program:
                return act(directory, program)
        except NotRunning as reason:
            return untried(str(reason))

    return experiment


def _then(done: Outcome, program: RunningProgram) -> Outcome:
    """Add what has become of the process."""
    if done.result is not Result.DONE or program.answers():
        return done
    return Outcome(Result.KILLED, "", program.death())


def _runs(_directory: int, _program: RunningProgram) -> Outcome:
    return Outcome(Result.DONE)


def _write(directory: int, program: RunningProgram) -> Outcome:
    def act() -> None:
        fd = os.open(PROGRAM, os.O_WRONLY | os.O_CLOEXEC, dir_fd=directory)
        try:
            os.pwrite(fd, bytes(os.fstat(fd).st_size), 0)
        finally:
            os.close(fd)

    return _then(attempt(act), program)


def _truncate(_directory: int, program: RunningProgram) -> Outcome:
    return _then(attempt(lambda: os.truncate(PROGRAM, 0)), program)


def _rename_over(directory: int, program: RunningProgram) -> Outcome:
    return _then(
        attempt(lambda: os.rename(_OTHER, PROGRAM, src_dir_fd=directory, dst_dir_fd=directory)), program
    )


def _exchange(directory: int, program: RunningProgram) -> Outcome:
    done = attempt(lambda: renameat2(directory, _OTHER, directory, PROGRAM, RENAME_EXCHANGE))
    if done.result is Result.DONE and not os.path.lexists(_OTHER):
        return Outcome(Result.IGNORED)
    return _then(done, program)


def _rename_away(directory: int, program: RunningProgram) -> Outcome:
    return _then(
        attempt(lambda: os.rename(PROGRAM, "moved", src_dir_fd=directory, dst_dir_fd=directory)), program
    )


def _remove(directory: int, program: RunningProgram) -> Outcome:
    return _then(attempt(lambda: os.unlink(PROGRAM, dir_fd=directory)), program)


def _seen_afterwards(directory: int, program: RunningProgram) -> Outcome:
    """Compare what the process has open as its program, after another file took the name, with what it was."""
    link = f"/proc/{program.process.pid}/exe"
    before = _digest(PROGRAM)
    done = attempt(lambda: os.rename(_OTHER, PROGRAM, src_dir_fd=directory, dst_dir_fd=directory))
    if done.result is not Result.DONE:
        return Outcome(Result.UNTRIED, done.errno, f"it cannot be renamed over ({done.errno})")
    if not program.answers():
        return Outcome(Result.KILLED, "", program.death())
    try:
        now, place = _digest(link), os.readlink(link)
    except OSError as error:
        return Outcome(Result.REFUSED, name_of(error))
    fact = "/proc/PID/exe ends in “(deleted)”" if place.endswith(" (deleted)") else f"/proc/PID/exe: {place}"
    return Outcome(Result.OLD if now == before else Result.NEW, "", fact)


def _digest(path: str) -> bytes:
    with open(path, "rb") as file:
        return hashlib.sha256(file.read()).digest()


def _run_while_written(directory: int) -> Outcome:
    """Start a program whose file is open for writing."""
    try:
        with running_program(directory):
            pass
    except NotRunning as reason:
        return untried(str(reason))
    fd = os.open(PROGRAM, os.O_WRONLY | os.O_CLOEXEC, dir_fd=directory)
    try:
        _stop(_start(PROGRAM, ("cat",)))
    except OSError as error:
        return Outcome(Result.REFUSED, name_of(error))
    finally:
        os.close(fd)
    return Outcome(Result.DONE)


# --- scripts -------------------------------------------------------------------------------------------
def _script(says: bytes) -> bytes:
    return _WAITS + _PADDING + b"echo " + says + b"\n"


def _with_script(act: Callable[[int], None]) -> Experiment:
    def experiment(directory: int) -> Outcome:
        make_file(directory, "script", _script(b"old"))
        make_file(directory, _OTHER, _script(b"new"))
        try:
            shell = subprocess.Popen(
                [_SHELL, "./script"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                env={"PATH": "/usr/bin:/bin"},
                preexec_fn=die_with_parent,  # noqa: PLW1509  this process has one thread
            )
        except OSError as error:
            return untried(f"{_SHELL} does not run ({name_of(error)})")
        try:
            if not _is_ready(shell):
                return untried("the shell does not begin")
            done = attempt(lambda: act(directory))
            if done.result is not Result.DONE:
                return done
            said, _ = shell.communicate(b"go on\n", _SECONDS_TO_ANSWER)
        except subprocess.TimeoutExpired:
            return untried("the shell does not end")
        finally:
            _stop(shell)
        return _said(said.strip(), shell.returncode)

    return experiment


def _is_ready(shell: "subprocess.Popen[bytes]") -> bool:
    """Wait until it has read the beginning of its script."""
    if shell.stdout is None:
        return False
    poll = select.poll()
    poll.register(shell.stdout, select.POLLIN)
    return bool(poll.poll(_SECONDS_TO_ANSWER * 1000)) and os.read(shell.stdout.fileno(), 99) == _READY


def _said(said: bytes, code: int) -> Outcome:
    if said == b"old":
        return Outcome(Result.OLD)
    if said == b"new":
        return Outcome(Result.NEW)
    if said or code < 0:
        return Outcome(Result.KILLED, "", f"exit code {code}")
    return Outcome(Result.STOPPED, "", f"exit code {code}")


def _write_script(directory: int) -> None:
    fd = os.open("script", os.O_WRONLY | os.O_CLOEXEC, dir_fd=directory)
    try:
        os.pwrite(fd, _script(b"new"), 0)
    finally:
        os.close(fd)


def _truncate_script(_directory: int) -> None:
    os.truncate("script", 0)


def _rename_over_script(directory: int) -> None:
    os.rename(_OTHER, "script", src_dir_fd=directory, dst_dir_fd=directory)


def _remove_script(directory: int) -> None:
    os.unlink("script", dir_fd=directory)


PROGRAM_EXPERIMENTS: Mapping[str, Experiment] = MappingProxyType(
    {
        "program-runs": _with_program(_runs),
        "running-write": _with_program(_write),
        "running-truncate": _with_program(_truncate),
        "running-rename-over": _with_program(_rename_over),
        "running-exchange": _with_program(_exchange),
        "running-rename-away": _with_program(_rename_away),
        "running-remove": _with_program(_remove),
        "running-sees": _with_program(_seen_afterwards),
        "run-while-written": _run_while_written,
        "script-write": _with_script(_write_script),
        "script-truncate": _with_script(_truncate_script),
        "script-rename-over": _with_script(_rename_over_script),
        "script-remove": _with_script(_remove_script),
    }
)
