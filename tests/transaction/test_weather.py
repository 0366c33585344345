"""Filesystems with the manners of other machines, played by a real one (FUSE)."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from intact.operations.root import Environment
from intact.operations.verify import verify
from support.faulty_disk import Crash, FaultyDisk, crash_at
from support.scenarios import FIRST, SECOND, recover
from support.weather import mirrored
from support.workshop import Package, Workshop, file, hardlink, snapshot

pytestmark = pytest.mark.skipif(
    os.geteuid() != 0 or not os.access("/dev/fuse", os.W_OK), reason="needs root and /dev/fuse"
)

MANNERS = {
    "without flags": ("--no-flags",),
    "ignoring flags": ("--ignore-flags",),
    "without links": ("--no-flags", "--no-links"),
    "with busy files": ("--no-flags", "--busy"),
    "with busy files and no links": ("--no-flags", "--no-links", "--busy"),
    "with unstable inode numbers": ("--no-flags", "--unstable"),
}
OLD = Package("a", "1", file("bin/a", "one", 0o755), file("lib/a", "1"), file("gone", "x"), file("d/in", "y"))
NEW = Package(
    "a", "2", file("bin/a", "two", 0o755), file("lib/a", "2"), file("new/x", "x"), file("d", "now a file")
)


@pytest.fixture(params=list(MANNERS.values()), ids=list(MANNERS))
def manners(request: pytest.FixtureRequest) -> tuple[str, ...]:
    """The flags of one filesystem."""
    found: tuple[str, ...] = request.param
    return found


@pytest.fixture
def place(manners: tuple[str, ...], fast_path: Path) -> Iterator[Path]:
    """A directory on such a filesystem; `/bin/a` of the root runs."""
    (fast_path / "running").write_text("/root/bin/a\n/root/usr/bin/tool\n")
    mirror = mirrored(fast_path, *manners)
    try:
        top = mirror.__enter__()
    except RuntimeError as error:
        pytest.skip(str(error))
    yield top
    mirror.__exit__(None, None, None)


@pytest.fixture
def there(place: Path, fast_path: Path) -> Workshop:
    """A root there; its bundles are somewhere else."""
    workshop = Workshop.__new__(Workshop)
    workshop.place, workshop.path, workshop.bundles = fast_path, place / "root", {}
    workshop.path.mkdir()
    return workshop


def _bare(workshop: Workshop) -> dict[str, tuple[object, ...]]:
    return snapshot(workshop, links=False)


def test_every_kind_of_change_goes_and_comes_back(there: Workshop) -> None:
    states = [_bare(there)]
    for package in (FIRST, SECOND):
        there.install(package)
        states.append(_bare(there))
        with there.opened() as root:
            assert verify(root, [], Environment()).differences == ()
    there.roll_back()
    assert _bare(there) == states[1]
    there.roll_back()
    assert _bare(there) == states[2]
    there.remove("tool")
    assert _bare(there) == states[0]


def test_a_crash_at_any_step_ends_in_all_old_or_all_new(there: Workshop) -> None:
    there.install(OLD)
    old = _bare(there)
    outcomes, step, crashed = [], 1, True
    while crashed:
        disk = FaultyDisk(there.path, crash_at(step))
        try:
            there.install(NEW, disk=disk, allow_downgrade=True)
        except Crash:
            disk.close()
            recover(there)
        else:
            crashed = False
            disk.close()
        if _bare(there) == old:
            outcomes.append("old")
        else:
            assert (there.read("bin/a"), there.read("lib/a"), there.read("d")) == ("two", "2", "now a file")
            assert not (there.path / "gone").exists()
            outcomes.append("new")
            there.roll_back()
            assert _bare(there) == old
        step += 1
    assert outcomes == sorted(outcomes, reverse=True)
    assert set(outcomes) == {"old", "new"}


def test_a_file_that_somebody_creates_meanwhile_is_not_lost(there: Workshop) -> None:
    there.install(OLD)
    old = _bare(there)
    disk = FaultyDisk(there.path)

    def create(_number: int, verb: str, path: str) -> None:
        if verb == "move_new" and path == "/new" and not (there.path / "new").exists():
            there.write("new", "mine")

    disk.fault = create
    with pytest.raises(Exception, match="somebody has created it since"):
        there.install(NEW, disk=disk)
    disk.close()
    assert there.read("new") == "mine"
    (there.path / "new").unlink()
    assert _bare(there) == old


def test_further_names_of_a_file_arrive_as_links_or_as_copies(
    there: Workshop, manners: tuple[str, ...]
) -> None:
    there.install(Package("a", "1", file("a", "content", 0o750), hardlink("b", "a")))
    one, other = (there.path / name for name in ("a", "b"))
    assert other.read_text() == "content"
    assert (other.stat().st_mode & 0o777) == 0o750
    assert (one.stat().st_nlink == 2) == ("--no-links" not in manners)
    there.remove("a")
    assert _bare(there) == {}
