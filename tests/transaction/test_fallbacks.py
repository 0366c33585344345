"""Filesystems that lack something: no exchange, no NOREPLACE, no hardlinks, busy files that cannot be replaced."""

import errno
from collections.abc import Mapping
from pathlib import Path

import pytest

from intact.model.errors import machine_error
from intact.transaction.recover import Direction
from support.faulty_disk import Crash, Fault, FaultyDisk, crash_at
from support.scenarios import (
    SCENARIOS,
    assert_all_or_nothing,
    play,
    recover,
)
from support.workshop import snapshot

OVERLAYFS = 0x794C7630
Lacking = Mapping[str, int]

WEATHER: dict[str, Lacking] = {
    "no exchange": {"exchange": errno.EINVAL},
    "no flags at all": {"exchange": errno.EINVAL, "move_new": errno.EINVAL},
    "no exchange and no hardlinks": {"exchange": errno.ENOSYS, "move_new": errno.ENOSYS, "link": errno.EPERM},
    "busy files cannot be exchanged": {"exchange": errno.ETXTBSY},
}


def lacking(what: Lacking) -> Fault:
    """Refuse some verbs below the root's own paths, always."""

    def fault(_number: int, verb: str, path: str) -> None:
        if verb in what:
            raise machine_error(verb, OSError(what[verb], "not here"), path)

    return fault


def lacking_and_crashing(what: Lacking, step: int) -> Fault:
    """As `lacking`, and the process is gone at `step`."""
    refuse = lacking(what)

    def fault(number: int, verb: str, path: str) -> None:
        if number >= step:
            raise Crash(f"step {step}")
        refuse(number, verb, path)

    return fault


@pytest.mark.parametrize("weather", [name for name in WEATHER if "hardlinks" not in name])
@pytest.mark.parametrize("name", SCENARIOS)
def test_every_operation_works_without_it(name: str, weather: str, fast_path: Path) -> None:
    stage = play(SCENARIOS[name], fast_path)
    workshop = stage.template.copy("poor")
    disk = FaultyDisk(workshop.path, lacking(WEATHER[weather]))
    stage.scenario.act(workshop, disk)
    disk.close()
    assert snapshot(workshop) == stage.new
    assert assert_all_or_nothing(workshop, stage) == "new"


@pytest.mark.parametrize("weather", ["no exchange", "no flags at all"])
@pytest.mark.parametrize("name", ["upgrade", "rollback"])
def test_a_crash_at_any_step_is_recovered_from_there_too(name: str, weather: str, fast_path: Path) -> None:
    stage = play(SCENARIOS[name], fast_path)
    counting = stage.template.copy("counted")
    disk = FaultyDisk(counting.path, lacking(WEATHER[weather]))
    stage.scenario.act(counting, disk)
    disk.close()
    for step in range(1, len(disk.steps) + 1):
        workshop = stage.template.copy("crashed")
        disk = FaultyDisk(workshop.path, lacking_and_crashing(WEATHER[weather], step))
        with pytest.raises(Crash):
            stage.scenario.act(workshop, disk)
        disk.close()
        disk = FaultyDisk(workshop.path, lacking(WEATHER[weather]))
        recover(workshop, disk)
        disk.close()
        assert_all_or_nothing(workshop, stage)


@pytest.mark.parametrize("direction", [Direction.AUTOMATIC, Direction.BACK])
@pytest.mark.parametrize("name", ["upgrade", "remove"])
def test_where_directories_cannot_be_renamed_files_leave_one_by_one(
    name: str, direction: Direction, fast_path: Path
) -> None:
    stage = play(SCENARIOS[name], fast_path)
    step = 1
    while True:
        workshop = stage.template.copy("overlaid")
        disk = FaultyDisk(workshop.path, crash_at(step))
        disk.filesystem = OVERLAYFS
        try:
            stage.scenario.act(workshop, disk)
        except Crash:
            recover(workshop, direction=direction)
            now = snapshot(workshop)
            assert now in (stage.old, stage.new)
            step += 1
        else:
            break
        finally:
            disk.close()
    assert snapshot(workshop) == stage.new
    moved_away = [path for verb, path in disk.steps if verb == "move_new" and "/slots/" in path]
    assert moved_away
    assert not [path for path in moved_away if (workshop.path / path).is_dir()]
