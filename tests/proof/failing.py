"""Acts. The disk itself begins to fail while `pkg` works: from its N-th write on nothing reaches it any more.

Nothing is injected into `pkg`: the block device answers with EIO, so write-back fails, `syncfs` and `fsync` fail for
real, and the filesystem aborts its log or shuts down, each in its own way. Then the disk is well again (somebody has
pushed the cable back in), holds what had reached it, and is mounted.
"""

import subprocess
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from proof.examine import Expectation, all_or_nothing, half_done
from proof.faults import CAUSES_WITHOUT_ERRNO, faults_of_message
from proof.images import copy_sparse, make_image, mounted
from proof.kills import recovery_of
from proof.powercut import mark, recorded
from proof.recorder import read_log
from proof.stage import set_stage
from proof.stories import STORIES, on
from proof.supervise import Ended, run_pkg
from proof.verdicts import Scene, Verdict
from support.workshop import Workshop

__all__ = ["Sickbed", "prepare", "states", "try_failing"]

_ANSWERS = frozenset({0, 1, 6})
_DONE, _AS_IT_WAS = 0, 1


@dataclass(frozen=True)
class Sickbed:
    """A story on a disk that is about to fail.

    Attributes:
        base: the disk before the command.
        writes: how many the command makes, undisturbed.
    """

    kind: str
    name: str
    base: Path
    writes: int
    bundles: Workshop
    expected: Expectation
    place: Path


def prepare(name: str, kind: str, place: Path) -> Sickbed:
    """Play the story without harm, and count what reaches the disk."""
    place.mkdir(parents=True, exist_ok=True)
    base, image = place / "base", place / "image"
    make_image(kind, base)
    with mounted(base, place / "disk", kind) as top:
        stage = set_stage(name, top)
        subprocess.run(["rm", "-rf", str(stage.place / "whole")], check=True)
    bed = Sickbed(kind, name, base, 0, stage.template, stage.expected, place)
    copy_sparse(base, image)
    _run(bed, image, b"")
    kinds = [one.kind for one in read_log(place / "log")]
    return Sickbed(kind, name, base, kinds[kinds.index("M") :].count("W"), bed.bundles, bed.expected, place)


def states(bed: Sickbed) -> list[str]:
    """Name each number of writes that still reach the disk."""
    return [str(number) for number in range(bed.writes + 1)]


def _run(bed: Sickbed, image: Path, remark: bytes) -> Ended:
    """Run the command on a recorded disk, and unmount it as it is then."""
    log = bed.place / "log"
    log.unlink(missing_ok=True)
    with recorded(image, log, bed.place) as loop, mounted(loop, bed.place / "disk", bed.kind):
        mark(bed.place, b"begin")
        if remark:
            mark(bed.place, remark)
        return run_pkg(on(bed.bundles, STORIES[bed.name].command), bed.place)


def try_failing(scene: Scene, bed: Sickbed, state: str) -> Verdict:
    """Fail, unmount, mend the disk, mount, look, recover, look."""
    image = bed.place / "image"
    copy_sparse(bed.base, image)
    try:
        ended = _run(bed, image, b"fail after %d" % int(state))
        found = faults_of_message(ended, "EIO", "EROFS", *CAUSES_WITHOUT_ERRNO)
        if ended.code not in _ANSWERS:
            found.append(f"exit code {ended.code} for a failing disk: {ended.said.strip()}")
        with mounted(image, bed.place / "disk", bed.kind):
            workshop = bed.bundles
            found += half_done(workshop, bed.expected)
            recovered = run_pkg(recovery_of(workshop), bed.place)
            if recovered.code != 0:
                found.append(f"`pkg recover` ended with {recovered.code}: {recovered.said.strip()}")
            outcome, more = all_or_nothing(workshop, bed.expected)
            found += more
    finally:
        image.unlink(missing_ok=True)
    promised = {_DONE: "new", _AS_IT_WAS: "old"}.get(ended.code or 0, outcome)
    if outcome != promised:
        found.append(f"exit code {ended.code}, and then all is {outcome}: {ended.said.strip()}")
    return Verdict(scene, state, 1, Counter([f"exit code {ended.code}, {outcome}"]), tuple(found))
