"""Work goes on in all processors, and nobody can tell from its results."""

import ctypes
import resource
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial

import pytest

from intact.system import workers
from intact.system.workers import Beside, in_order


@pytest.fixture(params=[1, 2, 4], autouse=True)
def _processors(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "processors", lambda: request.param)


def _numbered(count: int) -> Iterator[Callable[[], int]]:
    for number in range(count):
        yield lambda number=number: number  # type: ignore[misc]


def _refuse() -> int:
    raise ValueError("no")


def test_results_come_in_the_order_of_the_work() -> None:
    assert list(in_order(_numbered(100))) == list(range(100))


def test_large_results_take_the_memory_of_those_before() -> None:
    if workers.processors() == 1 or not hasattr(ctypes.CDLL(None), "mallopt"):
        pytest.skip("needs threads, and an allocator that can be told")
    size, count = 4 << 20, 80
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in in_order((lambda: b"x" * size) for _ in range(count)):
        pass
    fresh = resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
    assert fresh < count * (size // resource.getpagesize()) / 3


def test_no_work_has_no_results() -> None:
    assert list(in_order([])) == []


def test_slow_work_is_not_overtaken() -> None:
    gate = threading.Event()

    def slow() -> int:
        gate.wait(0.05)
        return 0

    def fast() -> int:
        gate.set()
        return 1

    assert list(in_order([slow, fast])) == [0, 1]


def test_an_error_comes_in_its_turn() -> None:
    results = in_order([*_numbered(3), _refuse, *_numbered(3)])
    assert [next(results) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(ValueError, match="no"):
        next(results)


def test_an_error_of_whoever_names_the_work_comes_after_the_work_that_was_named() -> None:
    def works() -> Iterator[Callable[[], int]]:
        yield from _numbered(3)
        raise OSError("cut off")

    results = in_order(works())
    assert [next(results) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(OSError, match="cut off"):
        next(results)


def test_work_is_not_taken_long_before_its_results_are_wanted() -> None:
    taken = []

    def works() -> Iterator[Callable[[], int]]:
        for number in range(100):
            taken.append(number)
            yield lambda: 0

    results = in_order(works(), ahead=1)
    next(results)
    assert len(taken) <= 4 + 1
    results.close()


@pytest.mark.parametrize("read", [0, 1, 100])
def test_no_thread_outlives_the_iteration(read: int) -> None:
    before = threading.active_count()
    results = in_order(_numbered(100))
    for _ in range(read):
        next(results)
    results.close()
    assert threading.active_count() == before


def test_no_thread_outlives_an_error() -> None:
    before = threading.active_count()
    with pytest.raises(ValueError, match="no"):
        list(in_order([*_numbered(10), _refuse, *_numbered(10)]))
    assert threading.active_count() == before


def test_an_interruption_between_the_start_of_a_thread_and_its_note_holds_nobody_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The thread that nobody noted must not take the word that was meant for another."""
    started: list[threading.Thread] = []
    start = threading.Thread.start

    def interrupted(thread: threading.Thread) -> None:
        start(thread)
        started.append(thread)
        if len(started) == workers.processors():
            gate.set()  # both wait for work, or have some
            raise KeyboardInterrupt

    gate = threading.Event()
    results = in_order([partial(gate.wait, 20) for _ in range(8)])
    monkeypatch.setattr(threading.Thread, "start", interrupted)
    if workers.processors() == 1:
        pytest.skip("one processor needs no threads")
    with pytest.raises(KeyboardInterrupt):
        list(results)
    for thread in started:
        thread.join(20)
        assert not thread.is_alive()


def test_work_beside_is_done_in_its_order() -> None:
    done: list[int] = []
    with closing(Beside()) as beside:
        for number in range(100):
            beside.begin(partial(done.append, number))
        beside.finish()
        assert done == list(range(100))


@pytest.mark.parametrize("counts", [(2, 2, 1, 1), (1, 2, 2, 1), (2, 1, 2, 1), (1, 1, 2, 2)])
def test_work_beside_keeps_its_order_when_processors_come_and_go(
    monkeypatch: pytest.MonkeyPatch, counts: tuple[int, ...]
) -> None:
    done: list[int] = []

    def slow(number: int) -> None:
        time.sleep(0.02)
        done.append(number)

    with closing(Beside()) as beside:
        for number, count in enumerate(counts):
            monkeypatch.setattr(workers, "processors", lambda count=count: count)
            beside.begin(partial(slow, number))
        beside.finish()
    assert done == [*range(len(counts))]


def test_the_owner_goes_on_while_work_is_done_beside() -> None:
    if workers.processors() == 1:
        pytest.skip("one processor needs no threads")
    gate = threading.Event()
    with closing(Beside()) as beside:
        beside.begin(partial(gate.wait, 20))
        gate.set()  # nobody would, if the owner had to wait


def test_work_beside_is_not_begun_long_before_it_is_done() -> None:
    if workers.processors() == 1:
        pytest.skip("one processor needs no threads")
    gate = threading.Event()
    begun = 0
    opener = threading.Timer(0.2, gate.set)
    opener.start()
    with closing(Beside()) as beside:
        while not gate.is_set():
            beside.begin(partial(gate.wait, 20))
            begun += 1
    opener.join()
    assert begun <= 4


def test_an_error_beside_comes_to_the_owner_once() -> None:
    def owner(beside: Beside) -> None:
        beside.begin(_refuse)
        beside.finish()

    with closing(Beside()) as beside:
        with pytest.raises(ValueError, match="no"):
            owner(beside)
        beside.finish()


@pytest.mark.parametrize("count", [0, 1, 3])
def test_no_thread_beside_outlives_its_owner(count: int) -> None:
    before = threading.active_count()
    with closing(Beside()) as beside:
        for _ in range(count):
            beside.begin(list)
    assert threading.active_count() == before


def test_no_thread_beside_outlives_an_error_of_its_owner() -> None:
    def owner() -> None:
        with closing(Beside()) as beside:
            beside.begin(list)
            _refuse()

    before = threading.active_count()
    with pytest.raises(ValueError, match="no"):
        owner()
    assert threading.active_count() == before


def test_an_interruption_between_the_start_of_the_thread_beside_and_its_note_leaves_no_thread(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if workers.processors() == 1:
        pytest.skip("one processor needs no threads")
    started: list[threading.Thread] = []
    start = threading.Thread.start

    def interrupted(thread: threading.Thread) -> None:
        start(thread)
        started.append(thread)
        raise KeyboardInterrupt

    monkeypatch.setattr(threading.Thread, "start", interrupted)

    def owner() -> None:
        with closing(Beside()) as beside:
            beside.begin(list)

    with pytest.raises(KeyboardInterrupt):
        owner()
    started[0].join(20)
    assert not started[0].is_alive()
