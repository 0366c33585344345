"""What installing, upgrading and removing do to a root."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from intact.model.errors import (
    Conflict,
    RootUnusable,
    UnknownPackage,
    Untrusted,
    WrongArchitecture,
)
from intact.operations.root import Environment, open_root
from intact.operations.verify import verify
from support.workshop import Package, Workshop, directory, file, hardlink, snapshot, symlink

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root to give files away")


def _versions(workshop: Workshop) -> dict[str, str]:
    with workshop.opened() as root, root.database() as database:
        return {one.identity.name: str(one.identity.version) for one in database.packages()}


def test_a_new_tree_is_one_action(workshop: Workshop) -> None:
    receipt = workshop.install(Package("a", "1", file("opt/a/x", "x"), file("opt/a/y/z", "z")))
    assert [type(action).__name__ for action in receipt.plan.actions] == ["Create"]
    assert workshop.read("opt/a/y/z") == "z"


def test_installing_again_changes_nothing(workshop: Workshop) -> None:
    package = Package("a", "1", file("opt/a", "x"))
    workshop.install(package)
    before = (workshop.path / "opt/a").stat().st_ino
    receipt = workshop.install(package)
    assert not receipt.changed
    assert receipt.transaction is None
    assert (workshop.path / "opt/a").stat().st_ino == before


def test_an_upgrade_leaves_an_unchanged_file_alone_with_its_inode(workshop: Workshop) -> None:
    workshop.install(Package("a", "1", file("opt/same", "same"), file("opt/other", "1")))
    inode = (workshop.path / "opt/same").stat().st_ino
    receipt = workshop.install(Package("a", "2", file("opt/same", "same"), file("opt/other", "2")))
    assert (workshop.path / "opt/same").stat().st_ino == inode
    assert len(receipt.plan.actions) == 1


def test_an_upgrade_gives_a_changed_file_a_new_inode_and_keeps_the_old_one(workshop: Workshop) -> None:
    workshop.install(Package("a", "1", file("opt/a", "old")))
    with (workshop.path / "opt/a").open() as running:
        workshop.install(Package("a", "2", file("opt/a", "new")))
        assert running.read() == "old"
    assert workshop.read("opt/a") == "new"


def test_a_missing_file_comes_back_with_the_same_version(workshop: Workshop) -> None:
    package = Package("a", "1", file("opt/a", "x"), file("opt/b", "y"))
    workshop.install(package)
    (workshop.path / "opt/b").unlink()
    assert workshop.install(package).changed
    assert workshop.read("opt/b") == "y"


def test_a_dry_run_changes_nothing_and_has_the_digest_of_the_real_plan(workshop: Workshop) -> None:
    package = Package("a", "1", file("opt/a", "x"))
    planned = workshop.install(package, dry_run=True)
    assert snapshot(workshop) == {}
    assert not _versions(workshop)
    assert workshop.install(package).plan_digest == planned.plan_digest


def test_several_bundles_are_one_transaction_and_share_a_new_directory(workshop: Workshop) -> None:
    one = Package("one", "1", file("opt/shared/one", "1"), requires=["two"])
    two = Package("two", "1", file("opt/shared/two", "2"), requires=["one"])
    receipt = workshop.install(one, two)
    assert [type(action).__name__ for action in receipt.plan.actions] == ["Create"]
    workshop.remove("one", assume_installed=("*",))
    assert workshop.read("opt/shared/two") == "2"


def test_removing_the_last_owner_removes_the_directory(workshop: Workshop) -> None:
    workshop.install(Package("a", "1", file("opt/deep/er/a", "x")))
    workshop.remove("a")
    assert snapshot(workshop) == {}


def test_removing_keeps_what_others_put_into_a_directory(workshop: Workshop) -> None:
    workshop.install(Package("a", "1", file("opt/deep/a", "x")))
    workshop.write("opt/deep/mine", "mine")
    receipt = workshop.remove("a")
    assert workshop.read("opt/deep/mine") == "mine"
    assert not (workshop.path / "opt/deep/a").exists()
    assert any("/opt/deep" in line for line in receipt.told)


def test_removing_keeps_a_file_that_was_changed_since(workshop: Workshop) -> None:
    workshop.install(Package("a", "1", file("opt/a", "x"), file("opt/b", "y")))
    workshop.write("opt/a", "mine")
    receipt = workshop.remove("a")
    assert workshop.read("opt/a") == "mine"
    assert any("/opt/a" in note for note in receipt.plan.notes)


def test_an_upgrade_replaces_a_changed_file_and_keeps_it_in_the_history(workshop: Workshop) -> None:
    workshop.install(Package("a", "1", file("opt/a", "one")))
    workshop.write("opt/a", "mine")
    receipt = workshop.install(Package("a", "2", file("opt/a", "two")))
    assert workshop.read("opt/a") == "two"
    assert any("is kept" in note for note in receipt.plan.notes)
    workshop.roll_back()
    assert workshop.read("opt/a") == "mine"


def test_a_changed_file_outlives_the_history_that_it_was_kept_in(workshop: Workshop) -> None:
    workshop.install(Package("a", "1", file("opt/a", "one")))
    workshop.write("opt/a", "mine")
    workshop.install(Package("a", "2", file("opt/a", "2")))
    for version in range(3, 15):
        workshop.install(Package("a", str(version), file("opt/a", str(version))))
    kept = workshop.path / "var/lib/intact/private/kept/2/opt/a"
    assert kept.read_text() == "mine"
    with workshop.opened() as root, root.database() as database:
        assert [one.id for one in database.history() if one.retained] == list(range(14, 4, -1))


def test_a_file_moves_between_packages_in_one_transaction(workshop: Workshop) -> None:
    workshop.install(Package("old", "1", file("opt/moving", "x"), file("opt/old", "o")))
    workshop.install(
        Package("old", "2", file("opt/old", "o")),
        Package("new", "1", file("opt/moving", "x"), file("opt/new", "n")),
    )
    with workshop.opened() as root, root.database() as database:
        assert [one.location for one in database.entries("new")] == ["opt", "opt/moving", "opt/new"]
        assert [one.location for one in database.entries("old")] == ["opt", "opt/old"]
    workshop.remove("old")
    assert workshop.read("opt/moving") == "x"


def test_a_package_takes_files_over_from_one_that_it_replaces(workshop: Workshop) -> None:
    workshop.install(Package("old", "1", file("opt/tool", "old"), file("opt/rest", "r")))
    workshop.install(Package("new", "1", file("opt/tool", "new"), replaces=["old (<< 2)"]))
    assert workshop.read("opt/tool") == "new"
    workshop.remove("old")
    assert workshop.read("opt/tool") == "new"
    workshop.roll_back()
    workshop.roll_back(2)
    assert workshop.read("opt/tool") == "old"
    assert _versions(workshop) == {"old": "1"}


def test_a_directory_link_of_the_root_is_followed(workshop: Workshop) -> None:
    (workshop.path / "usr/lib").mkdir(parents=True)
    (workshop.path / "lib").symlink_to("usr/lib")
    workshop.install(Package("a", "1", directory("lib"), file("lib/x/liba.so", "x")))
    assert workshop.read("usr/lib/x/liba.so") == "x"
    assert (workshop.path / "lib").is_symlink()
    with pytest.raises(Conflict, match="belongs to a"):
        workshop.install(Package("b", "1", file("usr/lib/x/liba.so", "y")))
    workshop.remove("a")
    assert sorted(path.name for path in (workshop.path / "usr").iterdir()) == ["lib"]


def test_a_link_that_comes_with_another_bundle_is_followed(workshop: Workshop) -> None:
    base = Package("base", "1", symlink("lib", "usr/lib"), directory("usr/lib"))
    workshop.install(base, Package("a", "1", file("lib/liba.so", "x")))
    assert workshop.read("usr/lib/liba.so") == "x"


@needs_root
def test_a_link_that_others_can_change_is_not_followed(workshop: Workshop) -> None:
    (workshop.path / "trap").mkdir()
    (workshop.path / "shared").mkdir()
    (workshop.path / "shared").chmod(0o777)
    (workshop.path / "shared/way").symlink_to("../trap")
    with pytest.raises(Conflict, match="not followed"):
        workshop.install(Package("a", "1", file("shared/way/x", "x")))
    assert not list((workshop.path / "trap").iterdir())


TRANSITIONS = {
    "file to directory": (file("opt/x", "f"), file("opt/x/inner", "i")),
    "directory to file": (file("opt/x/inner", "i"), file("opt/x", "f")),
    "link to directory": (symlink("opt/x", "elsewhere"), file("opt/x/inner", "i")),
    "directory to link": (file("opt/x/inner", "i"), symlink("opt/x", "elsewhere")),
    "file to link": (file("opt/x", "f"), symlink("opt/x", "elsewhere")),
    "link to file": (symlink("opt/x", "elsewhere"), file("opt/x", "f")),
    "link to other link": (symlink("opt/x", "elsewhere"), symlink("opt/x", "other")),
}


@pytest.mark.parametrize("name", TRANSITIONS)
def test_a_path_changes_its_type_and_back(name: str, workshop: Workshop) -> None:
    old, new = TRANSITIONS[name]
    workshop.install(Package("a", "1", old))
    first = snapshot(workshop)
    workshop.install(Package("a", "2", new))
    second = snapshot(workshop)
    assert first != second
    workshop.roll_back()
    assert snapshot(workshop) == first
    workshop.roll_back()
    assert snapshot(workshop) == second


def test_a_directory_with_somebodys_file_does_not_make_room(workshop: Workshop) -> None:
    workshop.install(Package("a", "1", file("opt/x/inner", "i")))
    workshop.write("opt/x/mine", "mine")
    before = snapshot(workshop)
    with pytest.raises(Conflict, match="/opt/x/mine"):
        workshop.install(Package("a", "2", file("opt/x", "f")))
    assert snapshot(workshop) == before


def test_hardlinks_stay_one_file_through_upgrade_and_rollback(workshop: Workshop) -> None:
    def inodes() -> set[int]:
        return {(workshop.path / "opt" / name).stat().st_ino for name in ("a", "b")}

    for version in "12":
        parts = (file("opt/a", version), hardlink("opt/b", "opt/a"))
        workshop.install(Package("a", version, *parts))
        assert len(inodes()) == 1
    workshop.roll_back()
    assert len(inodes()) == 1
    assert workshop.read("opt/b") == "1"


@needs_root
def test_owners_modes_and_set_id_bits_arrive_and_backups_lose_them(workshop: Workshop) -> None:
    workshop.install(Package("a", "1", file("opt/a", "one", 0o4755, owner="12")))
    status = (workshop.path / "opt/a").stat()
    assert (status.st_mode & 0o7777, status.st_uid, status.st_gid) == (0o4755, 12, 12)
    workshop.install(Package("a", "2", file("opt/a", "two", 0o755)))
    private = workshop.path / "var/lib/intact/private"
    assert not [path for path in private.rglob("*") if path.lstat().st_mode & 0o6000]
    workshop.roll_back()
    status = (workshop.path / "opt/a").stat()
    assert (status.st_mode & 0o7777, status.st_uid) == (0o4755, 12)
    assert not [path for path in private.rglob("*") if path.lstat().st_mode & 0o6000]


def test_a_mode_that_an_administrator_changed_is_kept(workshop: Workshop) -> None:
    workshop.install(Package("a", "1", file("opt/a", "one", 0o755), directory("opt/d", 0o755)))
    (workshop.path / "opt/a").chmod(0o700)
    (workshop.path / "opt/d").chmod(0o700)
    receipt = workshop.install(Package("a", "2", file("opt/a", "two", 0o755), directory("opt/d", 0o750)))
    assert (workshop.path / "opt/a").stat().st_mode & 0o7777 == 0o700
    assert (workshop.path / "opt/d").stat().st_mode & 0o7777 == 0o700
    assert len([note for note in receipt.plan.notes if "is kept" in note]) == 2


REFUSALS = {
    "a file of another package": (
        (Package("other", "1", file("opt/a", "other")),),
        Package("a", "1", file("opt/a", "x")),
        "belongs to other",
    ),
    "a missing dependency": ((), Package("a", "1", requires=["b (>= 2)"]), "requires b"),
    "a conflict": ((Package("b", "1"),), Package("a", "1", conflicts=["b"]), "conflicts with b"),
    "a conflict declared by the other side": (
        (Package("b", "1", conflicts=["mail"]),),
        Package("a", "1", provides=["mail"]),
        "conflicts with mail",
    ),
    "a downgrade": ((Package("a", "2"),), Package("a", "1"), "--allow-downgrade"),
    "too old to upgrade from": ((Package("a", "1"),), Package("a", "3", upgrade_from=["2"]), "in between"),
    "an unknown user": ((), Package("a", "1", file("opt/a", "x", owner="nosuchuser")), "no user nosuchuser"),
}


@pytest.mark.parametrize("name", REFUSALS)
def test_what_does_not_fit_is_refused_and_the_root_is_as_it_was(name: str, workshop: Workshop) -> None:
    before, package, expected = REFUSALS[name]
    for one in before:
        workshop.install(one)
    seen, versions = snapshot(workshop), _versions(workshop)
    with pytest.raises(Conflict) as caught:
        workshop.install(package)
    assert expected in str(caught.value)
    assert caught.value.exit_code == 5
    assert (snapshot(workshop), _versions(workshop)) == (seen, versions)


def test_all_problems_are_named_at_once(workshop: Workshop) -> None:
    workshop.write("opt/mine", "mine")
    workshop.install(Package("other", "1", file("opt/other", "o")))
    package = Package("a", "1", file("opt/mine", "x"), file("opt/other", "x"), requires=["b", "c"])
    with pytest.raises(Conflict) as caught:
        workshop.install(package)
    assert len(caught.value.details) == 4


def test_an_unowned_file_is_replaced_only_on_demand_and_comes_back(workshop: Workshop) -> None:
    workshop.write("opt/mine", "mine")
    package = Package("a", "1", file("opt/mine", "theirs"))
    with pytest.raises(Conflict, match="--overwrite /opt/mine"):
        workshop.install(package)
    workshop.install(package, overwrite=("/opt/*",))
    assert workshop.read("opt/mine") == "theirs"
    workshop.roll_back()
    assert workshop.read("opt/mine") == "mine"


def test_an_unowned_file_with_the_same_content_is_adopted(workshop: Workshop) -> None:
    workshop.write("opt/a", "x")
    inode = (workshop.path / "opt/a").stat().st_ino
    workshop.install(Package("a", "1", file("opt/a", "x")))
    assert (workshop.path / "opt/a").stat().st_ino == inode


def test_a_device_in_the_way_is_refused(workshop: Workshop) -> None:
    (workshop.path / "opt").mkdir()
    os.mkfifo(workshop.path / "opt/a")
    with pytest.raises(Conflict, match="pipe"):
        workshop.install(Package("a", "1", file("opt/a", "x")))


def test_removing_what_others_need_is_refused(workshop: Workshop) -> None:
    workshop.install(Package("lib", "1"), Package("app", "1", requires=["lib"]))
    with pytest.raises(Conflict, match="app 1 requires lib"):
        workshop.remove("lib")
    workshop.remove("lib", "app")
    assert _versions(workshop) == {}


def test_an_unknown_package_is_named_with_what_may_be_meant(workshop: Workshop) -> None:
    workshop.install(Package("hello", "1"))
    with pytest.raises(UnknownPackage, match="did you mean hello"):
        workshop.remove("helo")


def test_the_highest_version_is_remembered_after_removal(workshop: Workshop) -> None:
    workshop.install(Package("a", "2"))
    workshop.remove("a")
    with pytest.raises(Conflict, match="older than 2"):
        workshop.install(Package("a", "1"))
    workshop.install(Package("a", "1"), allow_downgrade=True)


def test_an_unsigned_bundle_needs_a_word_each_time(workshop: Workshop) -> None:
    with pytest.raises(Untrusted, match="not signed"):
        workshop.install(Package("a", "1"), allow_unsigned=False)
    assert not (workshop.path / "var").exists()


def test_another_architecture_is_refused(workshop: Workshop) -> None:
    package = Package("a", "1", architecture="vax")
    with pytest.raises(WrongArchitecture, match="built for vax"):
        workshop.install(package)
    workshop.install(package, architecture="vax")


def test_the_same_package_twice_is_refused(workshop: Workshop) -> None:
    with pytest.raises(Conflict, match="more than once"):
        workshop.install(Package("a", "1"), Package("a", "2"))


def test_a_root_that_does_not_exist_is_named_with_the_remedy(tmp_path: Path) -> None:
    with pytest.raises(RootUnusable) as caught, open_root(str(tmp_path / "nowhere")):
        pass
    assert "mkdir -p" in (caught.value.remedy or "")


def test_a_running_program_keeps_its_files_through_an_upgrade(workshop: Workshop) -> None:
    program = (
        "import sys, time\nsys.path.insert(0, sys.argv[1])\nimport library\nwhile True:\n"
        "    print(library.VERSION, open(__file__).read().count(chr(35)), flush=True)\n    time.sleep(0.01)\n"
    )
    workshop.install(
        Package("a", "1", file("opt/program.py", program), file("opt/library.py", "VERSION = 1\n"))
    )
    command = [sys.executable, "-B", str(workshop.path / "opt/program.py"), str(workshop.path / "opt")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as running:
        assert running.stdout is not None
        assert running.stdout.readline() == "1 0\n"
        workshop.install(
            Package("a", "2", file("opt/program.py", program + "#"), file("opt/library.py", "VERSION = 2\n"))
        )
        deadline = time.monotonic() + 10
        while running.stdout.readline() != "1 1\n":
            assert time.monotonic() < deadline
        assert running.poll() is None
        running.kill()
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as fresh:
        assert fresh.stdout is not None
        assert fresh.stdout.readline() == "2 1\n"
        fresh.kill()


def test_verify_finds_every_kind_of_difference(workshop: Workshop) -> None:
    workshop.install(
        Package(
            "a",
            "1",
            file("opt/content", "1234"),
            file("opt/longer", "1"),
            file("opt/mode", "x"),
            file("opt/missing", "x"),
            file("opt/type", "x"),
            file("opt/config", "x", config=True),
            symlink("opt/link", "there"),
        )
    )
    (workshop.path / "opt/mode").chmod(0o600)
    (workshop.path / "opt/missing").unlink()
    (workshop.path / "opt/type").unlink()
    (workshop.path / "opt/type").mkdir()
    (workshop.path / "opt/link").unlink()
    (workshop.path / "opt/link").symlink_to("elsewhere")
    for name, text in (("content", "4321"), ("longer", "12"), ("config", "mine")):
        workshop.write(f"opt/{name}", text)
    with workshop.opened() as root:
        found = verify(root, ["a"], Environment())
    assert {(one.location, one.what, one.is_config) for one in found.differences} == {
        ("/opt/content", "content", False),
        ("/opt/longer", "content", False),
        ("/opt/mode", "mode", False),
        ("/opt/missing", "missing", False),
        ("/opt/type", "type", False),
        ("/opt/link", "target", False),
        ("/opt/config", "content", True),
    }
    assert not found.is_clean
