"""A crash before every change of an operation, and before every change of the recovery from it."""

from pathlib import Path

import pytest

from intact.transaction.recover import Direction
from support.faulty_disk import Crash, FaultyDisk, crash_at
from support.scenarios import (
    SCENARIOS,
    assert_all_or_nothing,
    assert_every_object_is_whole,
    crash,
    play,
    recover,
)


@pytest.mark.parametrize("name", SCENARIOS)
def test_a_crash_at_any_step_ends_in_all_old_or_all_new(name: str, fast_path: Path) -> None:
    stage = play(SCENARIOS[name], fast_path)
    outcomes = []
    for step in range(1, stage.steps + 1):
        workshop = crash(stage, step, "crashed")
        assert_every_object_is_whole(workshop, stage)
        recover(workshop)
        outcomes.append(assert_all_or_nothing(workshop, stage))
    assert outcomes[0] == "old"
    assert outcomes[-1] == "new"
    assert outcomes == sorted(outcomes, reverse=True)  # once it is new, it stays new


@pytest.mark.parametrize("name", SCENARIOS)
def test_a_crash_at_any_step_can_be_undone_on_request_until_the_commit_point(
    name: str, fast_path: Path
) -> None:
    stage = play(SCENARIOS[name], fast_path)
    undone = 0
    for step in range(1, stage.steps + 1):
        workshop = crash(stage, step, "crashed")
        recover(workshop, direction=Direction.BACK)
        undone += assert_all_or_nothing(workshop, stage) == "old"
    assert undone > stage.steps // 2


SHARES = 3  # every first crash is tried; the shares only let them run side by side


@pytest.mark.parametrize("share", range(SHARES))
@pytest.mark.parametrize("direction", [Direction.AUTOMATIC, Direction.BACK])
@pytest.mark.parametrize("name", SCENARIOS)
def test_a_crash_at_any_step_of_the_recovery_is_recovered_from(
    name: str, direction: Direction, share: int, fast_path: Path
) -> None:
    stage = play(SCENARIOS[name], fast_path)
    for first in range(1 + share, stage.steps + 1, SHARES):
        crashed = crash(stage, first, "crashed")
        second = 1
        while True:
            workshop = crashed.copy("twice")
            disk = FaultyDisk(workshop.path, crash_at(second))
            try:
                recover(workshop, disk, direction)
            except Crash:
                assert_every_object_is_whole(workshop, stage)
                recover(workshop)
                assert_all_or_nothing(workshop, stage)
                second += 1
            else:
                break
            finally:
                disk.close()
