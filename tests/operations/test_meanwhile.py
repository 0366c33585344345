"""What other people and programs do while a command is at work, and edits that hide themselves."""

import os
import signal
import stat
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from intact.bundle.read import open_bundle
from intact.model.errors import Conflict, NoSpace, RecoveryFailed, machine_error
from intact.operations.install import install
from intact.operations.prepare import InstallOptions
from intact.operations.root import Environment
from intact.operations.verify import verify
from support.faulty_disk import FaultyDisk
from support.scenarios import recover
from support.workshop import Package, Workshop, directory, file, hardlink, snapshot, state_files, symlink


def _differences(workshop: Workshop) -> list[str]:
    with workshop.opened() as root:
        return [f"{one.location} {one.what}" for one in verify(root, [], Environment()).differences]


def test_who_changes_a_file_that_goes_and_puts_another_there_is_told_of_both(workshop: Workshop) -> None:
    workshop.install(Package("t", "1", file("a", "one"), file("b", "one")))
    disk = FaultyDisk(workshop.path)

    def meddle(_number: int, verb: str, path: str) -> None:
        if verb == "move_new" and path.endswith("/a") and not (workshop.path / "a").exists():
            workshop.write("a", "another")  # just when the changed one would come back
        elif verb == "move_new" and (workshop.path / "a").exists() and workshop.read("a") == "one":
            workshop.write("a", "changed")

    disk.fault = meddle
    with pytest.raises(Conflict, match="somebody has changed it since") as caught:
        workshop.remove("t", disk=disk)
    disk.close()
    assert caught.value.path == "/a"
    assert workshop.read("a") == "another"
    (kept,) = [line for line in caught.value.details if "kept in" in line]
    assert Path(f"{workshop.path}/{kept.rpartition(' ')[2]}").read_text() == "changed"
    assert caught.value.root_state.endswith("but for what is named above")


class TestASwitchedDirectory:
    """Somebody puts another directory in the place of one, the usual atomic way, while files are staged."""

    OLD = Package("t", "1", directory("srv/site"), file("srv/site/index", "one"), file("srv/site/style", "s"))
    NEW = Package(
        "t",
        "2",
        directory("srv/site"),
        file("srv/site/index", "two"),
        file("srv/site/style", "s"),
        file("srv/site/fresh", "f"),
    )

    @staticmethod
    def _switch(workshop: Workshop, *, copy: bool) -> FaultyDisk:
        disk = FaultyDisk(workshop.path)
        done: list[str] = []

        def switch(_number: int, verb: str, path: str) -> None:
            if verb != "sync_filesystem" or done:
                return
            done.append(path)
            top = workshop.path / "srv"
            if copy:
                subprocess.run(["cp", "-a", str(top / "site"), str(top / "site.new")], check=True)
            else:
                (top / "site.new").mkdir()
            (top / "site").rename(top / "site.old")
            (top / "site.new").rename(top / "site")

        disk.fault = switch
        return disk

    def test_the_name_counts_not_the_directory_that_had_it(self, workshop: Workshop) -> None:
        workshop.install(self.OLD)
        disk = self._switch(workshop, copy=True)
        workshop.install(self.NEW, disk=disk)
        disk.close()
        assert (workshop.read("srv/site/index"), workshop.read("srv/site/fresh")) == ("two", "f")
        assert workshop.read("srv/site.old/index") == "one"
        assert not (workshop.path / "srv/site.old/fresh").exists()
        assert _differences(workshop) == []

    def test_if_the_files_are_not_there_nothing_is_done(self, workshop: Workshop) -> None:
        workshop.install(self.OLD)
        disk = self._switch(workshop, copy=False)
        with pytest.raises(Conflict):
            workshop.install(self.NEW, disk=disk)
        disk.close()
        assert list((workshop.path / "srv/site").iterdir()) == []
        assert workshop.read("srv/site.old/index") == "one"


class TestAHiddenEdit:
    """An edit that keeps size and time, as `cp -p`, `rsync --times` and `touch -r` do."""

    @pytest.fixture(params=["in place", "by a rename"])
    def edited(self, request: pytest.FixtureRequest, workshop: Workshop) -> Workshop:
        workshop.install(Package("t", "1", file("lib/x", "original"), file("etc/x", "original", config=True)))
        for name in ("lib/x", "etc/x"):
            path = workshop.path / name
            status = path.stat()
            if request.param == "in place":
                with path.open("r+") as file_:
                    file_.write("patched!")
            else:
                workshop.write(name, "patched!")
            os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
            assert (path.stat().st_size, path.stat().st_mtime_ns) == (status.st_size, status.st_mtime_ns)
        return workshop

    def test_stays_when_the_package_is_removed(self, edited: Workshop) -> None:
        receipt = edited.remove("t")
        assert (edited.read("lib/x"), edited.read("etc/x")) == ("patched!", "patched!")
        assert sum("it stays and belongs to no package now" in note for note in receipt.plan.notes) == 2

    def test_is_kept_at_an_upgrade(self, edited: Workshop) -> None:
        new = Package("t", "2", file("lib/x", "upgraded"), file("etc/x", "upgraded", config=True))
        receipt = edited.install(new)
        assert (edited.read("lib/x"), edited.read("etc/x")) == ("upgraded", "patched!")
        assert edited.read("etc/x.pkg-new") == "upgraded"
        assert any("changed here since it was installed" in note for note in receipt.plan.notes)
        edited.roll_back()
        assert edited.read("lib/x") == "patched!"

    def test_stays_when_the_upgrade_that_came_before_it_is_rolled_back(self, workshop: Workshop) -> None:
        workshop.install(Package("t", "1", file("lib/x", "original")))
        workshop.install(Package("t", "2", file("lib/x", "upgraded")))
        path = workshop.path / "lib/x"
        status = path.stat()
        path.write_text("patched!")
        os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
        receipt = workshop.roll_back()
        assert workshop.read("lib/x") == "patched!"
        assert receipt.plan.notes == ("/lib/x: edited since; it is kept",)


class TestHardlinks:
    """Names of one file are decided together, and never with the names of another one."""

    def test_a_mode_that_was_changed_stays_with_all_names(self, workshop: Workshop) -> None:
        def package(version: str) -> Package:
            return Package("t", version, file("a", "same"), hardlink("b", "a"), file("c", version))

        workshop.install(package("1"))
        (workshop.path / "a").chmod(0o600)
        workshop.install(package("2"))
        one, other = ((workshop.path / name).stat() for name in "ab")
        assert one.st_ino == other.st_ino
        assert stat.S_IMODE(one.st_mode) == 0o600

    def test_an_edited_configuration_file_with_a_second_name_stays(self, workshop: Workshop) -> None:
        def package(version: str) -> Package:
            return Package(
                "t", version, file("etc/a", f"{version}\n", config=True), hardlink("etc/b", "etc/a")
            )

        workshop.install(package("1"))
        workshop.write("etc/a", "mine\n")
        workshop.install(package("2"))
        assert workshop.read("etc/a") == "mine\n"
        assert workshop.read("etc/a.pkg-new") == "2\n"
        assert workshop.read("etc/b") == "1\n"  # a further name of what is kept is kept, too
        workshop.install(package("3"))
        assert (workshop.read("etc/a"), workshop.read("etc/a.pkg-new")) == ("mine\n", "3\n")

    def test_a_live_set_id_file_keeps_its_rights_when_another_name_of_it_goes(
        self, workshop: Workshop
    ) -> None:
        def mode() -> int:
            return stat.S_IMODE((workshop.path / "usr/bin/sudo").stat().st_mode)

        sudo = file("usr/bin/sudo", "sudo", 0o4755)
        workshop.install(Package("s", "1", sudo, hardlink("usr/bin/sudoedit", "usr/bin/sudo")))
        workshop.install(Package("s", "2", sudo, symlink("usr/bin/sudoedit", "sudo")))
        assert mode() == 0o4755
        assert _differences(workshop) == []
        for backup in (workshop.path / "var/lib/intact/private/transactions/2/slots").iterdir():
            assert not stat.S_IMODE(backup.lstat().st_mode) & 0o6000 or backup.is_symlink()
        workshop.install(Package("s", "3", sudo))
        assert mode() == 0o4755
        workshop.roll_back(2)
        assert mode() == 0o4755
        assert stat.S_IMODE((workshop.path / "usr/bin/sudoedit").lstat().st_mode) == 0o4755

    def test_replaced_set_id_files_lose_their_rights_with_all_their_names(self, workshop: Workshop) -> None:
        workshop.install(Package("s", "1", file("a", "sudo", 0o6755), hardlink("b", "a")))
        workshop.install(Package("s", "2", file("a", "new", 0o6755), hardlink("b", "a")))
        slots = workshop.path / "var/lib/intact/private/transactions/2/slots"
        assert [stat.S_IMODE(path.stat().st_mode) for path in slots.iterdir()] == [0o755, 0o755]
        workshop.roll_back()
        assert stat.S_IMODE((workshop.path / "a").stat().st_mode) == 0o6755

    @pytest.mark.skipif(os.geteuid() != 0, reason="needs root to mount")
    def test_files_of_two_filesystems_with_one_inode_number_stay_two(self, workshop: Workshop) -> None:
        mounts = []
        for name in ("aa", "bb"):
            image = workshop.place / f"{name}.image"
            with image.open("wb") as empty:
                empty.truncate(16 << 20)
            subprocess.run(["mkfs.ext4", "-q", str(image)], check=True)
            place = workshop.path / name
            place.mkdir()
            done = subprocess.run(["mount", "-o", "loop", str(image), str(place)], check=False)
            if done.returncode != 0:
                pytest.skip("this machine has no loop devices")
            mounts.append(place)
        try:
            linked = Package(
                "t",
                "1",
                *(file("aa/x", "content"), hardlink("aa/x2", "aa/x")),
                *(file("bb/y", "CONTENT"), hardlink("bb/y2", "bb/y")),
            )
            workshop.install(linked)
            before = {path: what for path, what in snapshot(workshop).items() if ".intact" not in path}
            assert (workshop.path / "aa/x").stat().st_ino == (workshop.path / "bb/y").stat().st_ino
            workshop.install(Package("t", "2", file("opt/z", "z")))
            workshop.roll_back()
            after = {path: what for path, what in snapshot(workshop).items() if ".intact" not in path}
            assert after == before
        finally:
            for place in mounts:
                subprocess.run(["umount", str(place)], check=True)


class TestInTheWay:
    """Found out before anything is staged, also by a dry run."""

    @pytest.fixture
    def there(self, workshop: Workshop) -> Workshop:
        workshop.install(Package("t", "1", file("etc/hosts", "1\n", config=True)))
        return workshop

    NEW = Package("t", "2", file("etc/hosts", "2\n", config=True))

    @pytest.mark.parametrize("dry_run", [True, False])
    def test_a_directory_where_a_new_version_should_lie(self, there: Workshop, *, dry_run: bool) -> None:
        there.write("etc/hosts", "mine\n")
        there.write("etc/hosts.pkg-new/inner", "x")
        with pytest.raises(Conflict) as caught:
            there.install(self.NEW, dry_run=dry_run)
        assert caught.value.details == (
            (
                "/etc/hosts.pkg-new: is a directory, but the new version of /etc/hosts, which was edited here,"
                " has to lie there; move one of them away first"
            ),
        )

    @pytest.mark.skipif(os.geteuid() != 0, reason="needs root to mount")
    @pytest.mark.parametrize("dry_run", [True, False])
    def test_a_configuration_file_that_is_mounted(self, there: Workshop, *, dry_run: bool) -> None:
        target = there.path / "etc/hosts"
        source = there.place / "hosts"
        source.write_text("1\n")
        done = subprocess.run(["mount", "--bind", str(source), str(target)], check=False)
        if done.returncode != 0:
            pytest.skip("this machine cannot bind mounts")
        try:
            with pytest.raises(Conflict) as caught:
                there.install(self.NEW, dry_run=dry_run)
            assert "/etc/hosts: is a mount point" in caught.value.details[0]
        finally:
            subprocess.run(["umount", str(target)], check=True)
        there.install(self.NEW)
        assert there.read("etc/hosts") == "2\n"


class TestTheScreen:
    """What happens to the screen, or comes from it, does not stop a transaction in the middle."""

    OLD = Package("t", "1", file("a", "old"), file("b", "old"))
    NEW = Package("t", "2", file("a", "new"), file("b", "new"))

    def _install(self, workshop: Workshop, environment: Environment) -> tuple[str, ...]:
        bundle = open_bundle(workshop.bundle(self.NEW), "test")
        try:
            with workshop.opened() as root:
                return install(root, [bundle], InstallOptions(allow_unsigned=True), environment).told
        finally:
            bundle.close()

    @pytest.mark.parametrize("phase", ["stage", "commit"])
    def test_a_terminal_that_has_gone_away(self, phase: str, workshop: Workshop) -> None:
        def progress(now: str, _done: int, _total: int) -> None:
            if now == phase:
                raise OSError(5, "Input/output error")

        workshop.install(self.OLD)
        self._install(workshop, Environment(progress=progress))
        assert (workshop.read("a"), workshop.read("b")) == ("new", "new")

    @staticmethod
    def _interrupt(_path: str) -> None:
        signal.raise_signal(signal.SIGINT)

    @staticmethod
    def _fill(path: str) -> None:
        raise machine_error("write", OSError(28, "No space left on device"), path)

    @pytest.mark.parametrize(("happen", "end"), [(_interrupt, KeyboardInterrupt), (_fill, NoSpace)])
    @pytest.mark.parametrize("what", ["opening.json", "journal", "slots"])
    def test_what_happens_while_a_transaction_begins_leaves_nothing_open(
        self, what: str, happen: Callable[[str], None], end: type[BaseException], workshop: Workshop
    ) -> None:
        def fault(_number: int, _verb: str, path: str) -> None:
            if path.endswith(f"transactions/1/{what}"):
                disk.fault = lambda *_: None
                happen(path)

        disk = FaultyDisk(workshop.path, fault)
        with pytest.raises(end):
            workshop.install(self.NEW, disk=disk)
        disk.close()
        assert not [name for name in state_files(workshop) if "transactions/" in name]

    def test_nothing_is_drawn_between_the_renames(self, workshop: Workshop) -> None:
        """A terminal that was stopped (Ctrl-S) takes nothing, and would hold up whoever draws."""
        workshop.install(self.OLD)
        halves = []

        def progress(_phase: str, _done: int, _total: int) -> None:
            texts = workshop.read("a"), workshop.read("b")
            halves.append(texts != ("old", "old"))

        self._install(workshop, Environment(progress=progress))
        assert halves
        assert not any(halves)

    def test_an_interruption_that_comes_too_late_is_told_with_the_receipt(self, workshop: Workshop) -> None:
        def interrupt(_number: int, verb: str, path: str) -> None:
            if verb == "exchange" and path.endswith("/b"):
                signal.raise_signal(signal.SIGINT)

        workshop.install(self.OLD)
        disk = FaultyDisk(workshop.path)
        disk.fault = interrupt
        receipt = workshop.install(self.NEW, disk=disk)
        disk.close()
        assert receipt.told == ("the interruption came too late: everything was done by then",)
        assert (workshop.read("a"), workshop.read("b")) == ("new", "new")

    def test_a_failed_rollback_is_told_and_not_the_interruption(self, workshop: Workshop) -> None:
        def fail(_number: int, verb: str, path: str) -> None:
            if verb == "exchange" and path.endswith("/b"):
                signal.raise_signal(signal.SIGINT)
                disk.fault = never
                raise machine_error("exchange", OSError(5, "Input/output error"), path)

        def never(_number: int, _verb: str, path: str) -> None:
            raise machine_error("exchange", OSError(5, "Input/output error"), path)

        workshop.install(self.OLD)
        disk = FaultyDisk(workshop.path)
        disk.fault = fail
        with pytest.raises(RecoveryFailed):
            workshop.install(self.NEW, disk=disk)
        disk.close()
        recover(workshop)
        assert (workshop.read("a"), workshop.read("b")) in {("new", "new"), ("old", "old")}

    def test_an_error_that_nobody_has_thought_of_is_rolled_back(self, workshop: Workshop) -> None:
        workshop.install(self.OLD)
        disk = FaultyDisk(workshop.path)

        def surprise(_number: int, verb: str, path: str) -> None:
            if verb == "exchange" and path.endswith("/b"):
                raise ValueError("nobody has thought of this")

        disk.fault = surprise
        with pytest.raises(ValueError, match="nobody has thought"):
            workshop.install(self.NEW, disk=disk)
        disk.close()
        assert (workshop.read("a"), workshop.read("b")) == ("old", "old")


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to mount")
def test_a_nested_btrfs_subvolume_has_a_staging_tree_of_its_own(fast_path: Path) -> None:
    image = fast_path / "btrfs.image"
    with image.open("wb") as empty:
        empty.truncate(128 << 20)
    made = subprocess.run(["mkfs.btrfs", "-q", str(image)], check=False, capture_output=True)
    place = fast_path / "btrfs"
    place.mkdir()
    if (
        made.returncode != 0
        or subprocess.run(["mount", "-o", "loop", str(image), str(place)], check=False).returncode != 0
    ):
        pytest.skip("no btrfs here")
    try:
        workshop = Workshop(place / "w")
        for name in ("srv", "var"):
            subprocess.run(
                ["btrfs", "subvolume", "create", str(workshop.path / name)], check=True, capture_output=True
            )
        first = Package("t", "1", file("srv/a", "1"), file("usr/a", "1"), file("var/a", "1"))
        second = Package("t", "2", file("srv/a", "2"), file("usr/a", "2"), file("var/a", "2"))
        workshop.install(first)
        workshop.install(second)
        assert [workshop.read(f"{top}/a") for top in ("srv", "usr", "var")] == ["2", "2", "2"]
        workshop.roll_back()
        assert [workshop.read(f"{top}/a") for top in ("srv", "usr", "var")] == ["1", "1", "1"]
        workshop.remove("t")
        assert not (workshop.path / "srv/a").exists()
    finally:
        subprocess.run(["umount", str(place)], check=True)


def test_a_time_in_a_far_future_stops_nothing(workshop: Workshop) -> None:
    """After 2262 nanoseconds since 1970 do not fit into 63 bits; btrfs, tmpfs and XFS have such times."""
    old = Package("t", "1", file("a", "one"), file("b", "same"), directory("d"), file("d/c", "c"))
    workshop.install(old)
    manifests = workshop.path / "var/lib/intact/private/manifests"
    for version in ("2", "3"):
        for name in ("a", "b", "d", "d/c"):
            os.utime(workshop.path / name, ns=(1 << 64, 1 << 64))
        for one in manifests.iterdir():  # so that all of it is read
            one.unlink()
        workshop.install(
            Package("t", version, file("a", version), file("b", "same"), directory("d"), file("d/c", "c"))
        )
        assert _differences(workshop) == []
    for name in ("a", "b", "d", "d/c"):
        os.utime(workshop.path / name, ns=(1 << 64, 1 << 64))
    workshop.remove("t")
    assert not (workshop.path / "a").exists()
    workshop.roll_back()
    assert workshop.read("a") == "3"


@pytest.mark.parametrize("config", [False, True])
def test_damage_that_size_and_time_hide_is_told_when_the_content_is_needed(
    workshop: Workshop, *, config: bool
) -> None:
    workshop.install(Package("t", "1", file("a", "one", 0o644, config=config)))
    status = (workshop.path / "a").stat()
    (workshop.path / "a").write_text("two")
    os.utime(workshop.path / "a", ns=(status.st_atime_ns, status.st_mtime_ns))
    before = snapshot(workshop)
    second = Package("t", "2", file("a", "one", 0o755, config=config))
    with pytest.raises(Conflict, match="its content is not what is recorded") as caught:
        workshop.install(second)
    assert (caught.value.path, caught.value.exit_code) == ("/a", 5)
    assert "`touch /a`" in str(caught.value.remedy)
    assert snapshot(workshop) == before
    os.utime(workshop.path / "a")  # as the remedy says
    assert workshop.install(second).changed
    assert workshop.read("a") == ("two" if config else "one")
