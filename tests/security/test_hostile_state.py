"""Journals, plans and databases that are whole, with the right digests, and lead elsewhere: recovery does not go there."""

import hashlib
import json
import os
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from typing import Any

import pytest

from intact.cli.main import run_command
from intact.model.paths import RelPath
from intact.system.linux import LinuxDisk
from intact.transaction.journal import Journal, Record
from intact.transaction.phases import Phase
from support.faulty_disk import Crash
from support.rival import described
from support.workshop import Package, Workshop, file, snapshot

FIRST = Package("a", "1", file("opt/a", "one"), file("opt/gone", "x"), file("etc/own", "own"))
SECOND = Package("a", "2", file("opt/a", "two"), file("opt/new/x", "new"))
HOME = "var/lib/intact/private/transactions/2"
SLOTS = f"{HOME}/slots"
PHASES: dict[str, tuple[Phase, ...]] = {
    "staged": (),
    "provisional": (Phase.PROVISIONAL,),
    "going back": (Phase.ROLLING_BACK,),
    "undone": (Phase.ROLLING_BACK, Phase.ROLLED_BACK),
    "committed": (Phase.COMMITTED,),
    "recorded": (Phase.COMMITTED, Phase.RECORDED),
}
WAYS = [(), ("--back",), ("--forward",)]

Edit = Callable[[Any], object]


class Victim:
    """A root whose upgrade was interrupted when every rename was done, and a tree outside that must not change."""

    def __init__(self, workshop: Workshop) -> None:
        self.workshop = workshop
        self.root = workshop.path
        self.home = self.root / HOME
        self.outside = workshop.place / "outside"
        (self.outside / "slots").mkdir(parents=True)
        for name in ("a", "gone", "file", "slots/0", "slots/1", "slots/2"):
            (self.outside / name).write_text("canary")
        workshop.install(FIRST)
        (self.root / "way").symlink_to("../outside")
        self._crash()

    def _crash(self) -> None:
        disk = self.workshop.faulty()
        syncs = 0

        def fault(_number: int, verb: str, _path: str) -> None:
            nonlocal syncs
            syncs += verb == "sync_filesystem"
            if syncs > 2:  # two belong to the staging
                raise Crash(verb)

        disk.fault = fault
        with pytest.raises(Crash):
            self.workshop.install(SECOND, disk=disk)
        disk.close()

    def forge(
        self, phases: tuple[Phase, ...], edit: Edit, edit_opening: Edit = lambda _opening: None
    ) -> None:
        """Edit the plan and the opening, and write a journal that vouches for both."""
        texts = []
        for name, change in (("opening.json", edit_opening), ("plan.json", edit)):
            value = json.loads((self.home / name).read_bytes())
            change(value)
            text = json.dumps(value, separators=(",", ":")).encode()
            (self.home / name).write_bytes(text)
            texts.append(hashlib.sha256(text).hexdigest())
        (self.home / "journal").unlink()
        disk = LinuxDisk(str(self.root))
        journal = Journal.create(disk, RelPath(f"{HOME}/journal"), 2, Record(Phase.OPEN, 1, texts[0]))
        journal.append(Record(Phase.STAGED, 2, texts[1]))
        for phase in phases:
            journal.append(Record(phase, 3))
        disk.close()

    def pkg(self, *arguments: str) -> int:
        """Run a command in this process; no error of Python's may get out."""
        return run_command(["--root", str(self.root), "--quiet", *arguments])


@pytest.fixture
def victim(workshop: Workshop) -> Victim:
    """Somebody who has put a hostile state directory into place."""
    return Victim(workshop)


def _paths(path: str) -> Edit:
    def edit(plan: Any) -> None:  # noqa: ANN401  JSON
        for step in plan["steps"]:
            step[3][1] = path

    return edit


def _slots(slot: str) -> Edit:
    def edit(plan: Any) -> None:  # noqa: ANN401  JSON
        for number, step in enumerate(plan["steps"]):
            step[0] = f"{slot}/{number}"

    return edit


def _mounts(mount: str) -> Edit:
    return lambda value: value.update(mounts=[mount])


# Those whose text is refused, and those that are well-formed and lead out through a link.
PLANS: dict[str, tuple[Edit, Edit]] = {
    "a path upwards": (_paths("../outside/a"), lambda _: None),
    "a path upwards, later": (_paths("opt/../../outside/a"), lambda _: None),
    "an absolute path": (_paths("/etc/passwd"), lambda _: None),
    "a path in pkg's own state": (_paths("var/lib/intact/installed.db"), lambda _: None),
    "the root itself": (_paths(""), lambda _: None),
    "slots upwards": (_slots("../outside/slots"), lambda _: None),
    "absolute slots": (_slots("/tmp"), lambda _: None),
    "slots through a link": (_slots("way/slots"), lambda _: None),
    "slots elsewhere in the root": (_slots("etc"), lambda _: None),
    "slots of another transaction": (_slots("var/lib/intact/private/transactions/1/slots"), lambda _: None),
    "a mount upwards": (_mounts("../outside"), _mounts("../outside")),
    "a mount through a link": (_mounts("way"), _mounts("way")),
    "mounts that were not opened": (_mounts("opt"), lambda _: None),
    "another transaction": (lambda plan: plan.update(transaction=7), lambda _: None),
}


@pytest.mark.parametrize("phase", PHASES)
@pytest.mark.parametrize("name", PLANS)
def test_sec_38_a_forged_plan_changes_nothing(name: str, phase: str, victim: Victim) -> None:
    victim.forge(PHASES[phase], *PLANS[name])
    outside, inside = described(victim.outside), snapshot(victim.workshop)
    for way in WAYS:
        assert victim.pkg("recover", *way) == 6
        assert described(victim.outside) == outside
        assert snapshot(victim.workshop) == inside
    assert victim.pkg("remove", "a") == 6
    assert described(victim.outside) == outside


@pytest.mark.parametrize("way", WAYS, ids=["automatic", "back", "forward"])
@pytest.mark.parametrize("phase", PHASES)
def test_sec_38_a_path_through_a_link_ends_at_the_link(
    phase: str, way: tuple[str, ...], victim: Victim
) -> None:
    victim.forge(PHASES[phase], _paths("way/a"))
    outside = described(victim.outside)
    assert victim.pkg("recover", *way) in {0, 6}
    assert (victim.root / "way").is_symlink()
    assert described(victim.outside) == outside


@pytest.mark.parametrize("phase", PHASES)
def test_sec_38_the_same_forgery_without_an_edit_is_recovered(phase: str, victim: Victim) -> None:
    """Else the tests above would prove nothing."""
    victim.forge(PHASES[phase], lambda _: None)
    assert victim.pkg("recover") == 0
    assert victim.pkg("recover", "--status") == 0


def _link(place: str, target: str) -> Callable[[Victim], None]:
    def act(victim: Victim) -> None:
        at = victim.root / place
        if at.is_dir() and not at.is_symlink():
            shutil.copytree(at, victim.outside / "copy", symlinks=True)
            shutil.rmtree(at)
            at.symlink_to(victim.outside / "copy")
        else:
            at.unlink(missing_ok=True)
            at.symlink_to(victim.outside / target)

    return act


LINKED: dict[str, Callable[[Victim], None]] = {
    "the journal": _link(f"{HOME}/journal", "file"),
    "the plan": _link(f"{HOME}/plan.json", "file"),
    "the opening": _link(f"{HOME}/opening.json", "file"),
    "the next database": _link(f"{HOME}/next.db", "file"),
    "the scratch database": _link(f"{HOME}/outcome.db", "file"),
    "the journal of the scratch database": _link(f"{HOME}/outcome.db-journal", "file"),
    "the database": _link("var/lib/intact/installed.db", "file"),
    "the trust store": _link("var/lib/intact/trust.toml", "file"),
    "the identity": _link("var/lib/intact/private/id", "file"),
    "the lock": _link("var/lib/intact/private/lock", "file"),
    "the slots": _link(SLOTS, ""),
    "a slot": _link(f"{SLOTS}/0", "file"),
    "the transaction": _link(HOME, ""),
    "all transactions": _link("var/lib/intact/private/transactions", ""),
    "what is private": _link("var/lib/intact/private", ""),
    "people's files": _link("var/lib/intact/private/kept", ""),
    "trash": _link("var/lib/intact/private/transactions/9.trash", ""),
    "the log of hooks": _link(f"{HOME}/hooks.log", "file"),
}


@pytest.mark.parametrize("way", WAYS, ids=["automatic", "back", "forward"])
@pytest.mark.parametrize("name", LINKED)
def test_sec_38_a_link_in_the_state_leads_nowhere(name: str, way: tuple[str, ...], victim: Victim) -> None:
    LINKED[name](victim)
    outside = described(victim.outside)
    assert victim.pkg("recover", *way) in {0, 1, 6}
    assert victim.pkg("remove", "a") in {0, 1, 5, 6}
    assert victim.pkg("rollback") in {0, 1, 5, 6}
    assert described(victim.outside) == outside


LOCATIONS = ["../outside/a", "/etc/hostname", "way/a", "opt/../../outside/a"]


@pytest.mark.parametrize("location", LOCATIONS)
@pytest.mark.parametrize("command", [("remove", "a"), ("rollback",), ("verify",), ("recover",)])
def test_sec_38_a_forged_database_leads_nowhere(
    command: tuple[str, ...], location: str, victim: Victim
) -> None:
    assert victim.pkg("recover") == 0
    database = victim.root / "var/lib/intact/installed.db"
    content = b"canary"
    with closing(sqlite3.connect(database)) as connection:
        connection.execute(
            "UPDATE entries SET location = ?, digest = ?, size = ? WHERE location = 'opt/a'",
            (location, hashlib.sha256(content).hexdigest(), len(content)),
        )
        connection.commit()
    os.utime(victim.outside / "a", (1, 1))
    outside = described(victim.outside)
    assert victim.pkg(*command) in {0, 1, 5, 6, 10}
    assert described(victim.outside) == outside
