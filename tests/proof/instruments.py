"""Acts. Which instruments there are, what each needs to begin, and which states it can try.

An instrument on a story and a filesystem is a scene. `opened` prepares one; what it yields names the states and
tries each of them by its name, so that any state can be tried again alone.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Final

from proof import damage, failing, faults, full, kills, meddling, powercut
from proof.images import scratch
from proof.observers import observe
from proof.sharing import work_in_parts
from proof.stage import Stage, set_stage
from proof.stories import STORIES
from proof.verdicts import Scene, Verdict

__all__ = ["BUDGETS", "INSTRUMENTS", "Instrument", "Opened", "most_states", "opened", "scenes"]

_EVERY_STORY = (
    *("install", "upgrade", "remove", "rollback", "rollback-again", "edited", "edited-rollback"),
    *("move", "move-back", "big", "forget", "hooked", "refused"),
)
_IN_PARTS = ("install-in-parts", "upgrade-in-parts", "remove-in-parts", "rollback-in-parts")
_BLOCK = ("ext4", "xfs", "btrfs")
_FUSE = ("fuse without flags", "fuse ignoring flags", "fuse without links")


@dataclass(frozen=True)
class Instrument:
    """What is done to a story.

    Attributes:
        title: for the report.
        filesystems: where; the first one is enough for a quick look.
        stories: which ones; the first ones are enough for a quick look.
        quick: how many states of each scene a quick proof tries, and on how many filesystems and stories.
        full: how many states of each scene a full proof tries; None for all.
    """

    title: str
    filesystems: tuple[str, ...]
    stories: tuple[str, ...]
    quick: tuple[int, int, int]
    full: int | None = None


INSTRUMENTS: Final = MappingProxyType(
    {
        "kill": Instrument(
            "SIGKILL before a system call",
            ("ext4", "overlayfs", "xfs", "btrfs", "tmpfs"),
            (*_EVERY_STORY, *_IN_PARTS),
            (40, 2, 17),
        ),
        "kill-weather": Instrument(
            "… where rename knows no flags, or links are refused",
            _FUSE,
            ("upgrade", "rollback", "edited", "move", "hooked"),
            (15, 1, 2),
        ),
        "kill-twice": Instrument(
            "… and again in the recovery", ("ext4", "overlayfs"), (*_EVERY_STORY, *_IN_PARTS), (3, 1, 4), 5
        ),
        "cut": Instrument(
            "power cut at the block layer",
            _BLOCK,
            (
                "upgrade",
                "rollback",
                "upgrade+forward",
                "upgrade+back",
                "upgrade+busy",
                "install-in-parts",
                "move",
                "remove",
                "install",
                "edited",
                "forget",
                "rollback-again",
                "edited-rollback",
                "move+forward",
                "move+back",
                "rollback+back",
                "rollback+forward",
                "remove+back",
                "hooked",
                "refused",
                "rollback+busy",
                "remove+busy",
                "big",
                "upgrade-in-parts",
                "remove-in-parts",
            ),
            (80, 3, 6),
        ),
        "failing": Instrument(
            "a disk that fails from its Nth write on", _BLOCK, ("upgrade", "rollback", "remove"), (12, 3, 1)
        ),
        "fault": Instrument(
            "an errno in place of a system call",
            ("overlayfs", "ext4"),
            ("install-in-parts", *_EVERY_STORY, *_IN_PARTS[1:]),
            (120, 1, 5),
            700,
        ),
        "full": Instrument(
            "a filesystem or a quota that is really full",
            (*_BLOCK, "tmpfs"),
            ("upgrade", "install", "rollback", "remove", "edited"),
            (25, 1, 2),
            100,
        ),
        "damage": Instrument(
            "damage to journal, database and plan",
            ("tmpfs",),
            (
                "upgrade+crash",
                "upgrade+crash+back",
                "upgrade+done+back",
                "upgrade+done",
                "rollback+crash",
                "rollback+crash+back",
            ),
            (150, 1, 3),
            2000,
        ),
        "meddle": Instrument(
            "a person's deed before a system call",
            ("tmpfs", "ext4", "overlayfs"),
            ("upgrade", "refused", "rollback", "remove", "edited", "rollback-again"),
            (150, 1, 3),
        ),
        "observe": Instrument("other processes looking on", (*_BLOCK, "tmpfs"), ("program",), (6, 1, 1), 20),
    }
)
BUDGETS: Final = ("quick", "full", "every")


def most_states(instrument: str, budget: str) -> int | None:
    """Return how many states of each scene of an instrument a budget allows; None for all of them."""
    one = INSTRUMENTS[instrument]
    return {"quick": one.quick[0], "full": one.full, "every": None}[budget]


@dataclass(frozen=True)
class Opened:
    """A scene that is ready."""

    scene: Scene
    states: Sequence[str]
    try_state: Callable[[str], Verdict]


def scenes(budget: str) -> list[Scene]:
    """Name the scenes of a budget."""
    found = []
    for name, one in INSTRUMENTS.items():
        _, filesystems, stories = one.quick if budget == "quick" else (0, None, None)
        found += [
            Scene(name, filesystem, story)
            for filesystem in one.filesystems[:filesystems]
            for story in one.stories[:stories]
        ]
    return found


@contextmanager
def opened(scene: Scene, place: Path, *, thorough: bool) -> Iterator[Opened]:
    """Prepare a scene in `place`, a directory in memory.

    Args:
        thorough: name more of the states that are chosen at random.
    """
    in_parts = STORIES[scene.story.partition("+")[0]].in_parts
    with work_in_parts(wanted=in_parts), _opened(scene, place, thorough=thorough) as one:
        yield one


@contextmanager
def _opened(scene: Scene, place: Path, *, thorough: bool) -> Iterator[Opened]:
    if scene.instrument == "cut":
        recording = powercut.record(scene.story, scene.filesystem, place / "cut")
        names = powercut.states(recording, seeds=30 if thorough else 3)
        yield Opened(scene, names, lambda state: powercut.try_cut(scene, recording, state))
        return
    if scene.instrument == "failing":
        bed = failing.prepare(scene.story, scene.filesystem, place)
        yield Opened(scene, failing.states(bed), lambda state: failing.try_failing(scene, bed, state))
        return
    if scene.instrument == "full":  # each of its states has a filesystem of its own
        arena = full.prepare(scene.story, scene.filesystem, place)
        yield Opened(scene, full.states(arena), lambda state: full.try_full(scene, arena, state))
        return
    with scratch(scene.filesystem, place) as top:
        if scene.instrument == "damage":
            victim = damage.prepare(scene.story, top)
            yield Opened(scene, damage.states(victim), lambda state: damage.try_damage(scene, victim, state))
            return
        blinks = scene.filesystem not in {*_BLOCK, "tmpfs"}
        stage = set_stage(scene.story, top, may_blink=blinks, layered=scene.filesystem == "overlayfs")
        yield _on_stage(scene, stage)


def _on_stage(scene: Scene, stage: Stage) -> Opened:
    match scene.instrument:
        case "kill" | "kill-weather":
            return Opened(scene, kills.states(stage), lambda state: kills.try_once(scene, stage, state))
        case "kill-twice":
            return Opened(scene, kills.first_kills(stage), lambda state: kills.try_twice(scene, stage, state))
        case "fault":
            return Opened(scene, faults.states(stage), lambda state: faults.try_fault(scene, stage, state))
        case "meddle":
            return Opened(scene, meddling.states(stage), lambda state: meddling.try_deed(scene, stage, state))
        case "observe":
            rounds = [str(number) for number in range(1, 101)]
            return Opened(scene, rounds, lambda state: observe(scene, stage, state))
        case _:
            raise ValueError(scene)
