"""Signals that come while files are renamed: held back in every thread, and delivered afterwards."""

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from types import FrameType

import pytest

from intact.system.signals import signal_waits, signals_held

POLITE = [
    signal.SIGINT,
    signal.SIGTERM,
    signal.SIGHUP,
    signal.SIGQUIT,
    signal.SIGUSR1,
    signal.SIGUSR2,
]
pytestmark = pytest.mark.skipif(
    threading.current_thread() is not threading.main_thread(), reason="signals reach the main thread"
)


@pytest.fixture
def arrived() -> Iterator[list[int]]:
    """What handlers have seen, in order."""
    seen: list[int] = []

    def note(number: int, _frame: FrameType | None) -> None:
        seen.append(number)

    before = {one: signal.signal(one, note) for one in POLITE}
    yield seen
    for one, handler in before.items():
        signal.signal(one, handler)


def _to_process(number: int) -> None:
    os.kill(os.getpid(), number)


def _to_thread(number: int) -> None:
    signal.pthread_kill(threading.get_ident(), number)


@pytest.mark.parametrize("number", POLITE)
@pytest.mark.parametrize("send", [_to_process, _to_thread, signal.raise_signal])
def test_it_waits_until_the_end_and_then_comes(
    send: Callable[[int], None], number: signal.Signals, arrived: list[int]
) -> None:
    with signals_held():
        send(number)
        for _ in range(1000):
            pass
        assert arrived == []
    # A thread that the process's signal went to may come to run it a moment later.
    deadline = time.monotonic() + 20
    while not arrived and time.monotonic() < deadline:
        time.sleep(0.001)
    assert arrived == [number]


def test_of_several_the_first_one_comes(arrived: list[int]) -> None:
    with signals_held():
        signal.raise_signal(signal.SIGTERM)
        signal.raise_signal(signal.SIGINT)
    assert len(arrived) == 1


def test_without_a_signal_nothing_comes(arrived: list[int]) -> None:
    with signals_held():
        pass
    assert arrived == []


def test_the_handlers_are_those_from_before(arrived: list[int]) -> None:
    before = [signal.getsignal(one) for one in POLITE]
    with signals_held():
        assert [signal.getsignal(one) for one in POLITE] != before
    assert [signal.getsignal(one) for one in POLITE] == before
    signal.raise_signal(signal.SIGINT)
    assert arrived == [signal.SIGINT]


def test_an_error_inside_comes_out_and_the_signal_too(arrived: list[int]) -> None:
    def work() -> None:
        with signals_held():
            signal.raise_signal(signal.SIGINT)
            raise ValueError("inside")

    with pytest.raises(ValueError, match="inside"):
        work()
    assert arrived == [signal.SIGINT]


def test_other_threads_do_not_let_it_through(arrived: list[int]) -> None:
    stop = threading.Event()
    threads = [threading.Thread(target=stop.wait) for _ in range(3)]
    for one in threads:
        one.start()
    try:
        with signals_held():
            for _ in range(50):
                _to_process(signal.SIGINT)
                sum(range(1000))
            assert arrived == []
        assert arrived == [signal.SIGINT]
    finally:
        stop.set()
        for one in threads:
            one.join()


def test_ctrl_c_becomes_an_interruption_afterwards() -> None:
    reached = []

    def work() -> None:
        with signals_held():
            _to_process(signal.SIGINT)
            reached.append("the end")

    with pytest.raises(KeyboardInterrupt):
        work()
    assert reached == ["the end"]


def test_in_another_thread_it_does_nothing_and_does_no_harm() -> None:
    done: list[str] = []

    def work() -> None:
        with signals_held():
            done.append("worked")

    before = [signal.getsignal(one) for one in POLITE]
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert done == ["worked"]
    assert [signal.getsignal(one) for one in POLITE] == before


def test_signals_that_cannot_wait_are_not_held(arrived: list[int]) -> None:
    seen: list[int] = []
    before = signal.signal(signal.SIGALRM, lambda number, _frame: seen.append(number))
    try:
        with signals_held():
            signal.raise_signal(signal.SIGALRM)
            assert seen == [signal.SIGALRM]
    finally:
        signal.signal(signal.SIGALRM, before)
    assert arrived == []


def test_what_is_ignored_stays_ignored() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with signals_held():
            os.kill(os.getpid(), signal.SIGHUP)
            assert not signal_waits()
            assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


def test_what_is_held_can_be_asked_about() -> None:
    before = signal.signal(signal.SIGHUP, lambda *_: None)
    try:
        with signals_held():
            assert not signal_waits()
            os.kill(os.getpid(), signal.SIGHUP)
            assert signal_waits()
        assert not signal_waits()
    finally:
        signal.signal(signal.SIGHUP, before)
