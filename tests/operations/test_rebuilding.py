"""A database that is lost or damaged is made anew from what else is there."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from intact.model.errors import DatabaseDamaged
from intact.model.installed import Seen
from intact.model.objects import Kind
from intact.model.versions import Version
from intact.operations.rebuilding import Rebuilt, rebuild_database
from intact.operations.root import Environment
from intact.operations.verify import verify
from support.faulty_disk import Crash, FaultyDisk, crash_at
from support.scenarios import FIRST, SECOND, recover
from support.workshop import Package, Workshop, directory, file, hardlink, snapshot, symlink

OTHER = Package(
    "other",
    "3",
    directory("srv/other", 0o750),
    file("srv/other/a", "a"),
    hardlink("srv/other/b", "srv/other/a"),
    symlink("srv/link", "other/a"),
    file("etc/other.conf", "x = 1\n", config=True),
    requires=["tool"],
    provides=["thing (= 2)"],
)
DATABASE = "var/lib/intact/installed.db"


def _lose(path: Path) -> None:
    path.unlink()


def _empty(path: Path) -> None:
    path.write_bytes(b"")


def _scramble(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[100:4000] = bytes(3900)
    path.write_bytes(data)


def _overwrite(path: Path) -> None:
    path.write_bytes(b"this is no database at all" * 100)


DAMAGES = {"lost": _lose, "emptied": _empty, "scrambled": _scramble, "overwritten": _overwrite}


@pytest.fixture
def there(workshop: Workshop) -> Workshop:
    """A root with two packages, one of them upgraded."""
    workshop.install(FIRST)
    workshop.install(OTHER)
    workshop.install(SECOND)
    return workshop


def _rebuild(workshop: Workshop, disk: FaultyDisk | None = None) -> Rebuilt:
    with workshop.opened(disk) as root:
        return rebuild_database(root, Environment("pkg recover --rebuild"))


def _rows(workshop: Workshop) -> list[tuple[object, ...]]:
    with workshop.opened() as root, root.database() as database:
        return [
            (one.identity, one.relations, one.size, one.entries, one.transaction, one.manifest_digest)
            for one in database.packages()
        ]


def _files(workshop: Workshop) -> set[tuple[object, ...]]:
    """What the database says of everything but directories: it may be unknown whose those were."""
    with workshop.opened() as root, root.database() as database:
        return {
            (
                one.package,
                one.location,
                one.path,
                one.kind,
                one.mode,
                one.digest,
                one.target,
                one.config,
                one.hardlink,
            )
            for package in database.packages()
            for one in database.entries(package.identity.name)
            if one.kind is not Kind.DIRECTORY
        }


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=list(DAMAGES))
def test_every_command_refuses_a_damaged_database_and_names_the_way_out(
    damage: Callable[[Path], None], there: Workshop
) -> None:
    damage(there.path / DATABASE)
    before = snapshot(there)
    for act in (
        partial(there.install, FIRST, allow_downgrade=True),
        partial(there.remove, "tool"),
        there.roll_back,
    ):
        with pytest.raises(DatabaseDamaged) as caught:
            act()
        assert "pkg recover --rebuild" in (caught.value.remedy or "")
        assert caught.value.exit_code == 6
    with there.opened() as root, pytest.raises(DatabaseDamaged):
        verify(root, [], Environment())
    assert snapshot(there) == before


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=list(DAMAGES))
def test_it_is_made_anew_with_all_packages(damage: Callable[[Path], None], there: Workshop) -> None:
    rows, files = _rows(there), _files(there)
    before = snapshot(there)
    damage(there.path / DATABASE)
    rebuilt = _rebuild(there)
    assert [(name, str(version)) for name, version in rebuilt.packages] == [("other", "3"), ("tool", "2")]
    assert rebuilt.transactions == (1, 2, 3)
    assert rebuilt.doubts == ()
    assert (_rows(there), _files(there)) == (rows, files)
    assert snapshot(there) == before
    with there.opened() as root:
        assert verify(root, [], Environment()).differences == ()


def test_the_way_back_is_there_again(there: Workshop) -> None:
    after = snapshot(there)
    there.roll_back()
    before = snapshot(there)
    there.roll_back()
    assert snapshot(there) == after
    (there.path / DATABASE).unlink()
    _rebuild(there)
    there.roll_back()
    assert snapshot(there) == before


def test_a_package_that_was_removed_stays_removed(there: Workshop) -> None:
    there.remove("other")
    (there.path / DATABASE).unlink()
    rebuilt = _rebuild(there)
    assert [name for name, _ in rebuilt.packages] == ["tool"]
    there.roll_back()
    assert there.read("srv/other/a") == "a"


def test_a_rolled_back_version_is_known_as_the_older_one(there: Workshop) -> None:
    there.roll_back()
    (there.path / DATABASE).unlink()
    rebuilt = _rebuild(there)
    assert [(name, str(version)) for name, version in rebuilt.packages] == [("other", "3"), ("tool", "1")]


def test_the_old_database_is_kept(there: Workshop) -> None:
    _scramble(there.path / DATABASE)
    damaged = (there.path / DATABASE).read_bytes()
    rebuilt = _rebuild(there)
    assert rebuilt.kept == "var/lib/intact/private/installed.db.old"
    assert (there.path / rebuilt.kept).read_bytes() == damaged
    assert _rebuild(there).kept is not None
    (there.path / DATABASE).unlink()
    assert _rebuild(there).kept is None


def test_a_sound_database_may_be_made_anew_too(there: Workshop) -> None:
    rows, files = _rows(there), _files(there)
    _rebuild(there)
    assert (_rows(there), _files(there)) == (rows, files)


def test_a_damaged_manifest_is_left_out_and_told(there: Workshop) -> None:
    (there.path / DATABASE).unlink()
    manifests = there.path / "var/lib/intact/private/manifests"
    for path in manifests.iterdir():
        text = path.read_text()
        if 'name = "other"' in text:
            path.write_text(text.replace("x = 1", "x = 2").replace("other", "oTher", 1))
    rebuilt = _rebuild(there)
    assert [name for name, _ in rebuilt.packages] == ["tool"]
    assert any("is damaged, and was left out" in one for one in rebuilt.doubts)
    assert "other: no manifest of it is left; install its bundle again" in rebuilt.doubts


def test_downgrades_are_still_refused(there: Workshop) -> None:
    (there.path / DATABASE).unlink()
    _rebuild(there)
    with pytest.raises(Exception, match="is older than 2, which was here before"):
        there.install(FIRST)
    with there.opened() as root, root.database() as database:
        assert database.seen("tool") == Seen("tool", Version("2"))


def test_edited_files_are_known_as_edited(there: Workshop) -> None:
    there.write("usr/bin/tool", "mine", 0o755)
    (there.path / DATABASE).unlink()
    _rebuild(there)
    with there.opened() as root:
        found = verify(root, [], Environment()).differences
    assert [(one.location, one.what) for one in found] == [
        ("/usr/bin/tool", "mode"),
        ("/usr/bin/tool", "content"),
    ]
    there.remove("other", "tool")
    assert there.read("usr/bin/tool") == "mine"


def test_an_interrupted_transaction_is_finished_afterwards(workshop: Workshop) -> None:
    workshop.install(FIRST)
    workshop.bundle(SECOND)
    reference = workshop.copy("reference")
    disk = FaultyDisk(reference.path)
    reference.install(SECOND, disk=disk)
    disk.close()
    renames = [number for number, (verb, _) in enumerate(disk.steps, 1) if verb == "exchange"]
    crashed = FaultyDisk(workshop.path, crash_at(renames[2]))
    with pytest.raises(Crash):
        workshop.install(SECOND, disk=crashed)
    crashed.close()
    (workshop.path / DATABASE).write_bytes(b"damaged")
    rebuilt = _rebuild(workshop)
    assert [(name, str(version)) for name, version in rebuilt.packages] == [("tool", "1")]
    recover(workshop)
    assert snapshot(workshop) == snapshot(reference)
    with workshop.opened() as root, root.database() as database:
        package = database.package("tool")
    assert package is not None
    assert str(package.identity.version) == "2"


def test_a_crash_at_any_step_leaves_the_old_database_or_the_new_one(there: Workshop) -> None:
    _scramble(there.path / DATABASE)
    step, crashed, outcomes = 1, True, []
    while crashed:
        one = there.copy("crashed")
        disk = FaultyDisk(one.path, crash_at(step))
        try:
            _rebuild(one, disk)
        except Crash:
            pass
        else:
            crashed = False
        finally:
            disk.close()
        assert (one.path / DATABASE).exists()
        try:
            outcomes.append(len(_rows(one)))
        except DatabaseDamaged:
            outcomes.append(0)
        assert [name for name, _ in _rebuild(one).packages] == ["other", "tool"]
        step += 1
    assert outcomes == sorted(outcomes)
    assert set(outcomes) == {0, 2}


def test_a_root_without_packages_has_nothing_to_be_made_anew(workshop: Workshop) -> None:
    rebuilt = _rebuild(workshop)
    assert (rebuilt.packages, rebuilt.transactions, rebuilt.doubts, rebuilt.kept) == ((), (), (), None)
