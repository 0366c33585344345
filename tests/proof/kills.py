"""Acts. SIGKILL before each system call that changes something, and once more in the recovery from it."""

from collections import Counter

from proof.examine import all_or_nothing, half_done
from proof.listener import Call
from proof.stage import Stage
from proof.supervise import CONTINUE, KILL, Policy, count_calls, run_pkg, supervised
from proof.verdicts import Scene, Verdict
from support.workshop import Workshop

__all__ = ["first_kills", "kill_at", "recovery_of", "states", "try_once", "try_twice"]

_WAYS = ("", "--back", "--forward")
_STILL_OPEN = 6


def kill_at(number: int) -> Policy:
    """Kill before call `number`."""

    def policy(count: int, _call: Call) -> int:
        return KILL if count == number else CONTINUE

    return policy


def states(stage: Stage) -> list[str]:
    """Name each call before which the command can be killed, the moment after the last, and the ways of recovery."""
    count = len(count_calls(stage.command(stage.copy("count")), stage.place))
    return [f"{number}{way}" for number in range(1, count + 2) for way in ("", "-back")]


def first_kills(stage: Stage) -> list[str]:
    """Name each call as above, where every way of recovery is tried anyway."""
    return [one for one in states(stage) if "-" not in one]


def recovery_of(workshop: Workshop, way: str = "") -> list[str]:
    """Return the command line that recovers a root."""
    return ["--root", str(workshop.path), "--quiet", "recover", *([way] if way else [])]


def _killed(stage: Stage, number: str) -> tuple[Workshop, list[str]]:
    workshop = stage.copy("killed")
    supervised(stage.command(workshop), stage.place, kill_at(int(number)))
    return workshop, half_done(workshop, stage.expected, may_blink=stage.may_blink)


def _recovered(stage: Stage, workshop: Workshop, way: str = "") -> tuple[str, list[str]]:
    ended = run_pkg(recovery_of(workshop, way), stage.place)
    if ended.code != 0:
        return "broken", [f"`pkg recover` ended with {ended.code}: {ended.said.strip()}"]
    return all_or_nothing(workshop, stage.expected)


def _may_refuse(stage: Stage, way: str, code: int | None) -> bool:
    """Tell whether a hook that says no may keep a recovery from going forward; it says so, and can still go back."""
    return bool(stage.story.ends) and way == "--forward" and code == _STILL_OPEN


def try_once(scene: Scene, stage: Stage, state: str) -> Verdict:
    """Kill, look, recover, look."""
    number, _, way = state.partition("-")
    workshop, found = _killed(stage, number)
    outcome, more = _recovered(stage, workshop, f"--{way}" if way else "")
    return Verdict(scene, state, 1, Counter([outcome]), (*found, *more))


def try_twice(scene: Scene, stage: Stage, state: str) -> Verdict:
    """Kill, then kill the recovery before each of its calls, in each direction; look after both."""
    killed, found = _killed(stage, state)
    outcomes: Counter[str] = Counter()
    violations = list(found)
    for way in _WAYS:
        second = 0
        ended_by_itself = False
        while not ended_by_itself:
            second += 1
            workshop = killed.copy("twice")
            ended = supervised(recovery_of(workshop, way), stage.place, kill_at(second))
            ended_by_itself = ended.code is not None
            more = half_done(workshop, stage.expected, may_blink=stage.may_blink)
            if ended.code not in {None, 0} and not _may_refuse(stage, way, ended.code):
                more.append(f"the recovery ended with {ended.code}: {ended.said.strip()}")
            outcome, last = _recovered(stage, workshop)
            outcomes[outcome] += 1
            violations += [f"{way or '--automatic'} {second}: {one}" for one in (*more, *last)]
    return Verdict(scene, state, sum(outcomes.values()), outcomes, tuple(violations))
