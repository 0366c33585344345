"""Acts. How are the scenes shared among processes, each with a memory disk of its own, and their verdicts collected?"""

import multiprocessing
import os
import random
import re
import secrets
import shutil
import traceback
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice, zip_longest
from multiprocessing.connection import Connection, wait
from pathlib import Path

from proof.defects import put_in
from proof.instruments import most_states, opened
from proof.stage import WrongEnd
from proof.supervise import load_all
from proof.verdicts import Scene, Tally, Verdict
from support.layers import mount_points, unmount

__all__ = ["BROKEN", "Report", "choose", "prove", "workplace"]

Report = dict[Scene, Tally]
_SECONDS_TO_END = 10
_NUMBER = re.compile(r"\d+")
_MEMORY = Path("/dev/shm")
BROKEN = "the instrument itself failed"


@contextmanager
def workplace() -> Iterator[Path]:
    """Provide a directory in memory, and take everything in it away again, mounts first."""
    place = _MEMORY / f"intact-proof-{os.getpid()}-{secrets.token_hex(3)}"
    place.mkdir()
    try:
        yield place
    finally:
        clear(place)


def clear(place: Path) -> None:
    """Unmount whatever is mounted below `place`, and delete it."""
    for mount in reversed([one for one in mount_points() if place in one.parents]):
        unmount(mount)
    shutil.rmtree(place, ignore_errors=True)


def choose(scene: Scene, states: Sequence[str], most: int | None, seed: int) -> list[str]:
    """Choose at most `most` of the states, always the same ones for the same seed, and of each kind its share.

    States whose names differ only in numbers are of one kind.
    """
    if most is None or len(states) <= most:
        return list(states)
    dice = random.Random(f"{seed}/{scene}")  # noqa: S311  repeatable, not secret
    kinds: dict[str, list[str]] = {}
    for state in dice.sample(list(states), len(states)):
        kinds.setdefault(_NUMBER.sub("", state), []).append(state)
    rounds = zip_longest(*kinds.values())
    return list(islice((state for one in rounds for state in one if state is not None), most))


def prove(
    scenes: Sequence[Scene],
    *,
    budget: str,
    seed: int,
    workers: int,
    defect: str | None = None,
    stop_at_first: bool = False,
    tell: Callable[[Verdict], None] = lambda _verdict: None,
) -> Report:
    """Try the chosen states of all scenes.

    Args:
        budget: one of `instruments.BUDGETS`.
        defect: break `pkg` in this way first (see `proof.defects`); something has to be found then.
        stop_at_first: end with the first violation.
        tell: called with each verdict.
    """
    report: Report = {scene: Tally() for scene in scenes}
    context = multiprocessing.get_context("fork")
    # A pipe for each: a queue that all share stays locked if the one that writes to it is ended.
    pipes = [context.Pipe(duplex=False) for _ in range(workers)]
    with workplace() as place:
        processes = [
            context.Process(
                target=_work,
                args=(scenes, place / str(number), (number, workers), (budget, seed, defect), writing),
            )
            for number, (_, writing) in enumerate(pipes)
        ]
        for one in processes:
            one.start()
        for _, writing in pipes:
            writing.close()
        try:
            _collect(report, [reading for reading, _ in pipes], tell, stop_at_first=stop_at_first)
        finally:
            for reading, _ in pipes:
                reading.close()  # who is just telling something must not wait for an ear
            for one in processes:
                one.terminate()
                one.join(_SECONDS_TO_END)
                one.kill()
                one.join()
    return report


def _collect(
    report: Report, pipes: Sequence[Connection], tell: Callable[[Verdict], None], *, stop_at_first: bool
) -> None:
    """Take verdicts until every worker has said that it is done.

    Raises:
        RuntimeError: one of them has died.
    """
    open_pipes = list(pipes)
    while open_pipes:
        for pipe in wait(open_pipes):
            if not isinstance(pipe, Connection):
                raise TypeError(pipe)
            try:
                verdict = pipe.recv()
            except EOFError as error:
                raise RuntimeError("a worker died") from error
            if verdict is None:
                open_pipes.remove(pipe)
                continue
            report[verdict.scene].add(verdict)
            tell(verdict)
            if verdict.violations and stop_at_first:
                return


def _work(
    scenes: Sequence[Scene],
    place: Path,
    share: tuple[int, int],
    how: tuple[str, int, str | None],
    verdicts: Connection,
) -> None:
    """Try every n-th state of each scene."""
    number, workers = share
    budget, seed, defect = how
    load_all()
    if defect is not None:
        put_in(defect)
    for scene in scenes:
        most = most_states(scene.instrument, budget)
        here = place / str(scene).replace("/", "-")
        here.mkdir(parents=True)
        try:
            with opened(scene, here, thorough=budget != "quick") as one:
                for state in choose(scene, one.states, most, seed)[number::workers]:
                    verdicts.send(one.try_state(state))
        except WrongEnd as error:
            verdicts.send(Verdict(scene, "beginning", 0, Counter(), (str(error),)))
        except Exception:  # noqa: BLE001  an instrument that breaks must not pass for one that finds nothing
            broken = f"{BROKEN}: {traceback.format_exc()}"
            verdicts.send(Verdict(scene, "instrument", 0, Counter(), (broken,)))
        finally:
            clear(here)
    verdicts.send(None)
