"""Acts. SIGKILL before each system call that changes something, and once more in the recovery from it."""

from collections import Counter
from dataclasses import replace

from intact.operations.recovering import interrupted
from intact.transaction.phases import Phase
from proof.examine import Expectation, all_or_nothing, half_done
from proof.listener import Call
from proof.stage import Stage
from proof.supervise import CONTINUE, KILL, KILL_CALLER, Ended, Policy, count_calls, run_pkg, supervised
from proof.verdicts import Scene, Verdict
from support.workshop import Workshop

__all__ = ["first_kills", "kill_at", "recovery_of", "states", "try_once", "try_twice"]

_WAYS = ("", "--back", "--forward")
_STILL_OPEN = 6


def kill_at(number: int, whom: int = KILL) -> Policy:
    """Kill before call `number`: the command, or the process that calls."""

    def policy(count: int, _call: Call) -> int:
        return whom if count == number else CONTINUE

    return policy


def states(stage: Stage) -> list[str]:
    """Name each call before which the command can be killed, the moment after the last, and the ways of recovery.

    Where processes share the work, only the one that calls is killed, too.
    """
    count = len(count_calls(stage.command(stage.copy("count")), stage.place))
    ways = ("", "-back", "-caller") if stage.story.in_parts else ("", "-back")
    return [f"{number}{way}" for number in range(1, count + 2) for way in ways]


def first_kills(stage: Stage) -> list[str]:
    """Name each call as above, where every way of recovery is tried anyway."""
    return [one for one in states(stage) if "-" not in one]


def recovery_of(workshop: Workshop, way: str = "") -> list[str]:
    """Return the command line that recovers a root."""
    return ["--root", str(workshop.path), "--quiet", "recover", *([way] if way else [])]


def _killed(stage: Stage, number: str, whom: int = KILL) -> tuple[Workshop, Ended, list[str]]:
    workshop = stage.copy("killed")
    ended = supervised(stage.command(workshop), stage.place, kill_at(int(number), whom))
    found = half_done(workshop, stage.expected, may_blink=stage.may_blink)
    if ended.code not in {None, stage.story.ends}:  # not killed, or only a child: then it has to manage
        found.append(f"it ended with {ended.code}: {ended.said.strip()}")
    return workshop, ended, found


def _recovered(
    stage: Stage, workshop: Workshop, way: str = "", expected: Expectation | None = None
) -> tuple[str, list[str]]:
    ended = run_pkg(recovery_of(workshop, way), stage.place)
    if ended.code != 0:
        return "broken", [f"`pkg recover` ended with {ended.code}: {ended.said.strip()}"]
    return all_or_nothing(workshop, expected or stage.expected)


def _kept(stage: Stage, killed: Workshop) -> Expectation:
    """Say what a recovery forward may end in: what no hook has confirmed, a person keeps by that."""
    with killed.opened() as root:
        is_provisional = any(one.phase is Phase.PROVISIONAL for one in interrupted(root))
    between = stage.expected.between
    return replace(stage.expected, new=between) if is_provisional and between is not None else stage.expected


def _may_refuse(stage: Stage, way: str, code: int | None) -> bool:
    """Tell whether a hook that says no may keep a recovery from going forward; it says so, and can still go back."""
    return bool(stage.story.ends) and way == "--forward" and code == _STILL_OPEN


def try_once(scene: Scene, stage: Stage, state: str) -> Verdict:
    """Kill, look, recover, look."""
    number, _, way = state.partition("-")
    workshop, ended, found = _killed(stage, number, KILL_CALLER if way == "caller" else KILL)
    outcome, more = _recovered(stage, workshop, "--back" if way == "back" else "")
    if ended.code == 0 and outcome == "old" and stage.expected.old != stage.expected.new:
        more.append("exit code 0, but nothing was done")
    return Verdict(scene, state, 1, Counter([outcome]), (*found, *more))


def try_twice(scene: Scene, stage: Stage, state: str) -> Verdict:
    """Kill, then kill the recovery before each of its calls, in each direction; look after both."""
    killed, _, found = _killed(stage, state)
    outcomes: Counter[str] = Counter()
    violations = list(found)
    for way in _WAYS:
        expected = _kept(stage, killed) if way == "--forward" else stage.expected
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
            outcome, last = _recovered(stage, workshop, expected=expected)
            outcomes[outcome] += 1
            violations += [f"{way or '--automatic'} {second}: {one}" for one in (*more, *last)]
    return Verdict(scene, state, sum(outcomes.values()), outcomes, tuple(violations))
