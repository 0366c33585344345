"""Acts. A command that runs out of space, inodes or quota, and that nobody has lied to.

The states:

    bytes-K     K KiB are free
    inodes-K    K inodes are free
    quota-K     the user whom the root belongs to may take K KiB more
    late-N-K    somebody else takes all but K KiB of what is left, before the N-th call that changes something; so
                what was found to be enough beforehand no longer is
    spent-N     the same with the user's quota, all of it
"""

import re
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from proof import quotas
from proof.examine import all_or_nothing, half_done, without_links
from proof.faults import false_claims, faults_of_message
from proof.filling import cramped, leave_bytes, leave_inodes, make_room
from proof.kills import recovery_of
from proof.listener import Call
from proof.stage import Stage, set_stage
from proof.supervise import CONTINUE, Ended, supervised
from proof.verdicts import Scene, Verdict
from support.workshop import Workshop, snapshot

__all__ = ["Arena", "judge", "prepare", "states", "try_full"]

_NOBODY = 65534
_WITH_INODES = frozenset({"ext4", "tmpfs"})  # the others make them out of blocks as they are wanted
_BLOCK = 4  # KiB
_LITTLE = 512  # KiB: more than a refusal writes, less than the reserve that is asked for
_FEW = 8
_STRIDE, _LEFT_OVER = 8, (12, 48, 96)  # KiB: less than the command writes
_DONE, _NEEDS_RECOVERY, _NO_SPACE = 0, 6, 9
_OF_QUOTAS = frozenset({"quota", "spent"})
_CAUSES = ("ENOSPC", "EDQUOT", " are needed")


@dataclass(frozen=True)
class Arena:
    """A story, ready to be played on filesystems that are too small.

    Attributes:
        own: played by the superuser.
        another: the same, played by a user on a root of his; None where no quota can be tried.
        not_possible: why no quota can be tried, if that is this machine's fault.
    """

    kind: str
    place: Path
    own: Stage
    another: Stage | None = None
    not_possible: str | None = None


@dataclass(frozen=True)
class _Tight:
    """A root in a place where something is about to run out."""

    stage: Stage
    workshop: Workshop
    play: Callable[[], Ended]
    relax: Callable[[], None]


def prepare(name: str, kind: str, place: Path) -> Arena:
    """Play the story without harm, where there is room."""
    for one in ("own", "another"):
        (place / one).mkdir(parents=True)
    own = set_stage(name, place / "own")
    if kind not in quotas.KINDS:
        return Arena(kind, place, own)
    try:
        with quotas.with_quotas(kind, place) as top:
            quotas.give_quota(kind, top, _NOBODY, 0)
    except quotas.NotPossible as error:
        return Arena(kind, place, own, not_possible=str(error))
    return Arena(kind, place, own, set_stage(name, place / "another", user=_NOBODY))


def states(arena: Arena) -> list[str]:
    """Name so many states that each way to run out is met, and the first ones in which nothing does."""
    enough = _wanted(arena, "bytes", _LITTLE)
    coarse = max(_BLOCK, enough // 16 // _BLOCK * _BLOCK)
    amounts = {*range(0, 64, _BLOCK), *range(64, enough, coarse), enough + 64, enough * 2}
    near = range(enough - 4 * _BLOCK, enough + 4 * _BLOCK + 1, _BLOCK)
    names = [f"bytes-{amount}" for amount in sorted({*amounts, *near})]
    if arena.kind in _WITH_INODES:
        most = _wanted(arena, "inodes", _FEW)
        names += [f"inodes-{count}" for count in range(most + 4)]
    if arena.another is not None:
        names += [f"quota-{amount}" for amount in sorted({*range(0, 256, 2 * _BLOCK), *amounts})]
    elif arena.not_possible is not None:
        names.append("quota-0")
    calls = _calls(arena.own)
    names += [f"late-{number}-0" for number in range(1, calls + 1)]
    names += [f"late-{number}-{amount}" for number in range(1, calls + 1, _STRIDE) for amount in _LEFT_OVER]
    if arena.another is not None:
        names += [f"spent-{number}" for number in range(1, _calls(arena.another) + 1)]
    return names


def _calls(stage: Stage) -> int:
    words = stage.command(stage.copy("count"))
    return supervised(words, stage.place, lambda _number, _call: CONTINUE, user=stage.user).calls


def _wanted(arena: Arena, what: str, little: int) -> int:
    """Return how much of it the command asks for if there is only a little; it need not be true."""
    with _tight(Arena("tmpfs", arena.place, arena.own), what, little) as tight:
        said = re.search(rf"(\d+) {what} are needed", tight.play().said)
    if said is None:
        return little
    return int(said[1]) if what == "inodes" else -(-int(said[1]) // (_BLOCK << 10)) * _BLOCK


@contextmanager
def _tight(arena: Arena, what: str, amount: int, left: int = 0) -> Iterator[_Tight]:
    quota = what in _OF_QUOTAS
    stage = arena.another if quota else arena.own
    if stage is None:
        raise quotas.NotPossible(arena.not_possible or f"nobody has tried quotas on {arena.kind}")
    filesystem = quotas.with_quotas if quota else cramped
    with filesystem(arena.kind, arena.place) as top:
        workshop = stage.template.copy_to(top / "workshop")
        words = stage.command(workshop)
        end_quota = partial(quotas.end_quota, arena.kind, top, _NOBODY)
        relax: Callable[[], None] = end_quota if quota else partial(make_room, top)
        play = partial(stage.run, words)
        match what:
            case "bytes":
                leave_bytes(top, amount)
            case "inodes":
                leave_inodes(top, amount)
            case "quota":
                quotas.give_quota(arena.kind, top, _NOBODY, amount)
            case "late":
                play = partial(_play_until, stage, words, amount, partial(leave_bytes, top, left))
            case "spent":
                spend = partial(quotas.give_quota, arena.kind, top, _NOBODY, 0)
                play = partial(_play_until, stage, words, amount, spend)
            case _:
                raise ValueError(what)
        yield _Tight(stage, workshop, play, relax)


def _play_until(stage: Stage, words: list[str], number: int, take: Callable[[], None]) -> Ended:
    """Play, and take something away before call `number`."""

    def policy(count: int, _call: Call) -> int:
        if count == number:
            take()
        return CONTINUE

    return supervised(words, stage.place, policy, user=stage.user)


def try_full(scene: Scene, arena: Arena, state: str) -> Verdict:
    """Run out, look, recover without room, look, recover with room, look, and do it again."""
    what, *amounts = state.split("-")
    try:
        with _tight(arena, what, *map(int, amounts)) as tight:
            ended = tight.play()
            outcome, found = judge(tight.stage, tight.workshop, ended, tight.relax)
    except quotas.NotPossible as error:
        return Verdict(scene, state, 0, Counter([f"not possible here: {error}"]))
    return Verdict(scene, state, 1, Counter([outcome]), tuple(found))


def judge(stage: Stage, workshop: Workshop, ended: Ended, relax: Callable[[], None]) -> tuple[str, list[str]]:
    """Say what a command that may have run out of something has ended in, and what is wrong with that.

    Args:
        relax: makes room again.
    """
    found = [
        *half_done(workshop, stage.expected),
        *faults_of_message(ended, *_CAUSES),
        *false_claims(ended, workshop, stage),
    ]
    if ended.code == _DONE and not _is_new(stage, workshop):
        found.append("exit code 0, and not everything is new")
    if ended.code not in {_DONE, _NO_SPACE, _NEEDS_RECOVERY}:
        found.append(f"exit code {ended.code} for a lack of space: {ended.said.strip()}")
    found += _recovered_without_room(stage, workshop)
    relax()
    last = stage.run(recovery_of(workshop))
    if last.code != _DONE:
        found.append(f"with room, `pkg recover` ended with {last.code}: {last.said.strip()}")
    outcome, more = all_or_nothing(workshop, stage.expected)
    found += more
    claimed = {_DONE: "new", _NEEDS_RECOVERY: outcome}.get(ended.code or 0, "old")
    if outcome != claimed:
        found.append(f"exit code {ended.code}, and then all is {outcome}: {ended.said.strip()}")
    if outcome == "old":
        found += _done_again(stage, workshop)
    ways = {_DONE: "done", _NO_SPACE: "refused", _NEEDS_RECOVERY: "to be recovered"}
    return f"{ways.get(ended.code or 0, 'failed')}, {outcome}", found


def _is_new(stage: Stage, workshop: Workshop) -> bool:
    """Look at everything but the links: what could not be tidied up for want of space may have further names."""
    new = {path: without_links(what) for path, what in stage.expected.new.tree.items()}
    return snapshot(workshop, links=False) == new


def _recovered_without_room(stage: Stage, workshop: Workshop) -> list[str]:
    """Recover while nothing is left: it may fail for that, and do no harm."""
    ended = stage.run(recovery_of(workshop))
    found = [*half_done(workshop, stage.expected), *faults_of_message(ended, *_CAUSES)]
    if ended.code not in {_DONE, _NO_SPACE, _NEEDS_RECOVERY}:
        found.append(f"exit code {ended.code}: {ended.said.strip()}")
    return [f"`pkg recover` without room: {one}" for one in found]


def _done_again(stage: Stage, workshop: Workshop) -> list[str]:
    """Do what every such message tells people to do: make room, and run the same command again."""
    ended = stage.run(stage.command(workshop))
    if ended.code != _DONE:
        return [f"with room, the same command ended with {ended.code}: {ended.said.strip()}"]
    if not _is_new(stage, workshop):
        return ["with room, the same command has not made everything new"]
    return []
