"""What is missing or damaged comes back, from whoever still has it, and nothing of a person's is lost by it."""

import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from intact.bundle.read import open_bundle
from intact.model.errors import BundleRefused, UnknownPackage
from intact.operations.repairing import Repaired, RepairOptions, repair
from intact.operations.retaining import forget_history
from intact.operations.root import Environment
from intact.operations.verify import verify
from support.faulty_disk import Crash, FaultyDisk, crash_at
from support.weather import mirrored
from support.workshop import Package, Workshop, directory, file, hardlink, program, symlink

TOOL = Package(
    "tool",
    "1",
    program("usr/bin/tool", f"1 of {os.getpid()}"),  # no other process of this machine has it
    file("usr/share/tool/data", "data of one\n" * 50),
    file("usr/share/tool/secret", "secret", 0o640),
    file("usr/share/tool/twin", "twin"),
    hardlink("usr/share/tool/twin2", "usr/share/tool/twin"),
    symlink("usr/share/tool/link", "data"),
    directory("var/spool/tool", 0o1770),
    file("etc/tool.conf", "setting = 1\n", config=True),
    file("usr/bin/rights", "rights", 0o4755),
)
SECOND = Package("tool", "2", program("usr/bin/tool", "2"), file("usr/share/tool/data", "data of two\n"))
OTHER = Package("other", "1", file("opt/other/copy", "data of one\n" * 50))


@contextmanager
def running(*words: "str | Path") -> "Iterator[subprocess.Popen[bytes]]":
    process = subprocess.Popen(words, stdin=subprocess.DEVNULL)
    try:
        own = Path("/proc/self/exe").readlink()
        while Path(f"/proc/{process.pid}/exe").readlink() == own:
            time.sleep(0.001)
        yield process
    finally:
        process.kill()
        process.wait()


def repaired(workshop: Workshop, *names: str, bundles: tuple[Path, ...] = (), **options: bool) -> Repaired:
    opened = [open_bundle(one, one.name) for one in bundles]
    try:
        with workshop.opened() as root:
            return repair(root, names, opened, RepairOptions(**options), Environment("pkg repair"))
    finally:
        for one in opened:
            one.close()


def differences(workshop: Workshop) -> list[str]:
    with workshop.opened() as root:
        return [f"{one.location} {one.what}" for one in verify(root, (), Environment()).differences]


def forget(workshop: Workshop) -> None:
    with workshop.opened() as root:
        forget_history(root, 0, Environment())


def leftovers(workshop: Workshop) -> list[str]:
    private = workshop.path / "var/lib/intact/private"
    return sorted(
        one.name for one in private.iterdir() if one.name not in {"id", "lock", "manifests", "transactions"}
    )


DAMAGES: dict[str, Callable[[Path], object]] = {
    "a symlink that is gone": lambda root: (root / "usr/share/tool/link").unlink(),
    "a symlink that leads elsewhere": lambda root: _relink(root / "usr/share/tool/link"),
    "a directory that is gone": lambda root: (root / "var/spool/tool").rmdir(),
    "a mode": lambda root: (root / "usr/share/tool/secret").chmod(0o666),
    "a directory's mode": lambda root: (root / "var/spool/tool").chmod(0o777),
    "set-id bits": lambda root: (root / "usr/bin/rights").chmod(0o755),
    "one name of a file": lambda root: (root / "usr/share/tool/twin").unlink(),
    "the other name of a file": lambda root: (root / "usr/share/tool/twin2").unlink(),
    "a name that is another file now": lambda root: _broken_twin(root / "usr/share/tool/twin2"),
    "a name that is a copy now": lambda root: _copied_twin(root / "usr/share/tool/twin2"),
}


def _relink(path: Path) -> None:
    path.unlink()
    path.symlink_to("elsewhere")


def _copied_twin(path: Path) -> None:
    subprocess.run(["cp", "-p", path, path.with_name("copy")], check=True)
    path.with_name("copy").rename(path)


def _broken_twin(path: Path) -> None:
    path.unlink()
    path.write_text("else")


@pytest.mark.parametrize("name", DAMAGES)
def test_what_needs_no_content_comes_back(name: str, workshop: Workshop) -> None:
    workshop.install(TOOL)
    DAMAGES[name](workshop.path)
    assert differences(workshop) != []
    done = repaired(workshop)
    assert (done.left, differences(workshop)) == ((), [])
    assert done.receipt.changed
    share = workshop.path / "usr/share/tool"
    assert (share / "twin").stat().st_ino == (share / "twin2").stat().st_ino
    assert (workshop.path / "usr/bin/rights").stat().st_mode & 0o7777 == 0o4755
    assert leftovers(workshop) in ([], ["kept"])


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root: it changes owners")
def test_an_owner_comes_back(workshop: Workshop) -> None:
    workshop.install(TOOL)
    os.chown(workshop.path / "usr/share/tool/secret", 65534, 65534)
    os.chown(workshop.path / "usr/share/tool/link", 65534, 65534, follow_symlinks=False)
    assert len(differences(workshop)) == 2
    repaired(workshop)
    assert differences(workshop) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root: it gives capabilities")
def test_a_capability_that_nobody_gave_is_taken_away_and_another_attribute_is_not(workshop: Workshop) -> None:
    workshop.install(TOOL)
    tool = workshop.path / "usr/bin/tool"
    sys_admin = bytes.fromhex(
        "0100000200002000000000000000000000000000"
    )  # cap_sys_admin+ep, VFS_CAP_REVISION_2
    try:
        os.setxattr(tool, "security.capability", sys_admin)
        os.setxattr(tool, "trusted.remark", b"mine")
    except OSError:
        pytest.skip("this filesystem has no such attributes")
    assert differences(workshop) == ["/usr/bin/tool rights"]
    assert repaired(workshop).left == ()
    assert differences(workshop) == []
    assert "security.capability" not in os.listxattr(tool)
    os.setxattr(tool, "trusted.remark", b"mine")
    assert (differences(workshop), repaired(workshop).receipt.changed) == ([], False)


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root: it gives capabilities")
def test_a_capability_among_very_many_files_is_seen_too(workshop: Workshop) -> None:
    """So many that several processes look at them."""
    workshop.install(Package("many", "1", *(file(f"opt/many/{one:04}", "x") for one in range(2100))))
    one = workshop.path / "opt/many/1234"
    os.setxattr(one, "security.capability", bytes.fromhex("0100000200002000000000000000000000000000"))
    assert differences(workshop) == ["/opt/many/1234 rights"]
    assert repaired(workshop).left == ()
    assert differences(workshop) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to mount")
def test_names_that_could_only_be_copies_are_no_difference(fast_path: Path) -> None:
    with mirrored(fast_path / "mirror", "--no-flags", "--no-links") as top:
        there = Workshop(top / "workshop")
        there.install(TOOL)
        assert (differences(there), repaired(there).receipt.changed) == ([], False)


def test_content_comes_from_the_history_first(workshop: Workshop) -> None:
    workshop.install(OTHER)
    bundle = workshop.bundle(TOOL)
    workshop.install(TOOL)
    data = workshop.path / "usr/share/tool/data"
    data.write_text("damaged")
    repaired(workshop)  # from /opt/other/copy; from now on nothing of it is in the history
    workshop.install(SECOND)
    workshop.install(TOOL, allow_downgrade=True)
    with data.open() as opened:
        data.unlink()
        done = repaired(workshop, bundles=(bundle,), allow_unsigned=True)
        assert opened.read(4) == "data"
    assert done.sources == (("/usr/share/tool/data", "the backups of transaction 4"),)
    assert differences(workshop) == []


def test_then_from_another_file_of_the_root(workshop: Workshop) -> None:
    workshop.install(TOOL, OTHER)
    (workshop.path / "usr/share/tool/data").write_text("damaged")
    done = repaired(workshop, bundles=(workshop.bundle(TOOL),), allow_unsigned=True)
    assert done.sources == (("/usr/share/tool/data", "/opt/other/copy"),)
    assert (workshop.path / "opt/other/copy").stat().st_nlink == 1, "a copy, no second name"


def test_then_from_a_bundle(workshop: Workshop) -> None:
    workshop.install(TOOL)
    data = workshop.path / "usr/share/tool/data"
    with data.open():
        data.unlink()
        done = repaired(workshop, bundles=(workshop.bundle(TOOL),), allow_unsigned=True)
    assert done.sources == (("/usr/share/tool/data", workshop.bundle(TOOL).name),)
    assert (differences(workshop), leftovers(workshop)) == ([], [])


def test_a_bundle_of_another_version_serves_where_the_content_is_the_same(workshop: Workshop) -> None:
    workshop.install(TOOL)
    (workshop.path / "usr/share/tool/data").unlink()
    later = Package("tool", "9", file("elsewhere", "data of one\n" * 50))
    done = repaired(workshop, bundles=(workshop.bundle(later),), allow_unsigned=True)
    assert (done.left, differences(workshop)) == ((), [])
    with workshop.opened() as root, root.database() as database:
        assert str(database.package("tool").identity.version) == "1"  # type: ignore[union-attr]
        assert str(database.seen("tool").version) == "1"  # type: ignore[union-attr]


def test_then_from_a_process_that_runs_it(workshop: Workshop) -> None:
    workshop.install(TOOL)
    tool = workshop.path / "usr/bin/tool"
    with running(tool, "1000") as process:
        tool.unlink()
        done = repaired(workshop)
    assert done.sources == (("/usr/bin/tool", f"process {process.pid} (exe)"),)
    assert (differences(workshop), leftovers(workshop)) == ([], [])


def test_a_process_that_has_another_content_is_no_source(workshop: Workshop) -> None:
    """Same name, same size, other bytes: what is read decides."""
    workshop.install(TOOL)
    data = workshop.path / "usr/share/tool/data"
    size = data.stat().st_size
    data.unlink()
    data.write_text("x" * size)
    with data.open():
        data.unlink()
        done = repaired(workshop)
    assert [line.partition(":")[0] for line in done.left] == ["/usr/share/tool/data"]
    assert not data.exists()
    assert leftovers(workshop) == []


def test_a_damaged_backup_is_passed_over(workshop: Workshop) -> None:
    workshop.install(TOOL)
    workshop.install(SECOND)
    workshop.install(TOOL, allow_downgrade=True)
    for slot in (workshop.path / "var/lib/intact/private/transactions/2/slots").iterdir():
        if slot.is_file() and slot.read_text(errors="replace").startswith("data"):
            slot.write_text("x" * slot.stat().st_size)
    (workshop.path / "usr/share/tool/data").unlink()
    done = repaired(workshop)
    assert len(done.left) == 1
    done = repaired(workshop, bundles=(workshop.bundle(TOOL),), allow_unsigned=True)
    assert done.sources == (("/usr/share/tool/data", workshop.bundle(TOOL).name),)


def test_what_nobody_has_is_told_and_the_rest_is_repaired(workshop: Workshop) -> None:
    workshop.install(TOOL)
    forget(workshop)
    shutil.rmtree(workshop.path / "usr/share/tool")
    done = repaired(workshop)
    assert [line.partition(":")[0] for line in done.left] == [
        "/usr/share/tool/data",
        "/usr/share/tool/secret",
        "/usr/share/tool/twin",
        "/usr/share/tool/twin2",
    ]
    assert "--from the one of tool 1" in done.left[0]
    assert (workshop.path / "usr/share/tool/link").is_symlink()
    assert len(differences(workshop)) == 4


@pytest.mark.parametrize(("first", "second"), [("opt/tool/one", "usr/two"), ("usr/one", "opt/tool/two")])
def test_below_a_directory_that_others_could_exchange_nothing_is_repaired_and_the_rest_is(
    first: str, second: str, workshop: Workshop
) -> None:
    linked = Package("linked", "1", file(first, "names"), hardlink(second, first))
    workshop.install(TOOL, linked)
    for name in ("usr/share/tool/data", first, second):
        (workshop.path / name).unlink()
    (workshop.path / "opt/tool").chmod(0o777)
    bundles = tuple(map(workshop.bundle, (TOOL, linked)))
    (told,) = repaired(workshop, bundles=bundles, allow_unsigned=True).left
    assert told.startswith("/opt/tool: every user may write to it")
    assert told.endswith(
        f"then say `pkg repair` again. Not repaired for that: /{min(first, second)}, /{max(first, second)}"
    )
    missing = [f"/{one} missing" for one in sorted((first, second))]
    assert differences(workshop) == missing  # the directory's mode was repaired
    done = repaired(workshop, bundles=bundles, allow_unsigned=True)
    assert (done.left, differences(workshop)) == ((), [])
    assert (workshop.path / first).samefile(workshop.path / second)


def test_of_a_file_with_a_name_in_an_open_directory_no_name_is_repaired_alone(workshop: Workshop) -> None:
    linked = Package("linked", "1", file("usr/one", "names"), hardlink("opt/tool/two", "usr/one"))
    workshop.install(linked)
    (workshop.path / "usr/one").unlink()
    (workshop.path / "opt/tool").chmod(0o777)
    bundles = (workshop.bundle(linked),)
    assert len(repaired(workshop, bundles=bundles, allow_unsigned=True).left) == 1
    assert repaired(workshop, bundles=bundles, allow_unsigned=True).left == ()
    assert (workshop.path / "usr/one").samefile(workshop.path / "opt/tool/two")


def test_a_persons_file_in_the_place_is_kept(workshop: Workshop) -> None:
    workshop.install(TOOL)
    link = workshop.path / "usr/share/tool/link"
    link.unlink()
    link.write_text("my notes")
    repaired(workshop)
    assert link.is_symlink()
    workshop.roll_back()
    assert link.read_text() == "my notes"
    repaired(workshop)
    forget(workshop)
    kept = [
        one.read_text() for one in (workshop.path / "var/lib/intact/private/kept").rglob("*") if one.is_file()
    ]
    assert "my notes" in kept


def test_a_directory_with_something_in_it_is_no_place_for_a_file(workshop: Workshop) -> None:
    workshop.install(TOOL, OTHER)
    data = workshop.path / "usr/share/tool/data"
    data.unlink()
    (data / "mine").mkdir(parents=True)
    done = repaired(workshop)
    assert done.left == (
        "/usr/share/tool/data: a directory stands there, with something in it; move it away first",
    )
    assert (data / "mine").is_dir()
    (data / "mine").rmdir()
    assert repaired(workshop).left == ()
    assert differences(workshop) == []


@pytest.mark.parametrize("dry_run", [True, False])
def test_a_link_in_the_place_of_a_directory_is_told_and_the_rest_is_repaired(
    *, dry_run: bool, workshop: Workshop
) -> None:
    workshop.install(TOOL)
    share = workshop.path / "usr/share/tool"
    share.rename(share.with_name("elsewhere"))
    share.symlink_to("elsewhere")
    (workshop.path / "usr/bin/rights").unlink()
    found = differences(workshop)
    assert "/usr/share/tool/data unreachable" in found
    assert not [one for one in found if one.startswith("/usr/share/tool/") and one.endswith("missing")]
    done = repaired(workshop, dry_run=dry_run, bundles=(workshop.bundle(TOOL),), allow_unsigned=True)
    assert len(done.receipt.plan.actions) == 1
    (told,) = done.left
    assert told.startswith("/usr/share/tool: a link to elsewhere stands where the directory was")
    assert (share / "data").read_text().startswith("data of one")
    assert (workshop.path / "usr/bin/rights").exists() is not dry_run


def test_a_file_in_the_place_of_a_directory_gives_way_where_a_package_has_the_directory(
    workshop: Workshop,
) -> None:
    inside = Package("inside", "1", directory("opt/in", 0o750), symlink("opt/in/link", "x"))
    workshop.install(inside)
    shutil.rmtree(workshop.path / "opt/in")
    (workshop.path / "opt/in").write_text("a person's")
    assert differences(workshop) == ["/opt/in type", "/opt/in/link unreachable"]
    assert repaired(workshop).left == ()
    assert differences(workshop) == []


def test_edited_configuration_stays_unless_asked_for(workshop: Workshop) -> None:
    workshop.install(TOOL)
    workshop.install(SECOND)
    workshop.install(TOOL, allow_downgrade=True)
    conf = workshop.path / "etc/tool.conf"
    conf.write_text("setting = mine\n")
    done = repaired(workshop)
    assert (done.receipt.changed, done.edited, conf.read_text()) == (
        False,
        ("/etc/tool.conf",),
        "setting = mine\n",
    )
    done = repaired(workshop, config=True, allow_unsigned=True, bundles=(workshop.bundle(TOOL),))
    assert (done.edited, conf.read_text()) == ((), "setting = 1\n")
    workshop.roll_back()
    assert conf.read_text() == "setting = mine\n"


def test_nothing_to_do_changes_nothing(workshop: Workshop) -> None:
    workshop.install(TOOL)
    done = repaired(workshop)
    assert (done.receipt.changed, done.receipt.transaction, done.sources, done.left) == (False, None, (), ())


def test_a_dry_run_tells_and_writes_nothing(workshop: Workshop) -> None:
    workshop.install(TOOL)
    tool = workshop.path / "usr/bin/tool"
    with running(tool, "1000") as process:
        tool.unlink()
        before = sorted(str(one) for one in workshop.path.rglob("*"))
        done = repaired(workshop, dry_run=True)
        assert sorted(str(one) for one in workshop.path.rglob("*")) == before
    assert done.sources == (("/usr/bin/tool", f"process {process.pid} (exe)"),)
    assert done.receipt.dry_run


def test_only_the_named_package_is_repaired(workshop: Workshop) -> None:
    workshop.install(TOOL, OTHER)
    (workshop.path / "usr/share/tool/link").unlink()
    (workshop.path / "opt/other/copy").unlink()
    repaired(workshop, "other")
    assert differences(workshop) == ["/usr/share/tool/link missing"]
    with pytest.raises(UnknownPackage):
        repaired(workshop, "othr")


def test_directories_of_another_package_above_come_back_too(workshop: Workshop) -> None:
    base = Package("base", "1", directory("srv/deep", 0o751))
    inner = Package("inner", "1", symlink("srv/deep/link", "x"))
    workshop.install(base)
    workshop.install(inner)
    assert differences(workshop) == [], "who only has something in a directory says nothing about it"
    shutil.rmtree(workshop.path / "srv/deep")
    repaired(workshop, "inner")
    assert differences(workshop) == []


def test_an_unsigned_bundle_is_refused_unless_allowed(workshop: Workshop) -> None:
    workshop.install(TOOL)
    (workshop.path / "usr/share/tool/data").unlink()
    with pytest.raises(BundleRefused):
        repaired(workshop, bundles=(workshop.bundle(TOOL),))
    assert differences(workshop) == ["/usr/share/tool/data missing"]


def test_a_repair_can_be_rolled_back_to_the_damage_and_again(workshop: Workshop) -> None:
    workshop.install(TOOL, OTHER)
    data = workshop.path / "usr/share/tool/data"
    data.write_text("damaged")
    repaired(workshop)
    workshop.roll_back()
    assert data.read_text() == "damaged"
    workshop.roll_back()
    assert differences(workshop) == []


def test_an_interrupted_repair_is_finished_by_the_next_command(workshop: Workshop) -> None:
    """A crash before every change of the disk: then it is as before, or repaired, and nothing is left."""
    workshop.install(TOOL, OTHER)
    for path in ("usr/share/tool/data", "usr/share/tool/link"):
        (workshop.path / path).unlink()
    number = 0
    while True:
        number += 1
        copy = workshop.copy(f"copy-{number}")
        disk = FaultyDisk(copy.path, crash_at(number))
        try:
            with copy.opened(disk) as root:
                repair(root, (), (), RepairOptions(), Environment("pkg repair"))
            break
        except Crash:
            copy.remove("other")
        assert differences(copy) in ([], ["/usr/share/tool/data missing", "/usr/share/tool/link missing"])
        assert leftovers(copy) == []
        copy.discard()
    assert number > 20
    assert differences(copy) == []
