"""Further processes look at parts; nothing depends on them, and none of them stays."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from intact.system import forks
from intact.system.forks import in_parts
from intact.system.workers import processors

needs_two = pytest.mark.skipif(processors() < 2, reason="one processor needs no children")
Progress = Callable[[int], None]


_OTHERS: set[str] = set()


def _children() -> set[str]:
    """Name the children of this process, also those that have ended and were not waited for."""
    return {
        pid for task in Path("/proc/self/task").iterdir() for pid in (task / "children").read_text().split()
    }


def _no_children() -> bool:
    return _children() <= _OTHERS


def _numbers(part: range, _progress: Progress) -> bytes:
    return ",".join(map(str, part)).encode()


@pytest.fixture(autouse=True)
def _alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Other tests of this process may have left a thread behind that waits for something for ever, or a child."""
    _OTHERS.clear()
    _OTHERS.update(_children())
    left = threading.active_count() - 1
    counted = threading.active_count
    monkeypatch.setattr(threading, "active_count", lambda: counted() - left)


@needs_two
def test_every_item_is_looked_at_once_and_the_answers_come_in_order() -> None:
    answers = in_parts(100, _numbers, fewest=10)
    assert len(answers) == processors()
    assert [number for part, _ in answers for number in part] == [*range(100)]
    assert all(answer == _numbers(part, print) for part, answer in answers)
    assert _no_children()


def test_little_to_do_is_done_here() -> None:
    assert in_parts(0, _numbers) == [(range(0), b"")]
    pids = in_parts(9, lambda _part, _progress: b"%d" % os.getpid(), fewest=5)
    assert pids == [(range(9), b"%d" % os.getpid())]


@needs_two
def test_another_thread_means_no_children() -> None:
    end = threading.Event()
    thread = threading.Thread(target=end.wait)
    thread.start()
    try:
        assert len(in_parts(100, _numbers, fewest=10)) == 1
    finally:
        end.set()
        thread.join()


@needs_two
@pytest.mark.parametrize("how", ["error", "signal", "exit", "interrupt"])
def test_a_child_that_ends_badly_leaves_its_part_without_an_answer(
    how: str, capfd: pytest.CaptureFixture[str]
) -> None:
    here = os.getpid()

    def look(part: range, progress: Progress) -> bytes:
        if os.getpid() != here:
            if how == "error":
                raise ZeroDivisionError
            if how == "exit":
                sys.exit(0)
            os.kill(os.getpid(), signal.SIGKILL if how == "signal" else signal.SIGINT)
        return _numbers(part, progress)

    (_, first), *others = in_parts(100, look, fewest=10)
    assert first
    assert others
    assert all(answer is None for _, answer in others)
    assert capfd.readouterr() == ("", "")
    assert _no_children()


@needs_two
def test_an_error_here_is_raised_and_ends_the_children() -> None:
    here = os.getpid()

    def look(_part: range, _progress: Progress) -> bytes:
        if os.getpid() != here:
            time.sleep(60)
        raise ZeroDivisionError

    began = time.monotonic()
    with pytest.raises(ZeroDivisionError):
        in_parts(100, look, fewest=10)
    assert time.monotonic() - began < 30
    assert _no_children()


@needs_two
def test_an_interruption_while_a_child_is_waited_for_ends_it() -> None:
    here = os.getpid()

    def look(part: range, progress: Progress) -> bytes:
        if os.getpid() != here:
            time.sleep(0.3)
            os.kill(here, signal.SIGINT)
            time.sleep(60)
        return _numbers(part, progress)

    with pytest.raises(KeyboardInterrupt):
        in_parts(100, look, fewest=10)
    assert _no_children()


@needs_two
def test_a_second_signal_does_not_leave_children_at_work(monkeypatch: pytest.MonkeyPatch) -> None:
    here, wait = os.getpid(), os.waitpid

    def look(_part: range, _progress: Progress) -> bytes:
        if os.getpid() == here:
            raise KeyboardInterrupt
        time.sleep(60)
        return b""

    def interrupted(pid: int, options: int) -> tuple[int, int]:
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)  # pkg has no other thread then
        return wait(pid, options)

    monkeypatch.setattr(forks, "processors", lambda: 4)
    monkeypatch.setattr(os, "waitpid", interrupted)
    with pytest.raises(KeyboardInterrupt):
        in_parts(4000, look)
    assert _no_children()


@needs_two
def test_where_nobody_is_told_of_ended_children_the_work_is_done_here() -> None:
    before = signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    try:
        answers = in_parts(100, _numbers, fewest=10)
    finally:
        signal.signal(signal.SIGCHLD, before)
    assert [answer is None for _, answer in answers] == [False, *[True] * (len(answers) - 1)]


@needs_two
def test_progress_is_told_here_alone_and_never_more_than_there_is() -> None:
    told: list[int] = []

    def look(part: range, progress: Progress) -> bytes:
        progress(len(part))
        return b""

    in_parts(101, look, told.append, fewest=10)
    assert len(told) == 1
    assert 90 < told[0] <= 101


_KILLED = """
import os, sys, time
from intact.system.forks import in_parts
def look(part, progress):
    if os.getpid() != here:
        os.write(1, b"%d" % os.getpid())
        os.close(1)
    time.sleep(60)
    return b""
here = os.getpid()
in_parts(20, look, fewest=10)
"""


@needs_two
def test_a_child_dies_with_us(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", _KILLED], stdout=subprocess.PIPE, cwd=tmp_path) as parent:
        assert parent.stdout is not None
        child = int(os.read(parent.stdout.fileno(), 20))
        parent.kill()
        parent.wait()
        for _ in range(200):
            try:
                state = Path(f"/proc/{child}/stat").read_text().rpartition(")")[2].split()[0]
            except FileNotFoundError:
                return
            if state == "Z":
                return
            time.sleep(0.05)
        pytest.fail("it lives on")


@needs_two
def test_what_has_no_answer_is_done_here_after_what_was_left_is_taken_away() -> None:
    here, order = os.getpid(), []

    def work(part: range, progress: Progress) -> bytes:
        if os.getpid() != here:
            raise ZeroDivisionError
        order.append(("done", part))
        return _numbers(part, progress)

    answers = list(
        forks.all_in_parts(100, work, fewest=10, take_away=lambda part: order.append(("away", part)))
    )
    assert [number for part, _ in answers for number in part] == [*range(100)]
    assert all(answer == _numbers(part, print) for part, answer in answers)
    first, *others = (part for part, _ in answers)
    assert order == [("done", first), *((what, part) for part in others for what in ("away", "done"))]
    assert others


@needs_two
def test_an_error_in_what_is_done_again_is_raised() -> None:
    def work(part: range, progress: Progress) -> bytes:
        if part.start > 0:
            raise ZeroDivisionError
        return _numbers(part, progress)

    with pytest.raises(ZeroDivisionError):
        list(forks.all_in_parts(100, work, fewest=10))
    assert _no_children()
