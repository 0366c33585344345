"""Acts. How are the scenes shared among processes, each with a memory disk of its own, and their verdicts collected?"""

import multiprocessing
import os
import queue
import random
import secrets
import shutil
import traceback
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from proof.defects import put_in
from proof.images import unmount
from proof.instruments import most_states, opened
from proof.supervise import load_all
from proof.verdicts import Scene, Tally, Verdict

__all__ = ["BROKEN", "Report", "choose", "prove", "workplace"]

Report = dict[Scene, Tally]
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
    mounts = [line.split()[1] for line in Path("/proc/self/mounts").read_text().splitlines()]
    for mount in sorted((one for one in mounts if one.startswith(f"{place}/")), reverse=True):
        unmount(Path(mount))
    shutil.rmtree(place, ignore_errors=True)


def choose(scene: Scene, states: Sequence[str], most: int | None, seed: int) -> list[str]:
    """Choose at most `most` of the states, always the same ones for the same seed."""
    if most is None or len(states) <= most:
        return list(states)
    return random.Random(f"{seed}/{scene}").sample(list(states), most)  # noqa: S311  repeatable, not secret


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
    verdicts: multiprocessing.Queue[Verdict | None] = context.Queue()
    with workplace() as place:
        processes = [
            context.Process(
                target=_work,
                args=(scenes, place / str(number), (number, workers), (budget, seed, defect), verdicts),
            )
            for number in range(workers)
        ]
        for one in processes:
            one.start()
        try:
            _collect(report, verdicts, processes, tell, stop_at_first=stop_at_first)
        finally:
            for one in processes:
                one.terminate()
                one.join()
    return report


def _collect(
    report: Report,
    verdicts: "multiprocessing.Queue[Verdict | None]",
    processes: Sequence[multiprocessing.process.BaseProcess],
    tell: Callable[[Verdict], None],
    *,
    stop_at_first: bool,
) -> None:
    running = len(processes)
    while running:
        try:
            verdict = verdicts.get(timeout=1)
        except queue.Empty:
            if all(one.is_alive() for one in processes):
                continue
            dead = [one for one in processes if not one.is_alive() and one.exitcode != 0]
            if dead:
                raise RuntimeError(f"a worker died with {dead[0].exitcode}") from None
            continue
        if verdict is None:
            running -= 1
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
    verdicts: "multiprocessing.Queue[Verdict | None]",
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
                    verdicts.put(one.try_state(state))
        except Exception:  # noqa: BLE001  an instrument that breaks must not pass for one that finds nothing
            broken = f"{BROKEN}: {traceback.format_exc()}"
            verdicts.put(Verdict(scene, "instrument", 0, Counter(), (broken,)))
        finally:
            clear(here)
    verdicts.put(None)
