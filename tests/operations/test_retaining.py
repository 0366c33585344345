"""How much of the way back is kept, and how it is given up."""

import errno
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from intact.model.errors import (
    Conflict,
    MachineError,
    NoSpace,
    RootUnusable,
    UnknownTransaction,
    UsageError,
    machine_error,
)
from intact.operations.retaining import forget_history, retained_history, retention_policy
from intact.operations.root import Environment
from intact.state.settings import SettingsInvalid
from support.faulty_disk import Crash, FaultyDisk, crash_at
from support.scenarios import recover
from support.workshop import Package, Workshop, file, snapshot, state_files


def _version(number: int, size: int = 10) -> Package:
    return Package("a", str(number), file("opt/a", f"{number:0{size}d}"), file("etc/a", "same"))


def _install(workshop: Workshop, count: int, size: int = 10) -> None:
    for number in range(1, count + 1):
        workshop.install(_version(number, size))


def _retained(workshop: Workshop) -> list[int]:
    with workshop.opened() as root:
        return [one.id for one in retained_history(root)]


def _on_disk(workshop: Workshop) -> set[str]:
    return {path.name for path in (workshop.path / "var/lib/intact/private/transactions").iterdir()}


def _forget(workshop: Workshop, keep: int, disk: FaultyDisk | None = None) -> tuple[int, ...]:
    with workshop.opened(disk) as root:
        return forget_history(root, keep, Environment("pkg history --keep"))[0]


def _settings(workshop: Workshop, text: str) -> None:
    workshop.write("etc/intact/settings.toml", text)


class TestSettings:
    """How much the settings let be kept."""

    def test_the_default_keeps_ten(self, workshop: Workshop) -> None:
        _install(workshop, 12)
        assert _retained(workshop) == list(range(3, 13))
        assert _on_disk(workshop) == {str(number) for number in range(3, 13)}

    def test_the_number_can_be_set(self, workshop: Workshop) -> None:
        _settings(workshop, "[history]\ntransactions = 2\n")
        _install(workshop, 4)
        assert _retained(workshop) == [3, 4]
        assert workshop.roll_back(3).changed
        assert workshop.read("opt/a") == f"{2:010d}"

    def test_the_size_can_be_set_and_the_newest_always_stays(self, workshop: Workshop) -> None:
        _settings(workshop, "[history]\nsize = 25\n")
        _install(workshop, 5)
        assert _retained(workshop) == [4, 5]  # ten bytes each
        _settings(workshop, "[history]\nsize = 0\n")
        workshop.install(_version(6))
        assert _retained(workshop) == [6]

    def test_a_setting_that_is_raised_later_brings_nothing_back(self, workshop: Workshop) -> None:
        _settings(workshop, "[history]\ntransactions = 1\n")
        _install(workshop, 3)
        _settings(workshop, "[history]\ntransactions = 5\n")
        workshop.install(_version(4))
        assert _retained(workshop) == [3, 4]

    def test_invalid_settings_stop_an_install_before_anything_is_touched(self, workshop: Workshop) -> None:
        _install(workshop, 1)
        before, state = snapshot(workshop), state_files(workshop)
        _settings(workshop, "[history]\ntransactions = 'many'\n")
        with pytest.raises(SettingsInvalid, match="transactions"):
            workshop.install(_version(2))
        (workshop.path / "etc/intact/settings.toml").unlink()
        (workshop.path / "etc/intact").rmdir()
        assert snapshot(workshop) == before
        assert state_files(workshop) == state

    @pytest.mark.parametrize("what", ["directory", "pipe", "large"])
    def test_settings_that_are_no_file_are_refused(self, what: str, workshop: Workshop) -> None:
        place = workshop.path / "etc/intact/settings.toml"
        place.parent.mkdir(parents=True)
        if what == "directory":
            place.mkdir()
        elif what == "pipe":
            os.mkfifo(place)
        else:
            place.write_text("#" * (1 << 17))
        refused, said = {
            "directory": (RootUnusable, "it is a directory, not a regular file"),
            "pipe": (RootUnusable, "it is something else, not a regular file"),
            "large": (SettingsInvalid, "a very large file"),
        }[what]
        with workshop.opened() as root, pytest.raises(refused, match=said):
            retention_policy(root)

    def test_never_more_than_a_tenth_of_the_filesystem(self, workshop: Workshop) -> None:
        _settings(workshop, '[history]\nsize = "900 TiB"\n')
        status = os.statvfs(workshop.path)
        with workshop.opened() as root:
            assert retention_policy(root).size == status.f_blocks * status.f_frsize // 10


class TestForgetting:
    """`pkg history --keep`."""

    def test_the_older_ones_go_and_the_newest_can_still_be_undone(self, workshop: Workshop) -> None:
        _install(workshop, 4)
        assert _forget(workshop, 1) == (1, 2, 3)
        assert _retained(workshop) == [4]
        assert _on_disk(workshop) == {"4"}
        with pytest.raises(UnknownTransaction, match="no longer kept"):
            workshop.roll_back(3)
        workshop.roll_back()
        assert workshop.read("opt/a") == f"{3:010d}"

    def test_all_of_it_can_go_and_the_root_stays_as_it_is(self, workshop: Workshop) -> None:
        _install(workshop, 3)
        before = snapshot(workshop)
        assert _forget(workshop, 0) == (1, 2, 3)
        assert _on_disk(workshop) == set()
        assert snapshot(workshop) == before
        with pytest.raises(UnknownTransaction):
            workshop.roll_back()

    def test_keeping_more_than_there_is_changes_nothing(self, workshop: Workshop) -> None:
        _install(workshop, 3)
        state = state_files(workshop)
        assert _forget(workshop, 3) == ()
        assert _forget(workshop, 7) == ()
        assert state_files(workshop) == state

    def test_a_negative_number_is_refused(self, workshop: Workshop) -> None:
        _install(workshop, 1)
        with pytest.raises(UsageError, match="negative"):
            _forget(workshop, -1)
        assert _retained(workshop) == [1]

    def test_numbers_go_on_afterwards(self, workshop: Workshop) -> None:
        _install(workshop, 2)
        _forget(workshop, 0)
        assert workshop.install(_version(3)).transaction == 3

    def test_people_s_files_among_the_backups_are_kept(self, workshop: Workshop) -> None:
        _install(workshop, 1)
        workshop.write("opt/a", "mine")
        workshop.install(_version(2))
        with workshop.opened() as root:
            gone, told = forget_history(root, 0, Environment())
        assert gone == (1, 2)
        assert told == ("/opt/a: your version is kept in /var/lib/intact/private/kept/2/opt/a",)
        assert workshop.read("var/lib/intact/private/kept/2/opt/a") == "mine"

    def test_the_manifests_of_what_is_gone_go_too(self, workshop: Workshop) -> None:
        _install(workshop, 3)
        manifests = workshop.path / "var/lib/intact/private/manifests"
        assert len(list(manifests.iterdir())) == 3
        _forget(workshop, 0)
        assert len(list(manifests.iterdir())) == 1

    def test_a_crash_at_any_step_is_finished_by_the_next_command(self, workshop: Workshop) -> None:
        _install(workshop, 3)
        workshop.write("opt/a", "mine")
        workshop.install(_version(4))
        before, kept = snapshot(workshop), "var/lib/intact/private/kept/4/opt/a"
        outcomes = []
        step = 1
        crashed = True
        while crashed:
            one = workshop.copy("crashed")
            disk = FaultyDisk(one.path, crash_at(step))
            try:
                _forget(one, 0, disk)
            except Crash:
                recover(one)
            else:
                crashed = False
            finally:
                disk.close()
            retained = _retained(one)
            assert retained in ([], [1, 2, 3, 4])
            assert _on_disk(one) == {str(number) for number in retained}
            assert not (one.path / "var/lib/intact/private/forget.db").exists()
            assert snapshot(one) == before
            if retained:
                one.roll_back()
                assert one.read("opt/a") == "mine"
            else:
                assert one.read(kept) == "mine"
            outcomes.append(bool(retained))
            step += 1
        assert outcomes == sorted(outcomes, reverse=True)
        assert outcomes[0]
        assert not outcomes[-2]  # a crash on the way, not only the whole run

    def test_a_transaction_that_the_database_does_not_know_keeps_its_backups(
        self, workshop: Workshop
    ) -> None:
        _install(workshop, 2)
        old = (workshop.path / "var/lib/intact/installed.db").read_bytes()
        workshop.install(_version(3))
        (workshop.path / "var/lib/intact/installed.db").write_bytes(old)
        recover(workshop)
        assert _on_disk(workshop) == {"1", "2", "3"}


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to mount")
class TestFullDisk:
    """History on a filesystem that is full."""

    @pytest.fixture
    def small(self, fast_path: Path) -> Iterator[Workshop]:
        """A root on a filesystem of 8 MiB, with three versions of a file of 1 MiB."""
        workshop = Workshop(fast_path / "small")
        made = ["mount", "-t", "tmpfs", "-o", "size=8m,mode=755", "none", str(workshop.path)]
        if subprocess.run(made, check=False).returncode != 0:
            pytest.skip("this machine cannot mount a tmpfs")
        _settings(workshop, '[history]\nsize = "800 KB"\n')  # the tenth of 8 MiB would be as much
        yield workshop
        subprocess.run(["umount", workshop.path], check=True)

    @staticmethod
    def _fill(workshop: Workshop, leave: int) -> None:
        status = os.statvfs(workshop.path)
        free = status.f_bavail * status.f_frsize
        (workshop.path / "filler").write_bytes(b"x" * (free - leave))

    def test_history_makes_room_oldest_first(self, small: Workshop) -> None:
        _install(small, 4, 200_000)
        assert _retained(small) == [1, 2, 3, 4]
        new = small.bundle(_version(5, 200_000))
        assert new.exists()
        self._fill(small, (1 << 20) + 250_000)
        receipt = small.install(_version(5, 200_000))
        assert receipt.changed
        assert any("cannot be undone any more" in line for line in receipt.told)
        assert _retained(small)[-1] == 5
        assert 1 not in _retained(small)
        small.roll_back()
        assert small.read("opt/a") == f"{4:0200000d}"

    def test_a_dry_run_gives_nothing_up_and_says_what_would_be(self, small: Workshop) -> None:
        _install(small, 4, 200_000)
        self._fill(small, (1 << 20) + 250_000)
        receipt = small.install(_version(5, 200_000), dry_run=True)
        assert receipt.told == ("the disk is full: transactions up to 2 could not be undone any more",)
        assert _retained(small) == [1, 2, 3, 4]

    def test_nothing_is_given_up_for_what_cannot_be_done_anyway(self, small: Workshop) -> None:
        _install(small, 4, 200_000)
        target = small.path / "opt/a"
        if subprocess.run(["chattr", "+i", target], check=False, capture_output=True).returncode != 0:
            pytest.skip("chattr does not work here")
        self._fill(small, (1 << 20) + 250_000)
        try:
            with pytest.raises(Conflict, match="protected"):
                small.install(_version(5, 200_000))
        finally:
            subprocess.run(["chattr", "-i", target], check=True)
        assert _retained(small) == [1, 2, 3, 4]

    def test_where_nothing_changes_nothing_is_given_up(self, small: Workshop) -> None:
        _install(small, 4, 200_000)
        self._fill(small, 250_000)
        assert not small.install(_version(4, 200_000)).changed
        assert _retained(small) == [1, 2, 3, 4]

    def test_it_stops_where_giving_up_does_not_help(self, small: Workshop) -> None:
        _install(small, 4, 200_000)
        self._fill(small, (1 << 20) + 250_000)
        disk = FaultyDisk(small.path)

        def fail(_number: int, verb: str, path: str) -> None:
            if verb in {"move_over", "remove_file"} and "/transactions/" in path:
                raise machine_error(verb, OSError(errno.EIO, "Input/output error"), path)

        disk.fault = fail
        with pytest.raises(NoSpace):
            small.install(_version(5, 200_000), disk=disk)
        disk.close()
        assert _retained(small) == [3, 4]

    def test_an_interruption_tells_of_it_too(self, small: Workshop) -> None:
        _install(small, 4, 200_000)
        self._fill(small, (1 << 20) + 250_000)

        def interrupt(_number: int, _verb: str, path: str) -> None:
            if path.endswith("5/plan.json"):
                raise KeyboardInterrupt

        disk = FaultyDisk(small.path, interrupt)
        with pytest.raises(KeyboardInterrupt) as caught:
            small.install(_version(5, 200_000), disk=disk)
        disk.close()
        assert any("cannot be undone any more" in str(line) for line in caught.value.args)

    def test_what_was_given_up_is_told_where_it_fails_after_all(self, small: Workshop) -> None:
        _install(small, 4, 200_000)
        self._fill(small, (1 << 20) + 250_000)

        def fail(_number: int, verb: str, path: str) -> None:
            if verb == "exchange" and path.endswith("/opt/a"):
                raise machine_error("exchange", OSError(errno.EIO, "Input/output error"), path)

        disk = FaultyDisk(small.path, fail)
        with pytest.raises(MachineError) as caught:
            small.install(_version(5, 200_000), disk=disk)
        disk.close()
        assert any("cannot be undone any more" in line for line in caught.value.details)
        assert small.read("opt/a") == f"{4:0200000d}"

    def test_where_all_of_it_would_not_be_enough_all_of_it_stays(self, small: Workshop) -> None:
        _install(small, 3, 200_000)
        self._fill(small, 1 << 20)
        with pytest.raises(NoSpace, match="are free"):
            small.install(_version(4, 3_000_000))
        assert _retained(small) == [1, 2, 3]

    def test_a_rollback_never_gives_up_what_it_needs(self, small: Workshop) -> None:
        _install(small, 3, 200_000)
        self._fill(small, 100_000)
        with pytest.raises(NoSpace):
            small.roll_back(2)
        assert _retained(small)[-2:] == [2, 3]
