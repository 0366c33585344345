"""With thousands of files several processes look; what they find, and what becomes of a failing one, is as with one."""

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from intact.model.errors import Conflict
from intact.operations.root import Environment
from intact.operations.verify import verify
from intact.system import forks
from support.faulty_disk import FaultyDisk
from support.workshop import Package, Workshop, directory, file, hardlink, snapshot, symlink

_MANY = Package(
    "many",
    "1",
    *(file(f"opt/many/{number % 50}/{number}", f"content {number}") for number in range(2600)),
    symlink("opt/many/link", "0/0"),
    hardlink("opt/many/second", "opt/many/1/1"),
)


@pytest.fixture(params=["one process", "all processors", "children that are refused"], autouse=True)
def _how(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "one process":
        monkeypatch.setattr(forks, "processors", lambda: 1)
    elif request.param == "children that are refused":
        monkeypatch.setattr(forks, "processors", lambda: 3)
        monkeypatch.setattr(os, "fork", _refuse)


def _refuse() -> int:
    raise BlockingIOError(11, "Resource temporarily unavailable")


@pytest.fixture
def there(fast_path: Path) -> Workshop:
    """A root with all of it, and some edits at the beginning, the middle and the end of the order."""
    workshop = Workshop(fast_path / "workshop")
    workshop.install(_MANY)
    for name in ("0/0", "30/1330", "9/2559"):
        path = workshop.path / "opt/many" / name
        status = path.stat()
        path.write_text(path.read_text().replace("content", "CONTENT"))
        os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))  # inode, size and time are as they were
    (workshop.path / "opt/many/48/98").unlink()
    (workshop.path / "opt/many/49/99").chmod(0o600)
    (workshop.path / "opt/many/link").unlink()
    (workshop.path / "opt/many/link").symlink_to("elsewhere")
    return workshop


def test_each_difference_is_found(there: Workshop) -> None:
    told: list[tuple[int, int]] = []
    environment = Environment(progress=lambda _phase, done, total: told.append((done, total)))
    with there.opened() as root:
        found = verify(root, ["many"], environment)
    assert sorted((one.location, one.what) for one in found.differences) == [
        ("/opt/many/0/0", "content"),
        ("/opt/many/30/1330", "content"),
        ("/opt/many/48/98", "missing"),
        ("/opt/many/49/99", "mode"),
        ("/opt/many/9/2559", "content"),
        ("/opt/many/link", "target"),
    ]
    assert [done for done, _ in told] == sorted(done for done, _ in told)
    assert all(done <= total == found.checked for done, total in told)


def test_a_time_in_a_far_future_stops_no_removal(there: Workshop) -> None:
    for name in ("0/50", "9/2509"):
        os.utime(there.path / "opt/many" / name, ns=(1 << 64, 1 << 64))
    there.remove("many")
    assert not (there.path / "opt/many/0/50").exists()
    assert not (there.path / "opt/many/9/2509").exists()


def test_a_removal_leaves_what_was_edited_and_nothing_else_and_the_way_back_is_there(there: Workshop) -> None:
    before = snapshot(there)
    receipt = there.remove("many")
    left = sorted(
        str(path.relative_to(there.path)) for path in (there.path / "opt").rglob("*") if not path.is_dir()
    )
    assert left == ["opt/many/0/0", "opt/many/30/1330", "opt/many/9/2559", "opt/many/link"]
    assert sum("it stays" in note for note in receipt.plan.notes) == 4
    there.roll_back()
    assert snapshot(there) == before


# --- thousands of directories, all of which leave with one rename ----------------------------------------
_WIDE = Package(
    "wide",
    "1",
    *(file(f"opt/wide/{number:04}/only", f"content {number}") for number in range(2100)),
    symlink("opt/wide/link", "0000/only"),
    directory("opt/wide/empty"),
)
_FIRST, _LAST = "opt/wide/0000", "opt/wide/2099"


@pytest.fixture
def wide(fast_path: Path) -> Workshop:
    """A root with all of it."""
    workshop = Workshop(fast_path / "workshop")
    workshop.install(_WIDE)
    return workshop


def test_a_wide_tree_leaves_as_one_and_comes_back(wide: Workshop) -> None:
    before = snapshot(wide)
    receipt = wide.remove("wide")
    assert len(receipt.plan.actions) == 1
    assert not (wide.path / "opt").exists()
    wide.roll_back()
    assert snapshot(wide) == before


def _write_again(path: Path) -> None:
    path.write_text("somebody's")


def _put_another(path: Path) -> None:
    path.with_name("new").write_text("somebody's")
    path.with_name("new").rename(path)


def _switch_directory(path: Path) -> None:
    path.parent.rename(path.parent.with_name("moved"))
    path.parent.symlink_to("moved")


_MEDDLING: dict[str, Callable[[Path], object]] = {
    "a new file": lambda path: path.with_name("new").write_text("somebody's"),
    "a new directory": lambda path: path.with_name("new").mkdir(),
    "an edited file": _write_again,
    "another file in its place": _put_another,
    "another mode": lambda path: path.chmod(0o600),
    "a link in the place of a directory": _switch_directory,
    "a link that leads elsewhere": lambda path: _put_link(path.parents[1] / "link"),
}


def _put_link(path: Path) -> None:
    path.unlink()
    path.symlink_to("elsewhere")


@pytest.mark.parametrize("inside", [_FIRST, _LAST], ids=["at the beginning", "at the end"])
@pytest.mark.parametrize("what", _MEDDLING)
def test_what_somebody_does_in_it_meanwhile_is_kept(what: str, inside: str, wide: Workshop) -> None:
    disk = FaultyDisk(wide.path)
    done: list[dict[str, object]] = []

    def meddle(_number: int, verb: str, _path: str) -> None:
        if verb == "sync_filesystem" and not done:  # everything was looked at by now
            _MEDDLING[what](wide.path / inside / "only")
            done.append(dict(snapshot(wide)))

    disk.fault = meddle
    with pytest.raises(Conflict, match="somebody has changed it"):
        wide.remove("wide", disk=disk)
    disk.close()
    after = dict(snapshot(wide))
    assert {at: seen for at, seen in after.items() if at.startswith("opt")} == {
        at: seen for at, seen in done[0].items() if at.startswith("opt")
    }


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to mount")
def test_what_somebody_mounts_in_it_meanwhile_keeps_it_from_leaving(wide: Workshop) -> None:
    disk = FaultyDisk(wide.path)
    place = wide.path / "opt/wide/empty"

    def meddle(_number: int, verb: str, _path: str) -> None:
        if verb == "sync_filesystem" and not place.is_mount():
            subprocess.run(["mount", "-t", "tmpfs", "tmpfs", place], check=True)

    disk.fault = meddle
    try:
        with pytest.raises(Conflict, match="somebody has changed it"):
            wide.remove("wide", disk=disk)
    finally:
        subprocess.run(["umount", place], check=True)
    disk.close()
    assert (wide.path / _LAST / "only").exists()


def test_what_somebody_deletes_in_it_meanwhile_stops_nothing(wide: Workshop) -> None:
    disk = FaultyDisk(wide.path)

    def meddle(_number: int, verb: str, _path: str) -> None:
        if verb == "sync_filesystem":
            (wide.path / _LAST / "only").unlink(missing_ok=True)

    disk.fault = meddle
    wide.remove("wide", disk=disk)
    disk.close()
    assert not (wide.path / "opt").exists()


def test_a_name_of_any_bytes_in_one_of_its_directories_keeps_it_from_leaving(wide: Workshop) -> None:
    strange = os.fsencode(wide.path / _LAST) + b"/\xff\n\\x, "
    Path(os.fsdecode(strange)).write_text("somebody's")
    wide.remove("wide")
    left = [path for path in (wide.path / "opt").rglob("*") if not path.is_dir()]
    assert [os.fsencode(path) for path in left] == [strange]


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to protect files")
def test_each_protected_file_is_named(tmp_path: Path) -> None:
    workshop = Workshop(tmp_path / "workshop")
    workshop.install(_WIDE)
    protected = [f"{_FIRST}/only", _LAST, "opt/wide/empty"]
    before = snapshot(workshop)
    for at in protected:
        done = subprocess.run(["chattr", "+i", workshop.path / at], check=False, capture_output=True)
        if done.returncode != 0:
            pytest.skip("chattr does not work here")
    try:
        with pytest.raises(Conflict) as caught:
            workshop.remove("wide")
        assert caught.value.details == tuple(sorted(f"/{at} is immutable" for at in protected))
    finally:
        for at in protected:
            subprocess.run(["chattr", "-i", workshop.path / at], check=True)
    assert snapshot(workshop) == before
