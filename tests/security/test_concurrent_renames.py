"""Another user renames directories, links and files while packages come and go: nobody is led astray."""

import ctypes
import os
import signal
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from intact.model.errors import Conflict, IntactError
from intact.operations.root import Environment
from intact.operations.verify import verify
from intact.system.syscalls import RENAME_EXCHANGE, renameat2
from support.scenarios import recover
from support.workshop import Package, Workshop, directory, file

OTHER = 65534
ROUNDS = 500
pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can play two users")

FIRST = Package(
    "app",
    "1",
    file("srv/app/data/one", "one 1"),
    file("srv/app/data/two", "two 1"),
    file("usr/bin/app", "app 1"),
)
SECOND = Package(
    "app",
    "2",
    file("srv/app/data/one", "one 2"),
    file("srv/app/data/three", "three 2"),
    file("usr/bin/app", "app 2"),
)


def picture(top: Path) -> dict[str, tuple[object, ...]]:
    """All that somebody could have changed in a tree."""
    found: dict[str, tuple[object, ...]] = {}
    for path in sorted([top, *top.rglob("*")]):
        status = path.lstat()
        content = path.read_bytes() if stat.S_ISREG(status.st_mode) else b""
        found[str(path)] = (
            status.st_mode,
            status.st_uid,
            status.st_gid,
            status.st_nlink,
            status.st_mtime_ns,
            content,
        )
    return found


@contextmanager
def another_user(deed: Callable[[], None]) -> Iterator[None]:
    """Let a process of another user do something again and again, until the block ends."""
    child = os.fork()
    if child == 0:
        try:
            ctypes.CDLL(None).prctl(1, signal.SIGKILL)
            os.setgroups([])
            os.setgid(OTHER)
            os.setuid(OTHER)
            while True:
                with suppress(OSError):
                    deed()
        finally:
            os._exit(1)
    try:
        yield
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


def exchange(top: Path, one: str, other: str) -> Callable[[], None]:
    """Exchange two names, and a moment later back."""

    def deed() -> None:
        fd = os.open(top, os.O_RDONLY | os.O_DIRECTORY)
        try:
            for _ in range(2000):
                renameat2(fd, one, fd, other, RENAME_EXCHANGE)
        finally:
            os.close(fd)

    return deed


@pytest.fixture
def place(workshop: Workshop) -> Path:
    """A directory of another user on the way of the package, and what that user would like to be changed."""
    bait = workshop.place / "bait"
    bait.mkdir()
    for name in ("one", "two", "three"):
        (bait / name).write_text(f"bait {name}")
    (workshop.path / "etc").mkdir()
    for name in ("one", "secret"):
        (workshop.path / "etc" / name).write_text("etc")
    place = workshop.path / "srv/app"
    (place / "data").mkdir(parents=True)
    (place / "astray").symlink_to(bait)
    (place / "inward").symlink_to("../../etc")
    for path in (place, place / "data"):
        os.chown(path, OTHER, OTHER)
    return place


ways = pytest.mark.parametrize("link", ["astray", "inward"], ids=["out of the root", "within the root"])


@ways
def test_sec_14_a_path_that_is_opened_by_its_name_is_led_astray(
    link: str, place: Path, workshop: Workshop
) -> None:
    """The control: whoever writes through the name loses against the same user."""
    bait = workshop.place / "bait" if link == "astray" else workshop.path / "etc"
    before = picture(bait)
    with another_user(exchange(place, "data", link)):
        deadline = time.monotonic() + 30
        while picture(bait) == before and time.monotonic() < deadline:
            with suppress(OSError):
                (place / "data/one").write_text("naive")
    assert picture(bait) != before


@ways
def test_sec_14_no_command_is_led_astray_in_500_rounds(link: str, place: Path, workshop: Workshop) -> None:
    baits = [workshop.place / "bait", workshop.path / "etc"]
    before = [picture(one) for one in baits]
    ends = {"done": 0, "refused": 0}
    codes: set[int] = set()
    deeds: list[Callable[[], object]] = [
        lambda: workshop.install(FIRST),
        lambda: workshop.install(SECOND, overwrite=("/*",)),
        workshop.roll_back,
        lambda: workshop.install(SECOND, allow_downgrade=True),
        lambda: recover(workshop),
        lambda: workshop.remove("app"),
    ]
    with another_user(exchange(place, "data", link)):
        for number in range(ROUNDS // 2):  # and the other half in the other of the two cases
            try:
                deeds[number % len(deeds)]()
                ends["done"] += 1
            except IntactError as error:
                ends["refused"] += 1
                codes.add(error.exit_code)
            assert [picture(one) for one in baits] == before
    assert codes <= {1, 5, 6}
    assert ends["done"] > 0
    assert ends["refused"] > 0  # else nobody was in the way
    _settle(place, workshop)


def _settle(place: Path, workshop: Workshop) -> None:
    """When that user has gone, one recovery and one installation make all well."""
    if (place / "data").is_symlink():
        (place / "data").unlink()
    recover(workshop)
    with suppress(IntactError):
        workshop.remove("app")
    workshop.install(SECOND, overwrite=("/*",), allow_downgrade=True)
    with workshop.opened() as root:
        assert verify(root, [], Environment()).differences == ()
    assert workshop.read("srv/app/data/one") == "one 2"


def test_sec_14_a_file_that_is_exchanged_meanwhile_is_kept(place: Path, workshop: Workshop) -> None:
    """What comes back from an exchange has to be what was planned with; else it is that user's, and stays."""
    workshop.install(FIRST)
    data = place / "data"
    os.chown(data, OTHER, OTHER)
    (data / "own").write_text("a person's work")
    os.chown(data / "own", OTHER, OTHER)
    deeds: list[Callable[[], object]] = [
        lambda: workshop.install(SECOND),
        workshop.roll_back,
        lambda: workshop.remove("app"),
        lambda: workshop.install(FIRST, allow_downgrade=True),
    ]
    with another_user(exchange(data, "one", "own")):
        for number in range(60):
            with suppress(IntactError):
                deeds[number % len(deeds)]()
    recover(workshop)
    everything = [
        path.read_text() for path in workshop.path.rglob("*") if path.is_file() and path.stat().st_size < 99
    ]
    assert "a person's work" in everything


def test_sec_14_nothing_is_installed_where_everybody_can_write(workshop: Workshop) -> None:
    for mode in (0o1777, 0o777, 0o757):
        (workshop.path / "srv").mkdir(exist_ok=True)
        (workshop.path / "srv").chmod(mode)
        with pytest.raises(Conflict) as refused:
            workshop.install(FIRST)
        assert f"/srv: everybody can write to this directory (mode {mode:04o})" in "\n".join(
            refused.value.details
        )
    (workshop.path / "srv").chmod(0o2775)  # as Debian has /usr/local: a group that the administrator trusts
    workshop.install(FIRST)
    (workshop.path / "srv").chmod(0o1777)
    with pytest.raises(Conflict):
        workshop.install(SECOND)
    workshop.remove("app")


def test_sec_14_a_directory_of_another_user_is_noted_unless_a_package_has_it_so(workshop: Workshop) -> None:
    (workshop.path / "srv").mkdir()
    os.chown(workshop.path / "srv", OTHER, OTHER)
    notes = workshop.install(FIRST).plan.notes
    assert "/srv belongs to uid 65534, who can rename and remove what is installed below it" in notes
    workshop.install(
        Package("other", "1", directory("opt/other", owner=str(OTHER)), file("opt/other/x", "x"))
    )
    notes = workshop.install(Package("third", "1", file("opt/other/y", "y"))).plan.notes
    assert not any("opt" in one for one in notes)
