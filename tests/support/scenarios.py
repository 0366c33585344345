"""Operations that touch every kind of action, and what has to hold after each of them was interrupted."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from intact.operations.recovering import recover_now
from intact.operations.root import Environment
from intact.operations.verify import verify
from intact.system.port import Disk
from intact.transaction.recover import Direction
from support.faulty_disk import Crash, FaultyDisk, crash_at
from support.workshop import (
    Package,
    Snapshot,
    Workshop,
    directory,
    file,
    hardlink,
    snapshot,
    state_files,
    symlink,
)

__all__ = [
    "FIRST",
    "SCENARIOS",
    "SECOND",
    "Scenario",
    "Stage",
    "assert_all_or_nothing",
    "assert_every_object_is_whole",
    "crash",
    "play",
    "recover",
]

FIRST = Package(
    "tool",
    "1",
    file("usr/bin/tool", "one", 0o755),
    file("usr/lib/libtool.so.1", "library one"),
    file("etc/tool.conf", "setting = 1\n", config=True),
    directory("usr/share/tool"),
    file("usr/share/tool/same", "same"),
    file("usr/share/tool/gone/a", "a"),
    file("usr/share/tool/gone/b", "b"),
    file("usr/share/tool/to-directory", "file"),
    file("usr/share/tool/to-file/inner", "inner"),
    symlink("usr/share/tool/to-real", "same"),
    file("usr/share/tool/to-link", "was a file"),
    file("usr/share/tool/twin", "twin one"),
    hardlink("usr/share/tool/twin2", "usr/share/tool/twin"),
)
SECOND = Package(
    "tool",
    "2",
    file("usr/bin/tool", "two", 0o4755),
    file("usr/lib/libtool.so.1", "library two"),
    file("etc/tool.conf", "setting = 2\n", config=True),
    directory("usr/share/tool", 0o750),
    file("usr/share/tool/same", "same"),
    file("usr/share/tool/new/c", "c"),
    directory("usr/share/tool/new/empty"),
    file("usr/share/tool/to-directory/inner", "now inside"),
    file("usr/share/tool/to-file", "now a file"),
    file("usr/share/tool/to-real", "real"),
    symlink("usr/share/tool/to-link", "same"),
    file("usr/share/tool/twin", "twin two"),
    hardlink("usr/share/tool/twin2", "usr/share/tool/twin"),
)


def _install(workshop: Workshop, disk: Disk) -> None:
    workshop.install(FIRST, disk=disk)


def _upgrade(workshop: Workshop, disk: Disk) -> None:
    workshop.install(SECOND, disk=disk)


def _remove(workshop: Workshop, disk: Disk) -> None:
    workshop.remove("tool", disk=disk)


def _roll_back(workshop: Workshop, disk: Disk) -> None:
    workshop.roll_back(disk=disk)


@dataclass(frozen=True)
class Scenario:
    """What was there before, and what is interrupted."""

    before: tuple[Package, ...]
    act: Callable[[Workshop, Disk], None]


SCENARIOS = {
    "install": Scenario((), _install),
    "upgrade": Scenario((FIRST,), _upgrade),
    "remove": Scenario((FIRST, SECOND), _remove),
    "rollback": Scenario((FIRST, SECOND), _roll_back),
}


@dataclass
class Stage:
    """A scenario that has been played once without a fault."""

    template: Workshop
    scenario: Scenario
    old: Snapshot
    new: Snapshot
    old_state: set[str]
    new_state: set[str]
    steps: int


def play(scenario: Scenario, place: Path) -> Stage:
    """Play a scenario once, without a fault."""
    template = Workshop(place / "template")
    template.write("usr/share/somebody", "not ours")
    template.bundle(FIRST)
    template.bundle(SECOND)
    for package in scenario.before:
        template.install(package)
    old, old_state = snapshot(template), state_files(template) if scenario.before else set()
    whole = template.copy("whole")
    disk = FaultyDisk(whole.path)
    scenario.act(whole, disk)
    disk.close()
    return Stage(template, scenario, old, snapshot(whole), old_state, state_files(whole), len(disk.steps))


def crash(stage: Stage, step: int, name: str) -> Workshop:
    """Play until the crash before change number `step`."""
    workshop = stage.template.copy(name)
    disk = FaultyDisk(workshop.path, crash_at(step))
    with pytest.raises(Crash):
        stage.scenario.act(workshop, disk)
    disk.close()
    return workshop


def recover(workshop: Workshop, disk: Disk | None = None, direction: Direction = Direction.AUTOMATIC) -> None:
    with workshop.opened(disk) as root:
        recover_now(root, direction, Environment("pkg recover"))


def assert_every_object_is_whole(workshop: Workshop, stage: Stage) -> None:
    """Before any recovery: each path holds its old or its new object."""
    now = snapshot(workshop, links=False)
    for path in now.keys() | stage.old.keys() | stage.new.keys():
        allowed = [_without_links(side.get(path)) for side in (stage.old, stage.new)]
        assert now.get(path) in allowed, path


def _without_links(described: tuple[object, ...] | None) -> tuple[object, ...] | None:
    return described[:-1] if described is not None and described[0] == "file" else described


def assert_all_or_nothing(workshop: Workshop, stage: Stage) -> str:
    """After the recovery: everything is old or everything is new, and nothing is left behind; tells which."""
    now = snapshot(workshop)
    outcome = "old" if now == stage.old else "new"
    assert now == (stage.old if outcome == "old" else stage.new)
    expected = stage.old_state if outcome == "old" else stage.new_state
    left = {path for path in state_files(workshop) if not path.startswith("private/lock")}
    bare = {"private", "private/id", "private/manifests", "private/transactions", "installed.db"}
    assert left - bare == {path for path in expected if path != "private/lock"} - bare
    with workshop.opened() as root:
        assert verify(root, [], Environment()).differences == ()
        with root.database() as database:
            versions = [str(one.identity.version) for one in database.packages()]
    assert versions == _versions(stage, outcome)
    return outcome


def _versions(stage: Stage, outcome: str) -> list[str]:
    reference = stage.template if outcome == "old" else stage.template.copy("reference")
    if outcome == "new":
        disk = FaultyDisk(reference.path)
        stage.scenario.act(reference, disk)
        disk.close()
    with reference.opened() as root, root.database() as database:
        return [str(one.identity.version) for one in database.packages()]
