"""An upgrade costs what changed: what both versions say alike is neither looked at nor touched, and nothing else is forgotten for it."""

from collections.abc import Callable

import pytest

from intact.bundle.read import open_bundle
from intact.model.errors import Conflict
from intact.operations.install import install
from intact.operations.prepare import InstallOptions
from intact.operations.root import Environment
from intact.operations.verify import verify
from support.situations import digest
from support.workshop import Package, Part, Workshop, file, snapshot, symlink

SAME = (file("opt/a/same", "same"), file("opt/b/same", "same"), symlink("opt/link", "a/same"))


def _package(version: str, *parts: Part) -> Package:
    return Package("app", version, *SAME, file("opt/version", version), *parts)


def _differences(workshop: Workshop) -> list[str]:
    with workshop.opened() as root:
        return [f"{one.location} {one.what}" for one in verify(root, [], Environment()).differences]


def test_what_stays_is_left_as_a_person_made_it(workshop: Workshop) -> None:
    workshop.install(_package("1"))
    workshop.write("opt/a/same", "mine")
    (workshop.path / "opt/b/same").unlink()
    receipt = workshop.install(_package("2"))
    assert [action.path for action in receipt.plan.actions] == ["opt/version"]
    assert (workshop.read("opt/version"), workshop.read("opt/a/same")) == ("2", "mine")
    assert not (workshop.path / "opt/b/same").exists()
    assert _differences(workshop) == ["/opt/a/same content", "/opt/b/same missing"]


def test_installing_the_same_version_again_brings_everything_back(workshop: Workshop) -> None:
    workshop.install(_package("1"))
    workshop.install(_package("2"))
    workshop.write("opt/a/same", "mine")
    (workshop.path / "opt/b/same").unlink()
    receipt = workshop.install(_package("2"))
    assert any("opt/a/same: changed here" in note for note in receipt.plan.notes)
    assert _differences(workshop) == []


def test_a_version_with_the_same_files_changes_no_file(workshop: Workshop) -> None:
    first, second = Package("app", "1", *SAME), Package("app", "2", *SAME)
    workshop.install(first)
    before = snapshot(workshop)
    receipt = workshop.install(second)
    assert (receipt.changed, receipt.plan.actions) == (True, ())
    assert snapshot(workshop) == before
    with workshop.opened() as root, root.database() as database:
        assert [str(one.identity.version) for one in database.packages()] == ["2"]
        assert len(database.entries("app")) == len({*"ab"}) + 4
    workshop.roll_back()
    with workshop.opened() as root, root.database() as database:
        assert [str(one.identity.version) for one in database.packages()] == ["1"]


def test_several_upgrades_are_rolled_back_at_once(workshop: Workshop) -> None:
    """Each has noted only what it changed; the oldest of them has the last word about a path."""
    workshop.install(_package("1", file("opt/x", "1"), file("opt/gone", "g")))
    before, rows = snapshot(workshop), _rows(workshop)
    workshop.install(_package("2", file("opt/x", "2"), file("opt/new", "n")))
    assert not (workshop.path / "opt/gone").exists()
    workshop.install(_package("3", file("opt/x", "2"), file("opt/new", "other"), file("opt/late/l", "l")))
    workshop.install(_package("4", file("opt/x", "1"), file("opt/gone", "g")))
    workshop.roll_back(2)
    assert snapshot(workshop) == before
    assert _rows(workshop) == rows
    assert _differences(workshop) == []


def test_an_upgrade_is_rolled_back_after_its_package_was_removed_and_came_again(workshop: Workshop) -> None:
    workshop.install(_package("1", file("opt/x", "1")))
    before, rows = snapshot(workshop), _rows(workshop)
    workshop.install(_package("2", file("opt/x", "2")))
    workshop.remove("app")
    workshop.install(_package("3", file("opt/x", "3")))
    workshop.roll_back(2)
    assert snapshot(workshop) == before
    assert _rows(workshop) == rows


def _rows(workshop: Workshop) -> list[tuple[object, ...]]:
    with workshop.opened() as root, root.database() as database:
        return [(one.location, one.kind, one.mode, one.digest, one.inode) for one in database.entries("app")]


def test_a_file_that_another_package_took_over_is_not_forgotten(workshop: Workshop) -> None:
    workshop.install(_package("1", file("opt/tool", "old")))
    workshop.install(Package("new", "1", file("opt/tool", "new"), replaces=["app"]))
    with pytest.raises(Conflict) as refused:
        workshop.install(_package("2", file("opt/tool", "old")))
    assert any("/opt/tool: belongs to new" in line for line in refused.value.details)
    workshop.install(_package("3"))
    assert workshop.read("opt/tool") == "new"


def test_a_link_that_arrives_with_another_package_is_followed_by_what_stays(workshop: Workshop) -> None:
    """Two upgrades at once, and one of them turns a directory into a link: where the other's paths lead is looked up anew."""
    workshop.install(
        Package("base", "1", file("usr/lib/base", "1")), Package("app", "1", file("lib/app", "1"))
    )
    moving = Package("base", "2", file("usr/lib/base", "1"), symlink("lib", "usr/lib"))
    with pytest.raises(Conflict):  # the directory holds a file of the other package, which would be lost
        workshop.install(moving)
    receipt = workshop.install(moving, Package("app", "2", file("lib/app", "1")))
    assert receipt.changed
    assert workshop.read("usr/lib/app") == "1"
    assert (workshop.path / "lib").is_symlink()
    assert _differences(workshop) == []


@pytest.mark.parametrize("replaced", [[], ["app"]])
def test_what_stays_of_one_package_is_in_the_way_of_another_that_comes_with_its_upgrade(
    workshop: Workshop, replaced: list[str]
) -> None:
    workshop.install(_package("1"))
    before = snapshot(workshop)
    with pytest.raises(Conflict) as refused:
        workshop.install(_package("2"), Package("new", "1", file("opt/a/same", "new"), replaces=replaced))
    assert any(line.startswith("/opt/a/same: ") for line in refused.value.details)
    assert snapshot(workshop) == before


def test_a_directory_that_stays_is_shared_with_a_package_that_comes_with_an_upgrade(
    workshop: Workshop,
) -> None:
    workshop.install(_package("1"))
    workshop.install(_package("2"), Package("new", "1", file("opt/a/new", "new")))
    workshop.remove("app")
    assert workshop.read("opt/a/new") == "new"
    workshop.remove("new")
    assert not (workshop.path / "opt").exists()


class _Clock:
    """Does something at its second look, which is after the bundles were read and before the lock is taken."""

    def __init__(self, meanwhile: Callable[[], object]) -> None:
        self._meanwhile = meanwhile
        self._looks = 0

    def __call__(self) -> int:
        self._looks += 1
        if self._looks == 2:
            self._meanwhile()
        return 1_700_000_000


def test_another_version_that_is_installed_meanwhile_is_not_taken_for_the_one_compared_with(
    workshop: Workshop,
) -> None:
    workshop.install(_package("1", file("opt/x", "same")))
    between, last = _package("2", file("opt/x", "other")), _package("3", file("opt/x", "same"))
    clock = _Clock(lambda: workshop.install(between))
    with open_bundle(workshop.bundle(last), "b") as bundle, workshop.opened() as root:
        install(root, [bundle], InstallOptions(allow_unsigned=True), Environment(clock=clock))
    assert (workshop.read("opt/x"), workshop.read("opt/version")) == ("same", "3")
    assert _differences(workshop) == []


def test_a_lost_or_altered_manifest_costs_time_only(workshop: Workshop) -> None:
    retained = workshop.path / "var/lib/intact/private/manifests"
    workshop.install(_package("1", file("opt/x", "1")))
    for path in retained.iterdir():  # as if it had brought the new content
        path.write_text(path.read_text().replace(digest("1"), digest("2")))
    workshop.install(_package("2", file("opt/x", "2")))
    assert (workshop.read("opt/x"), _differences(workshop)) == ("2", [])
    for path in retained.iterdir():
        path.unlink()
    workshop.install(_package("3", file("opt/x", "3")))
    assert (workshop.read("opt/x"), _differences(workshop)) == ("3", [])


@pytest.mark.parametrize(
    "own",
    [
        [file("etc/a.conf.pkg-new", "own")],
        [file("etc/a.conf.pkg-new", "own"), file("etc/a.conf", "conf", config=True)],
        [symlink("etc/a.pkg-new", "somewhere")],
        [file("etc/a.pkg-new/x", "own")],
    ],
    ids=["file", "file and configuration file", "link", "directory"],
)
def test_what_is_called_like_a_new_version_of_a_configuration_file_stays(
    workshop: Workshop, own: list[Part]
) -> None:
    workshop.install(_package("1", *own))
    before, rows = snapshot(workshop, links=False), [row[0] for row in _rows(workshop)]
    workshop.install(_package("2", *own))
    assert {str(part.entry.path) for part in own} <= snapshot(workshop).keys()
    assert [row[0] for row in _rows(workshop)] == rows
    workshop.install(_package("1", *own), allow_downgrade=True)
    assert snapshot(workshop, links=False) == before


def test_the_new_version_of_a_configuration_file_goes_when_the_next_upgrade_settles_it(
    workshop: Workshop,
) -> None:
    def package(version: str, text: str) -> Package:
        return _package(version, file("etc/app.conf", text, config=True))

    workshop.install(package("1", "1"))
    workshop.write("etc/app.conf", "mine")
    workshop.install(package("2", "2"))
    assert workshop.read("etc/app.conf.pkg-new") == "2"
    workshop.install(package("3", "2"))
    assert not (workshop.path / "etc/app.conf.pkg-new").exists()
    assert workshop.read("etc/app.conf") == "mine"
