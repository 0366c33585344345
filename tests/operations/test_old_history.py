"""Old history that is damaged, protected or in use costs itself, and never blocks a root."""

import contextlib
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from intact.model.errors import JournalDamaged, UnknownTransaction
from intact.operations.recovering import interrupted, recover_now
from intact.operations.root import Environment
from intact.transaction.recover import Direction, Recovery
from support.faulty_disk import Crash, FaultyDisk
from support.workshop import Package, Workshop, directory, file, snapshot

TRANSACTIONS = "var/lib/intact/private/transactions"


def _version(number: int) -> Package:
    return Package("a", str(number), file("opt/a", str(number)))


def _fill(workshop: Workshop, count: int = 11) -> list[str]:
    """Make so many transactions that the oldest ones go; return what was told."""
    told: list[str] = []
    for number in range(count):
        told += workshop.install(Package("filler", str(number), file("opt/filler", str(number)))).told
    return told


def _recover(workshop: Workshop) -> None:
    with workshop.opened() as root:
        recover_now(root, Direction.AUTOMATIC, Environment())
        assert interrupted(root) == []


def _flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    for at in range(0, len(data), 97):
        data[at] ^= 0x55
    path.write_bytes(data)


def _empty(path: Path) -> None:
    path.write_bytes(b"")


DAMAGES = {"flipped": _flip, "emptied": _empty, "gone": Path.unlink}


@pytest.mark.parametrize("direction", list(Direction))
@pytest.mark.parametrize("records", [1, 2, 3, 4])
def test_an_old_journal_that_has_lost_its_end_undoes_nothing(
    records: int, direction: Direction, workshop: Workshop
) -> None:
    for number in (1, 2, 3):
        workshop.install(_version(number))
    old = snapshot(workshop)
    journal = workshop.path / TRANSACTIONS / "2/journal"
    journal.write_bytes(journal.read_bytes()[: records * 512])
    with workshop.opened() as root:
        assert recover_now(root, direction, Environment()) == Recovery()
    assert snapshot(workshop) == old


@pytest.mark.parametrize("direction", list(Direction))
@pytest.mark.parametrize("records", [1, 2])
def test_the_newest_journal_that_has_lost_its_end_is_held_against_the_database(
    records: int, direction: Direction, workshop: Workshop
) -> None:
    for number in (1, 2):
        workshop.install(_version(number))
    old = snapshot(workshop)
    journal = workshop.path / TRANSACTIONS / "2/journal"
    journal.write_bytes(journal.read_bytes()[: records * 512])
    with (
        workshop.opened() as root,
        pytest.raises(JournalDamaged, match="knows that transaction 2 has happened"),
    ):
        recover_now(root, direction, Environment())
    assert snapshot(workshop) == old
    (workshop.path / TRANSACTIONS / "2").rename(workshop.place / "elsewhere")  # as the remedy says
    workshop.install(_version(3))
    assert workshop.read("opt/a") == "3"


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=list(DAMAGES))
@pytest.mark.parametrize("name", ["before.db", "journal", "plan.json", "opening.json"])
class TestDamage:
    """One file of an old, complete transaction is damaged."""

    @pytest.fixture
    def there(self, workshop: Workshop, name: str, damage: Callable[[Path], None]) -> Workshop:
        for number in (1, 2, 3):
            workshop.install(_version(number))
        damage(workshop.path / TRANSACTIONS / "2" / name)
        return workshop

    def test_other_commands_go_on(self, there: Workshop) -> None:
        there.install(_version(4))
        _recover(there)
        there.roll_back()
        assert there.read("opt/a") == "3"

    def test_it_can_go_in_its_turn(self, there: Workshop) -> None:
        _fill(there)
        _recover(there)
        there.install(_version(4))
        assert there.read("opt/a") == "4"
        assert not (there.path / TRANSACTIONS / "1").exists()

    def test_it_cannot_be_rolled_back_and_the_root_stays_as_it_is(self, there: Workshop, name: str) -> None:
        if name in {"opening.json", "before.db"}:
            pytest.skip("of these a rollback reads only what it needs")
        before = snapshot(there)
        with pytest.raises(UnknownTransaction) as caught:
            there.roll_back(2)
        assert "install the bundle" in (caught.value.remedy or "")
        assert snapshot(there) == before


def test_the_newest_journal_is_believed_or_nothing_is_done(workshop: Workshop) -> None:
    for number in (1, 2):
        workshop.install(_version(number))
    _flip(workshop.path / TRANSACTIONS / "2/journal")
    before = snapshot(workshop)
    with pytest.raises(Exception, match="journal") as caught:
        workshop.install(_version(3))
    assert getattr(caught.value, "exit_code", None) == 6
    assert snapshot(workshop) == before


@pytest.fixture
def protected(tmp_path: Path) -> Iterator[Workshop]:
    """A removed directory with a file in it that was protected afterwards."""
    workshop = Workshop(tmp_path / "workshop")
    workshop.install(Package("t", "1", directory("srv/t"), file("srv/t/a", "a"), file("srv/t/b", "b")))
    workshop.remove("t")
    slots = workshop.path / TRANSACTIONS / "2/slots"
    victim = next(path for path in slots.rglob("a"))
    if subprocess.run(["chattr", "+i", str(victim)], check=False, capture_output=True).returncode != 0:
        pytest.skip("chattr does not work here")
    yield workshop
    subprocess.run(["chattr", "-R", "-i", str(workshop.path)], check=False, capture_output=True)


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to protect files")
def test_what_cannot_be_deleted_is_told_and_tried_again(protected: Workshop) -> None:
    told = _fill(protected)
    assert any("could not be deleted, and will be later" in line or "stay" in line for line in told)
    protected.install(_version(1))
    _recover(protected)
    subprocess.run(["chattr", "-R", "-i", str(protected.path)], check=True)
    protected.install(_version(2))
    _recover(protected)
    left = {path.name.split(".")[0] for path in (protected.path / TRANSACTIONS).iterdir()}
    assert "2" not in left


def test_who_sits_in_a_removed_directory_keeps_what_he_writes_there(workshop: Workshop) -> None:
    workshop.install(Package("t", "1", file("srv/t/a", "a"), directory("srv/t/deep")))
    inside = os.open(workshop.path / "srv/t", os.O_RDONLY | os.O_DIRECTORY)
    deep = os.open(workshop.path / "srv/t/deep", os.O_RDONLY | os.O_DIRECTORY)
    workshop.remove("t")
    for place in (inside, deep):
        made = os.open("report", os.O_WRONLY | os.O_CREAT, dir_fd=place)
        os.write(made, b"mine")
        os.close(made)
        os.close(place)
    told = _fill(workshop)
    kept = workshop.path / "var/lib/intact/private/kept/2/srv/t"
    assert (kept / "report").read_text() == "mine"
    assert (kept / "deep/report").read_text() == "mine"
    assert sum("your version is kept" in line for line in told) == 2


@pytest.mark.parametrize("length", [900, 1000, 1024])
def test_the_longest_paths_go_come_back_and_go_again(length: int, workshop: Workshop) -> None:
    parts: list[str] = []
    while sum(map(len, parts)) + len(parts) + 100 < length:
        parts.append("d" * 99)
    path = "/".join(parts)
    path += "/" + "f" * (length - len(path) - 1)
    assert len(path) == length
    workshop.install(Package("t", "1", file(path, "1")))
    before = snapshot(workshop)
    workshop.install(Package("t", "2", file(path, "2")))
    for _ in range(3):
        workshop.roll_back()
    assert snapshot(workshop) == before
    workshop.remove("t")
    workshop.roll_back()
    workshop.roll_back()
    workshop.roll_back()
    assert snapshot(workshop) == before
    _fill(workshop)
    _recover(workshop)


@pytest.mark.parametrize("phase", ["OPEN", "STAGED"])
def test_a_damaged_database_does_not_keep_a_crash_from_being_undone(phase: str, workshop: Workshop) -> None:
    workshop.install(_version(1))
    before = snapshot(workshop)

    def fault(_number: int, verb: str, path: str) -> None:
        if verb == ("exchange" if phase == "STAGED" else "sync_filesystem") and "private/id" not in path:
            raise Crash

    disk = FaultyDisk(workshop.path, fault)
    with pytest.raises(Crash):
        workshop.install(_version(2), disk=disk)
    disk.close()
    (workshop.path / "var/lib/intact/installed.db").write_bytes(b"no database at all")
    with workshop.opened() as root:
        (recovered,) = recover_now(root, Direction.BACK, Environment()).transactions
        assert interrupted(root) == []
    assert recovered.outcome.value in {"rolled back", "discarded"}
    assert snapshot(workshop) == before


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to mount")
def test_a_full_disk_does_not_keep_people_s_files_from_being_kept(fast_path: Path) -> None:
    workshop = Workshop(fast_path / "small")
    made = ["mount", "-t", "tmpfs", "-o", "size=4m,mode=755,nr_inodes=200", "none", str(workshop.path)]
    if subprocess.run(made, check=False).returncode != 0:
        pytest.skip("this machine cannot mount a tmpfs")
    try:
        workshop.install(Package("a", "1", file("opt/z", "1")))
        new = Package("a", "2", file("opt/z", "2"), file("opt/deep/er/new", "n"))

        def fault(_number: int, verb: str, path: str) -> None:
            if verb == "exchange" and path.endswith("/opt/z"):
                raise Crash

        disk = FaultyDisk(workshop.path, fault)
        with pytest.raises(Crash):
            workshop.install(new, disk=disk)
        disk.close()
        workshop.write("opt/deep/er/mine", "an hour of work")
        with contextlib.suppress(OSError):  # until not an inode is left
            for number in range(1000):
                (workshop.path / f"filler-{number}").touch()
        with workshop.opened() as root:
            (recovered,) = recover_now(root, Direction.BACK, Environment()).transactions
            assert interrupted(root) == []
        assert any("is kept in" in line for line in recovered.told)
        found = subprocess.run(
            ["grep", "-rl", "an hour of work", str(workshop.path)], check=True, capture_output=True, text=True
        )
        assert found.stdout.strip()
        assert workshop.read("opt/z") == "1"
    finally:
        subprocess.run(["umount", str(workshop.path)], check=True)
