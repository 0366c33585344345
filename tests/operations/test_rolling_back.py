"""The way back: of the newest transaction, of several, and of a rollback."""

import os
from pathlib import Path

import pytest

from intact.model.errors import Conflict, RecoveryFailed, UnknownTransaction
from support.workshop import Package, Workshop, directory, file, snapshot


def _package(version: str) -> Package:
    return Package(
        "a", version, file("opt/a", version), file(f"opt/only-{version}", version), file("opt/same", "s")
    )


def test_rolling_back_a_fresh_install_leaves_nothing(workshop: Workshop) -> None:
    workshop.write("mine", "mine")
    before = snapshot(workshop)
    workshop.install(_package("1"))
    workshop.roll_back()
    assert snapshot(workshop) == before
    with workshop.opened() as root, root.database() as database:
        assert database.packages() == []


def test_rolling_back_and_forth_alternates(workshop: Workshop) -> None:
    states = []
    for version in "12":
        workshop.install(_package(version))
        states.append(snapshot(workshop))
    for number in range(6):
        workshop.roll_back()
        assert snapshot(workshop) == states[number % 2]


def test_any_retained_transaction_can_be_gone_back_to(workshop: Workshop) -> None:
    states = [snapshot(workshop)]
    for version in "1234":
        workshop.install(_package(version))
        states.append(snapshot(workshop))
    workshop.roll_back(3)
    assert snapshot(workshop) == states[2]
    workshop.roll_back()
    assert snapshot(workshop) == states[4]
    workshop.roll_back(1)
    assert snapshot(workshop) == states[0]


def test_a_rollback_and_what_it_undid_cancel_each_other(workshop: Workshop) -> None:
    states = [snapshot(workshop)]
    for version in "123":
        workshop.install(_package(version))
        states.append(snapshot(workshop))
    workshop.roll_back()  # transaction 4 undoes 3
    workshop.roll_back(2)  # back to before 2: only 2 itself has to be undone
    assert snapshot(workshop) == states[1]
    workshop.roll_back()
    assert snapshot(workshop) == states[2]


def test_a_removal_is_rolled_back_whole(workshop: Workshop) -> None:
    workshop.install(Package("a", "1", file("opt/d/x", "x"), directory("opt/d/empty", 0o700)))
    before = snapshot(workshop)
    workshop.remove("a")
    workshop.roll_back()
    assert snapshot(workshop) == before


@pytest.mark.parametrize("number", [3, 99])
def test_what_was_undone_or_never_was_is_refused(number: int, workshop: Workshop) -> None:
    for version in "123":
        workshop.install(_package(version))
    workshop.roll_back()
    with pytest.raises(UnknownTransaction):
        workshop.roll_back(number)


def test_an_empty_history_is_told(workshop: Workshop) -> None:
    with pytest.raises(UnknownTransaction, match="no transaction"):
        workshop.roll_back()


def test_what_is_no_longer_kept_is_refused(workshop: Workshop) -> None:
    for version in range(1, 13):
        workshop.install(_package(str(version)))
    with pytest.raises(UnknownTransaction, match="no longer kept"):
        workshop.roll_back(1)


def test_a_file_edited_since_stays(workshop: Workshop) -> None:
    workshop.install(_package("1"))
    workshop.install(_package("2"))
    workshop.write("opt/a", "mine")
    workshop.write("opt/only-2", "mine too")
    receipt = workshop.roll_back()
    assert workshop.read("opt/a") == "mine"
    assert workshop.read("opt/only-2") == "mine too"
    assert workshop.read("opt/only-1") == "1"
    assert len(receipt.plan.notes) == 2


def test_a_file_created_since_in_a_directory_that_must_go_is_named(workshop: Workshop) -> None:
    workshop.install(Package("a", "1", file("opt/x", "file")))
    workshop.install(Package("a", "2", file("opt/x/inner", "i")))
    workshop.write("opt/x/mine", "mine")
    before = snapshot(workshop)
    with pytest.raises(Conflict, match="/opt/x/mine"):
        workshop.roll_back()
    assert snapshot(workshop) == before


def _backup(workshop: Workshop) -> Path:
    workshop.install(_package("1"))
    workshop.install(_package("2"))
    slots = workshop.path / "var/lib/intact/private/transactions/2/slots"
    return next(path for path in slots.rglob("*") if path.is_file() and path.read_text() == "1")


def test_a_backup_that_is_damaged_is_not_restored(workshop: Workshop) -> None:
    backup = _backup(workshop)
    status = backup.stat()
    backup.write_text("9")
    os.utime(backup, ns=(status.st_atime_ns, status.st_mtime_ns))  # a disk that forgets does not set the time
    before = snapshot(workshop)
    with pytest.raises(RecoveryFailed, match="is damaged, so it cannot be restored") as caught:
        workshop.roll_back()
    assert caught.value.path == f"/{backup.relative_to(workshop.path)}"
    assert snapshot(workshop) == before


def test_what_a_program_wrote_into_a_replaced_file_comes_back_with_it(workshop: Workshop) -> None:
    workshop.install(Package("a", "1", file("opt/log", "one")))
    with (workshop.path / "opt/log").open("a") as still_open:
        workshop.install(Package("a", "2", file("opt/log", "two")))
        still_open.write(" and more")
    receipt = workshop.roll_back()
    assert workshop.read("opt/log") == "one and more"
    assert receipt.plan.notes == (
        "/opt/log: was written to by a program after it was replaced; it comes back as that left it",
    )


def test_an_altered_plan_is_not_believed(workshop: Workshop) -> None:
    workshop.install(_package("1"))
    plan = workshop.path / "var/lib/intact/private/transactions/1/plan.json"
    plan.write_text(plan.read_text().replace("opt/a", "opt/b"))
    with pytest.raises(UnknownTransaction, match="missing or altered"):
        workshop.roll_back()
