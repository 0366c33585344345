"""What people and programs do between a crash and the recovery from it: nothing of that may be lost."""

import os
import subprocess
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from intact.model.errors import JournalDamaged, RecoveryFailed
from intact.operations.rebuilding import rebuild_database
from intact.operations.recovering import recover_now
from intact.operations.root import Environment
from intact.transaction.recover import Direction, Recovered
from support.faulty_disk import Crash, FaultyDisk
from support.workshop import Package, Workshop, directory, file, hardlink, snapshot, symlink

OTHER = Package("x", "1", file("opt/x", "x"))
DIRECTIONS = pytest.mark.parametrize("direction", list(Direction), ids=lambda one: one.name)


def _crash_when(
    workshop: Workshop, act: Callable[[FaultyDisk], object], when: Callable[[str, str], bool]
) -> None:
    """Act, and crash before the first change for which `when` (verb, path) holds."""

    def fault(_number: int, verb: str, path: str) -> None:
        if when(verb, path):
            raise Crash

    disk = FaultyDisk(workshop.path, fault)
    with pytest.raises(Crash):
        act(disk)
    disk.close()


def _recover(workshop: Workshop, direction: Direction = Direction.AUTOMATIC) -> tuple[Recovered, ...]:
    with workshop.opened() as root:
        return recover_now(root, direction, Environment("pkg recover")).transactions


def _usable(workshop: Workshop) -> bool:
    """Tell whether a next command works, and leaves nothing interrupted."""
    return workshop.install(Package("next", "1", file("opt/next", "n"))).changed and not _recover(workshop)


class TestAnEditJustBeforeTheRename:
    """The edit comes between plan and rename, the crash right after the rename, before anybody has looked."""

    @pytest.fixture
    def edited(self, workshop: Workshop) -> Workshop:
        workshop.install(Package("t", "1", file("usr/share/t", "old"), file("usr/share/u", "u")))
        return workshop

    @staticmethod
    def _edit_then_crash(
        workshop: Workshop, act: Callable[[FaultyDisk], object], verb: str, end: str
    ) -> None:
        seen: list[str] = []

        def fault(_number: int, name: str, path: str) -> None:
            if seen:
                raise Crash
            if name == verb and path.endswith(end):
                workshop.write("usr/share/t", "an hour of work")
                seen.append(path)

        disk = FaultyDisk(workshop.path, fault)
        with pytest.raises(Crash):
            act(disk)
        disk.close()

    def test_of_a_replaced_file_is_put_back(self, edited: Workshop) -> None:
        new = Package("t", "2", file("usr/share/t", "new"), file("usr/share/u", "u"))
        self._edit_then_crash(edited, lambda disk: edited.install(new, disk=disk), "exchange", "/t")
        (recovered,) = _recover(edited)
        assert recovered.outcome.value == "rolled back"
        assert edited.read("usr/share/t") == "an hour of work"

    def test_of_a_removed_file_is_put_back(self, edited: Workshop) -> None:
        edited.write("usr/share/mine", "keeps the directory")
        self._edit_then_crash(edited, lambda disk: edited.remove("t", disk=disk), "move_new", "slots/0")
        (recovered,) = _recover(edited)
        assert recovered.outcome.value == "rolled back"
        assert edited.read("usr/share/t") == "an hour of work"


class TestANewDirectory:
    """A package's new directory is in place when the crash comes; its programs are not."""

    APP = Package(
        "app",
        "1",
        directory("srv/app/spool", 0o1777),
        file("srv/app/conf.default", "d"),
        symlink("srv/app/conf", "conf.default"),
        hardlink("srv/app/conf2", "srv/app/conf.default"),
        file("usr/bin/app", "a", 0o755),
    )

    @pytest.fixture
    def crashed(self, workshop: Workshop) -> Workshop:
        workshop.install(OTHER)
        _crash_when(
            workshop,
            lambda disk: workshop.install(self.APP, disk=disk),
            lambda verb, path: verb == "move_new" and path.endswith("/usr"),
        )
        assert (workshop.path / "srv/app").is_dir()
        return workshop

    def test_files_put_in_the_place_of_links_are_kept_when_it_goes(self, crashed: Workshop) -> None:
        for name in ("conf", "conf2"):
            (crashed.path / "srv/app" / name).unlink()
        for name in ("conf", "conf2", "third"):
            crashed.write(f"srv/app/{name}", f"my {name}")
        (recovered,) = _recover(crashed, Direction.BACK)
        assert len(recovered.told) == 3
        for name in ("conf", "conf2", "third"):
            assert crashed.read(f"var/lib/intact/private/kept/2/srv/app/{name}") == f"my {name}"
        assert not (crashed.path / "srv/app").exists()

    def test_a_directory_put_in_the_place_of_a_file_is_kept_as_a_whole(self, crashed: Workshop) -> None:
        (crashed.path / "srv/app/conf.default").unlink()
        crashed.write("srv/app/conf.default/deep/file", "mine")
        (recovered,) = _recover(crashed, Direction.BACK)
        kept = "var/lib/intact/private/kept/2/srv/app/conf.default/deep/file"
        assert crashed.read(kept) == "mine"
        assert any("conf.default: your version is kept" in line for line in recovered.told)

    def test_thousands_of_nested_directories_block_nothing(self, crashed: Workshop) -> None:
        child = os.fork()
        if child == 0:
            os.chdir(crashed.path / "srv/app/spool")
            for _ in range(1500):
                os.mkdir("d")  # noqa: PTH102  a path this long has no name
                os.chdir("d")
            os._exit(0)
        os.waitpid(child, 0)
        (recovered,) = _recover(crashed, Direction.BACK)
        assert recovered.outcome.value == "rolled back"
        assert _usable(crashed)
        kept = crashed.path / "var/lib/intact/private/kept"
        assert (kept / "2/srv/app/spool/d/d/d").is_dir()
        subprocess.run(["rm", "-rf", str(kept)], check=True)  # Python's own rmtree cannot

    @pytest.mark.skipif(os.geteuid() != 0, reason="needs root to mount")
    @DIRECTIONS
    def test_a_filesystem_that_is_mounted_in_it_keeps_its_content(
        self, crashed: Workshop, direction: Direction
    ) -> None:
        place = crashed.path / "srv/app/spool"
        if subprocess.run(["mount", "-t", "tmpfs", "none", str(place)], check=False).returncode != 0:
            pytest.skip("this machine cannot mount a tmpfs")
        try:
            (place / "customers").write_text("ten years of work")
            if direction is Direction.BACK:
                with pytest.raises(RecoveryFailed) as caught:
                    _recover(crashed, direction)
                assert caught.value.path == "/srv/app/spool"
                assert "umount /srv/app/spool" in (caught.value.remedy or "")
            else:
                _recover(crashed, direction)
            assert (place / "customers").read_text() == "ten years of work"
        finally:
            subprocess.run(["umount", str(place)], check=True)
        _recover(crashed)
        assert (crashed.path / "srv/app").exists() == (direction is not Direction.BACK)
        assert _usable(crashed)


class TestARemovedTree:
    """A directory has left piece by piece when the crash comes."""

    @pytest.fixture
    def crashed(self, workshop: Workshop) -> Workshop:
        first = Package(
            "t", "1", directory("usr/share/t", 0o750), file("usr/share/t/a", "a"), file("usr/share/t/b", "b")
        )
        workshop.install(first)
        workshop.write("usr/share/t/mine", "mine")
        _crash_when(
            workshop,
            lambda disk: workshop.remove("t", disk=disk),
            lambda verb, path: verb == "move_new" and path.endswith("slots/1"),
        )
        return workshop

    @DIRECTIONS
    def test_somebody_may_have_deleted_what_was_left_of_it(
        self, crashed: Workshop, direction: Direction
    ) -> None:
        subprocess.run(["rm", "-rf", str(crashed.path / "usr/share/t")], check=True)
        _recover(crashed, direction)
        if direction is Direction.BACK:  # what had left comes back, what was deleted does not
            assert crashed.read("usr/share/t/a") == "a"
            assert not (crashed.path / "usr/share/t/b").exists()
        else:
            assert not (crashed.path / "usr/share/t").exists()
        assert _usable(crashed)

    @DIRECTIONS
    def test_somebody_may_have_put_a_file_in_its_place(self, crashed: Workshop, direction: Direction) -> None:
        subprocess.run(["rm", "-rf", str(crashed.path / "usr/share/t")], check=True)
        crashed.write("usr/share/t", "a file now")
        _recover(crashed, direction)
        assert crashed.read("usr/share/t") == "a file now"
        assert _usable(crashed)


class TestChangedAttributes:
    """An upgrade gives a directory another mode."""

    OLD = Package("t", "1", directory("srv/t", 0o755), file("srv/t/a", "1"))
    NEW = Package("t", "2", directory("srv/t", 0o750), file("srv/t/a", "2"))

    @pytest.fixture
    def there(self, workshop: Workshop) -> Workshop:
        workshop.install(self.OLD)
        workshop.bundle(self.NEW)
        return workshop

    def _crash_before(self, workshop: Workshop, verb: str) -> None:
        _crash_when(
            workshop,
            lambda disk: workshop.install(self.NEW, disk=disk),
            lambda name, path: name == verb and "slots" not in path,
        )

    def test_a_mode_that_was_never_changed_is_not_changed_back(self, there: Workshop) -> None:
        self._crash_before(there, "set_attributes")
        (there.path / "srv/t").chmod(0o700)
        _recover(there, Direction.BACK)
        assert (there.path / "srv/t").stat().st_mode & 0o7777 == 0o700

    @DIRECTIONS
    def test_a_link_in_the_place_of_the_directory_blocks_nothing(
        self, there: Workshop, direction: Direction
    ) -> None:
        self._crash_before(there, "exchange")
        (there.path / "srv/t").rename(there.path / "srv/elsewhere")
        (there.path / "srv/t").symlink_to("elsewhere")
        if direction is Direction.FORWARD:
            with pytest.raises(RecoveryFailed):
                _recover(there, direction)
            direction = Direction.AUTOMATIC
        _recover(there, direction)
        assert (there.path / "srv/t").is_symlink()
        assert there.read("srv/elsewhere/a") == "1"
        assert _usable(there)

    def test_extended_attributes_of_an_administrator_stay(self, there: Workshop) -> None:
        place = there.path / "srv/t"
        try:
            os.setxattr(place, "user.backup", b"daily")
        except OSError as error:
            pytest.skip(f"no extended attributes here: {error}")
        there.install(self.NEW)
        assert os.getxattr(place, "user.backup") == b"daily"
        there.roll_back()
        assert os.getxattr(place, "user.backup") == b"daily"
        assert place.stat().st_mode & 0o7777 == 0o755


class TestTheStagingTree:
    """Slots are looked at again before anything in them goes live."""

    @pytest.fixture
    def crashed(self, workshop: Workshop) -> Workshop:
        workshop.install(Package("t", "1", file("usr/a", "old a"), file("usr/b", "old b")))
        new = Package("t", "2", file("usr/a", "new a"), file("usr/b", "new b"), file("usr/n", "new"))
        _crash_when(
            workshop,
            lambda disk: workshop.install(new, disk=disk),
            lambda verb, _: verb in {"exchange", "move_new"},
        )
        return workshop

    @pytest.mark.parametrize("change", ["zeros", "owner", "mode", "gone"])
    def test_an_altered_slot_never_goes_live(self, change: str, crashed: Workshop) -> None:
        before = {name: crashed.read(f"usr/{name}") for name in "ab"}
        slots = crashed.path / "var/lib/intact/private/transactions/2/slots"
        victim = next(path for path in slots.iterdir() if path.read_text() == "new a")
        match change:
            case "zeros":
                victim.write_bytes(bytes(5))
            case "owner":
                os.chown(victim, 65534, 65534)
            case "mode":
                victim.chmod(0o666)
            case _:
                victim.unlink()
        (recovered,) = _recover(crashed)
        if change == "gone":  # then the slot says that the step was done, and the live file that it was not
            assert crashed.read("usr/a") == "old a"
        else:
            assert recovered.outcome.value == "rolled back"
            assert {name: crashed.read(f"usr/{name}") for name in "ab"} == before
        assert _usable(crashed)


def test_a_directory_that_is_made_again_has_its_mode_after_any_crash(workshop: Workshop) -> None:
    workshop.install(Package("t", "1", directory("srv/t/spool", 0o1777)))
    before = snapshot(workshop)
    disk = FaultyDisk(workshop.path)
    template = workshop.copy("template")
    _crash_when(
        template,
        lambda faulty: template.remove("t", disk=faulty),
        lambda verb, _: verb == "sync_filesystem" and not (template.path / "srv/t").exists(),
    )
    disk.close()
    step, crashed = 1, True
    while crashed:
        one = template.copy("one")
        faulty = FaultyDisk(one.path)

        def fault(number: int, _verb: str, _path: str, last: int = step) -> None:
            if number >= last:
                raise Crash

        faulty.fault = fault
        try:
            with one.opened(faulty) as root:
                recover_now(root, Direction.BACK, Environment())
        except Crash:
            _recover(one, Direction.BACK)
        else:
            crashed = False
        finally:
            faulty.close()
        now = snapshot(one)
        assert now in ({}, before)
        step += 1


def test_a_dry_run_does_not_finish_what_was_interrupted(workshop: Workshop) -> None:
    workshop.install(Package("t", "1", file("a", "old"), file("b", "old")))
    new = Package("t", "2", file("a", "new"), file("b", "new"))
    _crash_when(
        workshop,
        lambda disk: workshop.install(new, disk=disk),
        lambda verb, path: verb == "exchange" and path.endswith("/b"),
    )
    before = snapshot(workshop)
    for dry_run in (
        partial(workshop.install, OTHER, dry_run=True),
        partial(workshop.remove, "t", dry_run=True),
    ):
        with pytest.raises(RecoveryFailed, match="a dry run changes nothing") as caught:
            dry_run()
        assert "pkg recover" in (caught.value.remedy or "")
    assert snapshot(workshop) == before
    _recover(workshop)
    assert (workshop.read("a"), workshop.read("b")) == ("new", "new")


def test_a_place_for_bundles_is_not_part_of_the_root(workshop: Workshop) -> None:
    """The tests above rely on it: what they compare is the root alone."""
    assert Path(workshop.bundle(OTHER)).parent == workshop.place
    assert snapshot(workshop) == {}


def _alter(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[-100] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize("damage", [Path.unlink, _alter], ids=["missing", "altered"])
class TestTheStagedDatabase:
    """The database that waits to be published is lost, or is not what the plan vouches for."""

    NEXT = "var/lib/intact/private/transactions/2/next.db"

    def _crashed(self, workshop: Workshop, verb: str, damage: Callable[[Path], None]) -> Workshop:
        workshop.install(Package("t", "1", file("opt/t", "one")))
        two = Package("t", "2", file("opt/t", "two"))
        end = {"exchange": "/opt/t", "publish": "installed.db"}[verb]
        _crash_when(
            workshop, lambda disk: workshop.install(two, disk=disk), lambda _, path: path.endswith(end)
        )
        damage(workshop.path / self.NEXT)
        return workshop

    def test_before_the_commit_point_it_is_undone(
        self, damage: Callable[[Path], None], workshop: Workshop
    ) -> None:
        crashed = self._crashed(workshop, "exchange", damage)
        (found,) = _recover(crashed)
        assert found.outcome.value == "rolled back"
        assert crashed.read("opt/t") == "one"
        assert _usable(crashed)

    def test_it_cannot_be_finished_by_force(self, damage: Callable[[Path], None], workshop: Workshop) -> None:
        crashed = self._crashed(workshop, "exchange", damage)
        with pytest.raises(RecoveryFailed, match="missing or altered"):
            _recover(crashed, Direction.FORWARD)
        assert crashed.read("opt/t") == "one"
        _recover(crashed, Direction.BACK)
        assert _usable(crashed)

    def test_after_it_the_database_is_made_anew(
        self, damage: Callable[[Path], None], workshop: Workshop
    ) -> None:
        crashed = self._crashed(workshop, "publish", damage)
        assert crashed.read("opt/t") == "two"
        with pytest.raises(RecoveryFailed, match="missing or altered") as caught:
            _recover(crashed)
        assert "--rebuild" in str(caught.value.remedy)
        with crashed.opened() as root:
            rebuilt = rebuild_database(root, Environment())
        assert [str(version) for _, version in rebuilt.packages] == ["2"]
        assert rebuilt.transactions == (1, 2)
        (found,) = _recover(crashed)
        assert found.outcome.value == "committed"
        assert _usable(crashed)
        crashed.roll_back(2)
        assert crashed.read("opt/t") == "one"


@pytest.mark.parametrize("direction", list(Direction), ids=lambda one: one.name)
def test_a_journal_that_has_lost_its_staged_record_deletes_nothing(
    direction: Direction, workshop: Workshop
) -> None:
    """Half of the renames are done, and the originals are in slots that an OPEN transaction would give up."""
    old = [file("opt/t", "one"), file("opt/u", "one"), file("opt/v", "one")]
    new = [file("opt/t", "two"), file("opt/u", "two")]
    workshop.install(Package("t", "1", *old))
    two = Package("t", "2", *new)
    _crash_when(workshop, lambda disk: workshop.install(two, disk=disk), lambda _, path: path == "/opt/u")
    home = workshop.path / "var/lib/intact/private/transactions/2"
    journal = (home / "journal").read_bytes()
    (home / "journal").write_bytes(journal[:512].ljust(len(journal), b"\0"))
    before = snapshot(workshop)
    with pytest.raises(JournalDamaged, match="replaced files are in the slots"):
        _recover(workshop, direction)
    assert snapshot(workshop) == before
    (home / "journal").write_bytes(journal)  # found again, in a backup of the machine
    _recover(workshop, Direction.BACK)
    assert workshop.read("opt/t") == workshop.read("opt/u") == "one"
