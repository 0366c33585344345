"""Somebody else changes the root while a transaction is planned, renaming, or interrupted."""

from collections.abc import Callable
from pathlib import Path

import pytest

from intact.model.errors import Conflict
from intact.transaction.recover import Direction
from support.faulty_disk import Crash, Fault, FaultyDisk
from support.scenarios import recover
from support.workshop import Package, Workshop, file, snapshot

FIRST = Package("a", "1", file("opt/a", "one"), file("opt/b", "one"), file("opt/c", "one"))
SECOND = Package(
    "a", "2", file("opt/a", "two"), file("opt/b", "two"), file("opt/d", "two"), file("opt/n/x", "two")
)


def when(verb: str, path: str, act: Callable[[], None]) -> Fault:
    """Let somebody act just before a change."""

    def fault(_number: int, current: str, place: str) -> None:
        if (current, place) == (verb, path):
            act()

    return fault


def crash_before(verb: str, path: str) -> Fault:
    """Crash before a change, and from then on."""
    gone = False

    def fault(_number: int, current: str, place: str) -> None:
        nonlocal gone
        gone = gone or (current, place) == (verb, path)
        if gone:
            raise Crash(verb)

    return fault


def _in_place(path: Path, text: str) -> None:
    with path.open("r+") as live:
        live.write(text)


INTERFERENCES: dict[str, tuple[str, str, Callable[[Workshop], None], dict[str, str]]] = {
    "an in-place writer": (
        "exchange",
        "/opt/b",
        lambda workshop: _in_place(workshop.path / "opt/b", "THEIRS"),
        {"opt/b": "THEIRS"},
    ),
    "an editor that renames": (
        "exchange",
        "/opt/b",
        lambda w: void(w.write("opt/b", "theirs")),
        {"opt/b": "theirs"},
    ),
    "a new file where one is to come": (
        "move_new",
        "/opt/d",
        lambda workshop: void(workshop.write("opt/d", "theirs")),
        {"opt/d": "theirs"},
    ),
    "a writer to a file that is to go": (
        "move_new",
        "/var/lib/intact/private/transactions/2/slots/4",
        lambda workshop: _in_place(workshop.path / "opt/c", "THEIRS"),
        {"opt/c": "THEIRS"},
    ),
}


def void(_value: object) -> None:
    """Drop a result."""


@pytest.mark.parametrize("name", INTERFERENCES)
def test_a_change_between_plan_and_rename_is_kept_and_everything_is_rolled_back(
    name: str, workshop: Workshop
) -> None:
    verb, path, act, theirs = INTERFERENCES[name]
    workshop.install(FIRST)
    disk = FaultyDisk(workshop.path, when(verb, path, lambda: act(workshop)))
    with pytest.raises(Conflict) as caught:
        workshop.install(SECOND, disk=disk)
    disk.close()
    assert "rolled back" in caught.value.root_state
    expected = {"opt/a": "one", "opt/b": "one", "opt/c": "one"} | theirs
    for place, text in expected.items():
        assert workshop.read(place) == text
    assert not (workshop.path / "opt/n").exists()
    with workshop.opened() as root, root.database() as database:
        assert [str(one.identity.version) for one in database.packages()] == ["1"]
        assert database.history()[0].outcome.value == "rolled back"


def test_a_file_that_vanishes_before_its_replacement_rolls_back(workshop: Workshop) -> None:
    workshop.install(FIRST)
    disk = FaultyDisk(workshop.path, when("exchange", "/opt/b", (workshop.path / "opt/b").unlink))
    with pytest.raises(Conflict, match="removed it since"):
        workshop.install(SECOND, disk=disk)
    disk.close()
    assert workshop.read("opt/a") == "one"


def test_a_file_that_vanishes_before_its_removal_is_no_obstacle(workshop: Workshop) -> None:
    workshop.install(FIRST)
    slot = "/var/lib/intact/private/transactions/2/slots/4"
    disk = FaultyDisk(workshop.path, when("move_new", slot, (workshop.path / "opt/c").unlink))
    workshop.install(SECOND, disk=disk)
    disk.close()
    assert workshop.read("opt/d") == "two"
    workshop.roll_back()
    assert workshop.read("opt/a") == "one"


def _interrupted(workshop: Workshop) -> None:
    """Crash when all renames are done, before the commit point."""
    workshop.install(FIRST)
    disk = FaultyDisk(workshop.path, crash_before("sync_filesystem", "/"))
    calls = 0

    def second_sync(_number: int, verb: str, _path: str) -> None:
        nonlocal calls
        calls += verb == "sync_filesystem"
        if calls > 2:  # two belong to the staging
            raise Crash(verb)

    disk.fault = second_sync
    with pytest.raises(Crash):
        workshop.install(SECOND, disk=disk)
    disk.close()


def test_going_forward_keeps_what_was_edited_during_the_interruption(workshop: Workshop) -> None:
    _interrupted(workshop)
    workshop.write("opt/a", "mine")
    recover(workshop)
    assert workshop.read("opt/a") == "mine"
    assert workshop.read("opt/b") == "two"


def test_going_back_keeps_what_was_edited_or_created_during_the_interruption(workshop: Workshop) -> None:
    _interrupted(workshop)
    workshop.write("opt/a", "mine")
    workshop.write("opt/n/mine", "mine")
    _in_place(workshop.path / "opt/d", "MINE")
    recover(workshop, direction=Direction.BACK)
    assert workshop.read("opt/a") == "mine"
    assert workshop.read("opt/b") == "one"
    assert workshop.read("opt/d") == "MINE"
    everything = [
        path.read_text() for path in workshop.path.rglob("*") if path.is_file() and path.suffix != ".db"
    ]
    assert everything.count("mine") == 2
    kept = workshop.path / "var/lib/intact/private/kept/2/opt/a"
    assert kept.read_text() == "one"


def test_a_path_that_was_taken_meanwhile_keeps_both(workshop: Workshop) -> None:
    _interrupted(workshop)
    workshop.write("opt/c", "theirs")
    recover(workshop, direction=Direction.BACK)
    assert workshop.read("opt/c") == "theirs"
    assert (workshop.path / "var/lib/intact/private/kept/2/opt/c").read_text() == "one"


def test_a_missing_staging_tree_stops_the_recovery_and_changes_nothing(workshop: Workshop) -> None:
    _interrupted(workshop)
    slots = workshop.path / "var/lib/intact/private/transactions/2/slots"
    slots.rename(slots.with_name("elsewhere"))
    before = snapshot(workshop)
    with pytest.raises(Exception, match="staging tree") as caught:
        recover(workshop)
    assert getattr(caught.value, "exit_code", None) == 6
    assert snapshot(workshop) == before
    slots.with_name("elsewhere").rename(slots)
    recover(workshop)
    assert workshop.read("opt/b") == "two"


@pytest.mark.parametrize("name", ["journal", "plan.json", "opening.json"])
def test_a_flipped_bit_in_an_open_transaction_is_never_acted_upon(name: str, workshop: Workshop) -> None:
    _interrupted(workshop)
    place = workshop.path / "var/lib/intact/private/transactions/2" / name
    whole = place.read_bytes()
    before = snapshot(workshop)
    for at in range(0, len(whole.rstrip(b"\0")), 7):
        place.write_bytes(whole[:at] + bytes([whole[at] ^ 0x10]) + whole[at + 1 :])
        with pytest.raises(Exception, match=r"damaged|altered|journal|cannot") as caught:
            recover(workshop)
        assert getattr(caught.value, "exit_code", None) == 6
        assert snapshot(workshop) == before
    place.write_bytes(whole)
    recover(workshop)
    assert workshop.read("opt/b") == "two"


def test_a_lost_journal_is_not_taken_for_a_transaction_that_never_began(workshop: Workshop) -> None:
    _interrupted(workshop)
    (workshop.path / "var/lib/intact/private/transactions/2/journal").unlink()
    before = snapshot(workshop)
    with pytest.raises(Exception, match="journal of a transaction is missing"):
        recover(workshop)
    assert snapshot(workshop) == before
