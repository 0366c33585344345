"""Experiments leave nothing behind, and none of them hangs."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from intact.model.errors import MachineError
from intact.model.probes import Outcome, Result
from intact.system import scratch as module
from intact.system.experiments_content import CONTENT_EXPERIMENTS
from intact.system.experiments_programs import running_program
from intact.system.mounted import mounted_at
from intact.system.scratch import scratch_directory
from support.weather import mirrored

DONE = Outcome(Result.DONE)


def _names(place: Path) -> list[str]:
    return sorted(one.name for one in place.iterdir())


def _with_a_program(then: Callable[[], object], note: Path) -> Callable[[int], Outcome]:
    def experiment(directory: int) -> Outcome:
        with running_program(directory) as program:
            note.write_text(f"{os.getpid()} {program.process.pid}")
            then()
        return DONE

    return experiment


def _are_gone(note: Path) -> bool:
    """Wait until no process of the experiment runs; who is dead and not yet waited for does not run."""
    deadline = time.monotonic() + 10
    numbers = note.read_text().split()
    while time.monotonic() < deadline:
        if not any(_runs(number) for number in numbers):
            return True
        time.sleep(0.01)
    return False


def _runs(number: str) -> bool:
    try:
        return Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_what_an_experiment_makes_is_gone_after_it(fast_path: Path) -> None:
    def experiment(directory: int) -> Outcome:
        os.mkdir("a", dir_fd=directory)
        Path("a/in").write_text("x")  # it is the working directory
        os.symlink(fast_path / "outside", "link", dir_fd=directory)
        return DONE

    (fast_path / "outside").mkdir()
    (fast_path / "outside/file").write_text("stays")
    with scratch_directory(str(fast_path)) as scratch:
        assert scratch.tried(experiment, 5) == DONE
        (made,) = set(_names(fast_path)) - {"outside"}
        assert _names(fast_path / made) == []
        assert made.startswith(".intact-probe-")
    assert _names(fast_path) == ["outside"]
    assert (fast_path / "outside/file").read_text() == "stays"
    assert scratch.left == ""


def test_an_experiment_that_hangs_is_ended_with_all_its_processes(fast_path: Path, tmp_path: Path) -> None:
    note = tmp_path / "note"
    with scratch_directory(str(fast_path)) as scratch:
        outcome = scratch.tried(_with_a_program(lambda: time.sleep(3600), note), 1)
        assert outcome == Outcome(Result.UNTRIED, "ETIMEDOUT", "no answer within 1 s")
        assert _are_gone(note)
        assert scratch.tried(lambda _: DONE, 5) == DONE
    assert _names(fast_path) == []


def test_a_filesystem_that_stays_silent_is_not_asked_for_ever(fast_path: Path) -> None:
    with scratch_directory(str(fast_path)) as scratch:
        for _ in range(3):
            scratch.tried(lambda _: time.sleep(3600), 0.05)  # type: ignore[arg-type, return-value]
        outcome = scratch.tried(lambda _: DONE, 5)
    assert (outcome.result, outcome.fact) == (Result.UNTRIED, "the filesystem has stopped answering")


def test_an_experiment_that_breaks_is_no_answer_and_no_end(fast_path: Path) -> None:
    def broken(_directory: int) -> Outcome:
        raise ValueError("what")

    def killed(_directory: int) -> Outcome:
        os.kill(os.getpid(), signal.SIGKILL)
        return DONE

    def refused(_directory: int) -> Outcome:
        raise FileNotFoundError(2, "not there")

    with scratch_directory(str(fast_path)) as scratch:
        facts = [scratch.tried(one, 5).fact for one in (broken, killed, refused)]
    assert facts == ["it broke: ValueError: what", "its process died", "its preparation failed: ENOENT"]


@pytest.fixture
def _hanging_up_ends() -> Iterator[None]:
    """The tests may run under nohup."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGHUP])
@pytest.mark.usefixtures("_hanging_up_ends")
def test_a_signal_ends_the_processes_and_removes_all(number: int, fast_path: Path, tmp_path: Path) -> None:
    note = tmp_path / "note"
    parent = os.getpid()

    def signal_us() -> None:
        os.kill(parent, number)
        time.sleep(3600)

    with pytest.raises(KeyboardInterrupt), scratch_directory(str(fast_path)) as scratch:
        scratch.tried(_with_a_program(signal_us, note), 30)
    assert _are_gone(note)
    assert _names(fast_path) == []
    assert signal.getsignal(signal.SIGHUP) is signal.SIG_DFL


OUTLIVED = """
import os, sys, time
from pathlib import Path
from intact.model.probes import Outcome, Result
from intact.system.scratch import scratch_directory

def experiment(directory):
    note = Path(sys.argv[2])
    note.with_name("writing").write_text(str(os.getpid()))
    note.with_name("writing").rename(note)
    time.sleep(3600)
    return Outcome(Result.DONE)

with scratch_directory(sys.argv[1]) as scratch:
    scratch.tried(experiment, 3600)
"""


def test_no_experiment_outlives_its_killed_parent(fast_path: Path, tmp_path: Path) -> None:
    note = tmp_path / "note"
    parent = subprocess.Popen([sys.executable, "-c", OUTLIVED, fast_path, note])
    deadline = time.monotonic() + 60
    while not note.exists():
        assert parent.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.01)
    parent.kill()
    parent.wait()
    assert _are_gone(note)


def test_a_directory_that_somebody_else_has_put_there_is_not_touched(fast_path: Path) -> None:
    (fast_path / "full").mkdir()
    (fast_path / "full/file").write_text("stays")
    parent = os.open(fast_path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        with pytest.raises(OSError, match="somebody else"):
            module._open_own(parent, "full")
    finally:
        os.close(parent)
    assert (fast_path / "full/file").read_text() == "stays"


def test_an_error_on_the_way_removes_all(fast_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), scratch_directory(str(fast_path)):
        raise ZeroDivisionError
    assert _names(fast_path) == []


def test_a_scratch_directory_that_nobody_can_make_is_told(fast_path: Path) -> None:
    with pytest.raises(MachineError) as missing, scratch_directory(str(fast_path / "no")):
        pass
    assert (missing.value.errno_name, missing.value.root_state) == ("ENOENT", "nothing was tried")


@pytest.mark.skipif(
    os.geteuid() != 0 or not os.access("/dev/fuse", os.W_OK), reason="needs root and /dev/fuse"
)
def test_a_filesystem_that_never_comes_back_does_not_keep_us(
    fast_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_SECONDS_TO_REMOVE", 0.5)
    monkeypatch.setattr(module, "_SECONDS_TO_DIE", 0.5)
    with mirrored(fast_path, "--stuck") as top:
        with scratch_directory(str(top)) as scratch:
            outcome = scratch.tried(CONTENT_EXPERIMENTS["sync-file"], 0.5)
        assert (outcome.result, outcome.errno) == (Result.UNTRIED, "ETIMEDOUT")
        assert "could not be removed (ETIMEDOUT)" in scratch.left
        served = subprocess.run(["pgrep", "-f", f"weather {top}"], capture_output=True, text=True, check=True)
        os.kill(int(served.stdout.split()[0]), signal.SIGKILL)  # or its own end would wait for the sleep


def test_the_mount_of_a_directory_is_found(fast_path: Path) -> None:
    with scratch_directory(str(fast_path)) as scratch:
        mounted = mounted_at(scratch.fd)
    command = ["findmnt", "-n", "-o", "FSTYPE,TARGET", "-T", str(fast_path)]
    told = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    assert told[-1].split() == [
        mounted.kind,
        mounted.mount_point,
    ]  # the topmost, where several are at one place
    assert not mounted.read_only
