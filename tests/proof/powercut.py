"""Acts. The power goes: what does the disk hold, and what does `pkg` make of it?

A story is played once on a recorded disk. Then disks are built as they may look after a cut: everything up to a
flush, and of the writes after it none, all, a prefix, a random subset, the last one torn. The filesystem replays
its own log when it is mounted; then the root is examined as after a SIGKILL. What was acknowledged before the cut
(`pkg` had exited with 0) has to be there.
"""

import os
import random
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from proof.examine import Expectation, all_or_nothing, half_done
from proof.images import copy_sparse, make_image, mounted, unmount
from proof.kills import recovery_of
from proof.listener import Call
from proof.recorder import Record, read_log
from proof.stage import Stage, WrongEnd, set_stage
from proof.supervise import CONTINUE, KILL, Ended, count_calls, run_pkg, supervised
from proof.verdicts import Scene, Verdict
from support.workshop import Workshop

__all__ = ["Recording", "disk_after", "mark", "record", "recorded", "states", "try_cut"]

SECTOR = 512
_ACKNOWLEDGED = b"acknowledged"
_SECONDS_TO_MOUNT = 20


@dataclass(frozen=True)
class Recording:
    """A story on a recorded disk.

    Attributes:
        kind: of filesystem.
        base: the disk before the command.
        groups: the writes between two flushes each, in order; the first group follows the base.
        acknowledged: number of the group during or before which `pkg` had ended with 0.
        ends: ``old`` or ``new``: what was acknowledged.
    """

    kind: str
    base: Path
    groups: tuple[tuple[Record, ...], ...]
    acknowledged: int
    ends: str
    expected: Expectation
    place: Path


@contextmanager
def recorded(image: Path, log: Path, place: Path) -> Iterator[Path]:
    """Serve an image through the recorder; yield its loop device."""
    top = place / "recorder"
    top.mkdir(exist_ok=True)
    command = [sys.executable, "-m", "proof.recorder", str(top), str(image), str(log)]
    server = subprocess.Popen(command)
    loop = ""
    try:
        deadline = time.monotonic() + _SECONDS_TO_MOUNT
        while not top.is_mount():
            if server.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError("the recorder does not come up; is libfuse3 installed?")
            time.sleep(0.01)
        made = subprocess.run(
            ["losetup", "--find", "--show", str(top / "disk")], check=True, capture_output=True, text=True
        )
        loop = made.stdout.strip()
        yield Path(loop)
    finally:
        if loop:
            subprocess.run(["losetup", "--detach", loop], check=False)
        unmount(top)
        server.wait()


def record(name: str, kind: str, place: Path) -> Recording:
    """Play a story on a recorded disk.

    Args:
        name: of the story; with ``+back`` or ``+forward`` it is killed in the midst of its renames, and what is
            acknowledged is its recovery; with ``+busy`` a neighbour syncs a file of its own at each rename.
        place: a directory in memory.
    """
    story, _, way = name.partition("+")
    place.mkdir(parents=True, exist_ok=True)
    image, base, log = place / "image", place / "base", place / "log"
    make_image(kind, image)
    with mounted(image, place / "disk", kind) as top:
        stage = set_stage(story, top)
        # The copies are not part of the beginning; the template is.
        subprocess.run(["rm", "-rf", str(stage.place / "whole")], check=True)
    copy_sparse(image, base)
    with recorded(image, log, place) as loop, mounted(loop, place / "disk", kind):
        mark(place, b"begin")
        ended = _PLAYED[way](stage, way)
        if ended.code != (0 if way in _INTERRUPTED else stage.story.ends):
            raise WrongEnd(f"undisturbed, {name} ended with {ended.code}: {ended.said.strip()}")
        mark(place, _ACKNOWLEDGED)
    groups, acknowledged = _grouped(read_log(log))
    image.unlink()
    log.unlink()
    ends = "old" if way == "back" or stage.story.ends else "new"
    return Recording(kind, base, groups, acknowledged, ends, stage.expected, place)


def _interrupted(stage: Stage, way: str) -> Ended:
    """Kill the command in the midst of its renames, without any sync, and recover."""
    renames = count_calls(stage.command(stage.copy("count")), stage.place).count("renameat2")
    seen = 0

    def policy(_number: int, call: Call) -> int:
        nonlocal seen
        seen += call.name == "renameat2"
        return KILL if seen > renames // 2 else CONTINUE

    supervised(stage.command(stage.template), stage.place, policy)
    return run_pkg(recovery_of(stage.template, f"--{way}"), stage.place)


def _undisturbed(stage: Stage, _way: str) -> Ended:
    return run_pkg(stage.command(stage.template), stage.place)


def _beside_a_neighbour(stage: Stage, _way: str) -> Ended:
    """Let somebody else's fsync(2) commit the filesystem's log at every rename, as on a machine with other work.

    The log then holds the renames so far, and nothing of the files' content that was not synced by us.
    """
    with (stage.place / "neighbour").open("wb", buffering=0) as file:

        def policy(number: int, call: Call) -> int:
            if call.name == "renameat2":
                file.write(b"%d\n" % number)
                os.fsync(file.fileno())
            return CONTINUE

        return supervised(stage.command(stage.template), stage.place, policy)


_INTERRUPTED = frozenset({"back", "forward"})
_PLAYED = {"": _undisturbed, "busy": _beside_a_neighbour, "back": _interrupted, "forward": _interrupted}


def mark(place: Path, text: bytes) -> None:
    """Make a remark to the recorder."""
    with (place / "recorder/mark").open("r+b", buffering=0) as mark:
        mark.write(text)


def _grouped(records: Iterator[Record]) -> tuple[tuple[tuple[Record, ...], ...], int]:
    """Split the writes at the flushes; tell in which group the acknowledgement fell."""
    groups: list[list[Record]] = [[]]
    acknowledged = -1
    for one in records:
        if one.kind == "W":
            groups[-1].append(one)
        elif one.kind == "F" and groups[-1]:
            groups.append([])
        elif one.kind == "M" and one.data == _ACKNOWLEDGED:
            acknowledged = len(groups) - 1
            groups.append([])  # what comes later is no part of what was acknowledged
    if acknowledged < 0:
        raise RuntimeError("the acknowledgement is not in the log")
    return tuple(tuple(group) for group in groups), acknowledged


def states(recording: Recording, *, seeds: int) -> list[str]:
    """Name the disks that are possible: number of the group, and what of it came through.

    Args:
        seeds: how many random subsets of each group.
    """
    names = []
    for number, group in enumerate(recording.groups):
        names.append(f"{number}-none")
        if not group:
            continue
        names.append(f"{number}-all")
        names += [f"{number}-prefix-{count}" for count in range(1, len(group))]
        names += [f"{number}-torn-{count}" for count in range(len(group)) if len(group[count].data) > SECTOR]
        names += [f"{number}-only-{count}" for count in range(1, len(group))]
        names += [f"{number}-without-{count}" for count in range(len(group) - 1)]
        if len(group) > 2:
            names += [f"{number}-random-{seed}" for seed in range(seeds)]
    return names


def _came_through(group: tuple[Record, ...], how: str, number: int) -> list[Record]:
    """Choose the writes of the last group that reached the disk."""
    match how:
        case "none":
            return []
        case "all":
            return list(group)
        case "prefix":
            return list(group[:number])
        case "torn":
            return [*group[:number], _torn(group[number], number)]
        case "only":
            return [group[number]]
        case "without":
            return [one for place, one in enumerate(group) if place != number]
        case "random":
            dice = random.Random(f"{number} {len(group)}")  # noqa: S311  repeatable, not secret
            chosen = [one for one in group if dice.random() < dice.choice((0.2, 0.5, 0.8))]
            return [_torn(one, dice.randrange(1 << 16)) if dice.random() < 0.1 else one for one in chosen]
        case _:
            raise ValueError(how)


def _torn(one: Record, seed: int) -> Record:
    """Let only the first sectors of a write come through; a sector itself is whole or not there."""
    sectors = len(one.data) // SECTOR
    return Record("W", one.offset, one.data[: SECTOR * (seed % sectors)]) if sectors > 1 else one


def disk_after(recording: Recording, state: str, image: Path) -> None:
    """Build the disk of a state."""
    number, how, *rest = state.split("-")
    last = int(number)
    copy_sparse(recording.base, image)
    writes = [one for group in recording.groups[:last] for one in group]
    writes += _came_through(recording.groups[last], how, int(rest[0]) if rest else 0)
    with image.open("r+b") as disk:
        for one in writes:
            disk.seek(one.offset)
            disk.write(one.data)


def try_cut(scene: Scene, recording: Recording, state: str) -> Verdict:
    """Build the disk, mount it, look, recover, look."""
    image = recording.place / "cut"
    disk_after(recording, state, image)
    found: list[str] = []
    outcome = "broken"
    try:
        with mounted(image, recording.place / "disk", recording.kind) as top:
            workshop = Workshop.__new__(Workshop)
            workshop.place = top / scene.story.partition("+")[0] / "template"
            workshop.path = workshop.place / "root"
            workshop.bundles = {}
            found += half_done(workshop, recording.expected)
            ended = run_pkg(recovery_of(workshop), recording.place)
            if ended.code != 0:
                found.append(f"`pkg recover` ended with {ended.code}: {ended.said.strip()}")
            else:
                outcome, more = all_or_nothing(workshop, recording.expected)
                found += more
                if (
                    outcome != recording.ends
                    and int(state.split("-", maxsplit=1)[0]) > recording.acknowledged
                ):
                    found.append(f"`pkg` had said that all is {recording.ends}, and it is {outcome}")
    except subprocess.CalledProcessError:
        # A torn block of the filesystem's own (a superblock whose checksum fails) is not for us to survive.
        outcome = "filesystem not mountable"
    finally:
        image.unlink(missing_ok=True)
    return Verdict(scene, state, 1, Counter([outcome]), tuple(found))
