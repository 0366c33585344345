"""What must be durable before what: read off the order in which the disk was asked."""

from pathlib import Path

import pytest

from intact.transaction.phases import AFTER_CRASH, FINAL_PHASES, TRANSITIONS, Phase
from support.faulty_disk import FaultyDisk
from support.scenarios import SCENARIOS, play

STATE = "var/lib/intact/private/transactions"


def _steps(name: str, place: Path) -> list[tuple[str, str]]:
    stage = play(SCENARIOS[name], place)
    workshop = stage.template.copy("ordered")
    disk = FaultyDisk(workshop.path)
    stage.scenario.act(workshop, disk)
    disk.close()
    return disk.steps


@pytest.mark.parametrize("name", SCENARIOS)
def test_nothing_is_renamed_before_it_is_durable_and_nothing_said_before_it_is_true(
    name: str, fast_path: Path
) -> None:
    steps = _steps(name, fast_path)
    verbs = [verb for verb, _ in steps]
    records = [at for at, (verb, _) in enumerate(steps) if verb == "overwrite_block"]
    staged, committed, recorded, closed = records
    opened = next(
        at for at, (verb, path) in enumerate(steps) if verb == "write_durably" and path.endswith("journal")
    )
    changes = [
        at
        for at, (verb, path) in enumerate(steps)
        if verb in {"exchange", "move_new", "remove_directory"} and not path.startswith(STATE)
    ] + [at for at, (verb, path) in enumerate(steps) if verb == "move_new" and "/slots/" in path]
    staging = [at for at, verb in enumerate(verbs) if verb in {"create_file", "write", "finish", "copy_file"}]

    # The journal has an owner for every staged byte.
    assert opened < min(staging)
    # Everything staged is synced, then STAGED is said, then the root changes.
    assert max(staging) < verbs.index("sync_filesystem") < staged < min(changes)
    # Everything changed is synced, then COMMITTED is said.
    assert max(changes) < max(at for at in range(committed) if verbs[at] == "sync_filesystem")
    # The database is published and its name is synced, then RECORDED is said.
    published = next(
        at
        for at, (verb, path) in enumerate(steps)
        if (verb, path) == ("move_over", "var/lib/intact/installed.db")
    )
    assert committed < published < recorded
    assert "sync_directory" in verbs[published:recorded]
    assert recorded < closed


def test_every_phase_can_be_reached_and_has_a_verdict() -> None:
    reached = {Phase.OPEN}
    while True:
        more = reached | {following for phase in reached for following in TRANSITIONS[phase]}
        if more == reached:
            break
        reached = more
    assert reached == set(Phase) == set(AFTER_CRASH) == set(TRANSITIONS)
    assert {Phase.DISCARDED, Phase.CLOSED} == FINAL_PHASES


def test_there_is_no_way_back_from_the_commit_point() -> None:
    behind = {Phase.COMMITTED}
    for _ in Phase:
        behind |= {following for phase in behind for following in TRANSITIONS[phase]}
    assert not behind & {Phase.ROLLING_BACK, Phase.ROLLED_BACK, Phase.DISCARDED}
