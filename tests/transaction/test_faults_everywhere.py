"""An error of the disk at every change of an operation: the root ends whole, and nothing is left behind."""

import errno
from pathlib import Path

import pytest

from intact.model.errors import IntactError, MachineError, NoSpace, RecoveryFailed
from intact.model.paths import RelPath
from support.faulty_disk import FaultyDisk, fail_at
from support.scenarios import SCENARIOS, assert_all_or_nothing, play, recover
from support.workshop import snapshot, state_files


@pytest.mark.parametrize("number", [errno.EIO, errno.ENOSPC], ids=["EIO", "ENOSPC"])
@pytest.mark.parametrize("name", SCENARIOS)
def test_one_error_at_any_step_is_told_and_leaves_all_old_or_all_new(
    name: str, number: int, fast_path: Path
) -> None:
    stage = play(SCENARIOS[name], fast_path)
    kind = NoSpace if number == errno.ENOSPC else MachineError
    told = 0
    for step in range(1, stage.steps + 1):
        workshop = stage.template.copy("failed")
        disk = FaultyDisk(workshop.path, fail_at(step, number))
        try:
            stage.scenario.act(workshop, disk)
        except IntactError as error:
            told += 1
            cause = error.__cause__ if isinstance(error, RecoveryFailed) else error
            assert isinstance(cause, kind), step
            assert error.remedy, step  # noqa: PT017  the step without an error is a case, too
            assert isinstance(error, RecoveryFailed) or snapshot(workshop) == stage.old, step  # noqa: PT017
        finally:
            disk.close()
        recover(workshop)
        assert_all_or_nothing(workshop, stage)
    assert told > stage.steps // 2


@pytest.mark.parametrize("name", SCENARIOS)
def test_a_disk_that_fails_from_some_step_on_is_recovered_when_it_is_mended(
    name: str, fast_path: Path
) -> None:
    stage = play(SCENARIOS[name], fast_path)
    for step in range(1, stage.steps + 1):
        workshop = stage.template.copy("failed")
        disk = FaultyDisk(workshop.path, fail_at(step, forever=True))
        with pytest.raises(IntactError):
            stage.scenario.act(workshop, disk)
        disk.close()
        recover(workshop)
        assert_all_or_nothing(workshop, stage)


class DyingDisk(FaultyDisk):
    """Writes the N-th journal record, and then reports errors for ever: nobody was told that the record is there."""

    def __init__(self, root: Path, record: int) -> None:
        super().__init__(root)
        self.left = record

    def overwrite_block(self, path: RelPath, offset: int, data: bytes) -> None:
        if self.left == 1:
            self.real.overwrite_block(path, offset, data)
            self.fault = fail_at(0, forever=True)
        self.left -= 1
        super().overwrite_block(path, offset, data)


@pytest.mark.parametrize("name", SCENARIOS)
def test_nobody_is_told_that_all_is_old_while_the_disk_may_say_otherwise(name: str, fast_path: Path) -> None:
    stage = play(SCENARIOS[name], fast_path)
    for record in range(1, 5):  # STAGED, COMMITTED, RECORDED, CLOSED
        workshop = stage.template.copy("dying")
        disk = DyingDisk(workshop.path, record)
        with pytest.raises(RecoveryFailed) as told:
            stage.scenario.act(workshop, disk)
        disk.close()
        assert "as it was" not in told.value.root_state
        recover(workshop)
        assert_all_or_nothing(workshop, stage)
        assert snapshot(workshop) == stage.new, record


def test_without_a_fault_the_instrument_sees_the_new_state(fast_path: Path) -> None:
    stage = play(SCENARIOS["upgrade"], fast_path)
    workshop = stage.template.copy("whole")
    disk = FaultyDisk(workshop.path)
    stage.scenario.act(workshop, disk)
    disk.close()
    assert snapshot(workshop) == stage.new != stage.old
    assert state_files(workshop) == stage.new_state
