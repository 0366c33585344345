"""Several roots, and other people, on the same filesystems: nobody touches what is not his."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from intact.model.errors import IntactError, MachineError, RootUnusable
from intact.operations.recovering import recover_now
from intact.operations.root import Environment
from intact.transaction.recover import Direction
from support.faulty_disk import Crash, FaultyDisk, fail_at
from support.workshop import Package, Workshop, file

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root to mount")

NOBODY = 65534
ONE = Package("kernel", "1", file("boot/vmlinuz", "kernel one"), file("lib/modules", "modules one"))
TWO = Package("kernel", "2", file("boot/vmlinuz", "kernel two"), file("lib/modules", "modules two"))


class Mounts:
    """Mounts that end with the test."""

    def __init__(self) -> None:
        self.places: list[Path] = []

    def tmpfs(self, place: Path, options: str = "mode=755") -> Path:
        """Mount an empty filesystem."""
        place.mkdir(parents=True, exist_ok=True)
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", options, "none", str(place)], check=False)
        if done.returncode != 0:
            pytest.skip("this machine cannot mount a tmpfs")
        self.places.append(place)
        return place

    def unmount(self, place: Path) -> None:
        """Unmount one of them."""
        subprocess.run(["umount", str(place)], check=True)
        self.places.remove(place)


@pytest.fixture
def mounts() -> Iterator[Mounts]:
    made = Mounts()
    yield made
    for place in reversed(made.places):
        subprocess.run(["umount", "--lazy", str(place)], check=True)


def _at(path: Path, place: Path) -> Workshop:
    """A workshop for a root at a given path."""
    workshop = Workshop.__new__(Workshop)
    workshop.place, workshop.path, workshop.bundles = place, path, {}
    path.mkdir(parents=True, exist_ok=True)
    return workshop


def _crash_at_second_exchange(workshop: Workshop, package: Package) -> None:
    seen: list[str] = []

    def fault(_number: int, verb: str, path: str) -> None:
        if verb == "exchange":
            seen.append(path)
        if len(seen) > 1:
            raise Crash

    disk = FaultyDisk(workshop.path, fault)
    with pytest.raises(Crash):
        workshop.install(package, disk=disk)
    disk.close()


def _recover(workshop: Workshop, direction: Direction = Direction.AUTOMATIC) -> None:
    with workshop.opened() as root:
        recover_now(root, direction, Environment("pkg recover"))


@pytest.fixture
def host(workshop: Workshop) -> Workshop:
    """A root that other roots are mounted in."""
    workshop.install(Package("base", "1", file("opt/base", "b")))
    return workshop


@pytest.fixture
def image(host: Workshop, mounts: Mounts, fast_path: Path) -> Workshop:
    """A root inside it, with a boot filesystem of its own, whose upgrade was interrupted."""
    inner = _at(host.path / "mnt/image", fast_path / "workshop")
    mounts.tmpfs(inner.path / "boot")
    inner.install(ONE)
    _crash_at_second_exchange(inner, TWO)
    assert {inner.read("boot/vmlinuz"), inner.read("lib/modules")} != {"kernel two", "modules two"}
    return inner


@pytest.mark.parametrize("direction", [Direction.AUTOMATIC, Direction.BACK], ids=lambda one: one.name)
def test_a_root_does_not_sweep_the_slots_of_another_one(
    direction: Direction, host: Workshop, image: Workshop
) -> None:
    broken = FaultyDisk(host.path, fail_at(12, forever=True))
    with pytest.raises(IntactError):
        host.install(Package("more", "1", file("opt/more", "m")), disk=broken)
    broken.close()
    _recover(host)
    host.install(Package("more", "1", file("opt/more", "m")))
    host.roll_back()
    for number in range(12):  # old history goes
        host.install(Package("filler", str(number), file("opt/filler", str(number))))
    _recover(image, direction)
    expected = ("kernel one", "modules one") if direction is Direction.BACK else ("kernel two", "modules two")
    assert (image.read("boot/vmlinuz"), image.read("lib/modules")) == expected


def test_two_roots_may_share_a_mount(host: Workshop, mounts: Mounts, fast_path: Path) -> None:
    shared = mounts.tmpfs(fast_path / "shared")
    other = _at(fast_path / "other", fast_path / "workshop")
    for root in (host, other):
        place = root.path / "srv"
        place.mkdir()
        subprocess.run(["mount", "--bind", str(shared), str(place)], check=True)
        mounts.places.append(place)
    for root, name in ((host, "a"), (other, "b")):
        root.install(Package(name, "1", file(f"srv/{name}", "1")))
        root.install(Package(name, "2", file(f"srv/{name}", "2")))
    identities = {root.read("var/lib/intact/private/id").strip() for root in (host, other)}
    assert {path.name for path in (shared / ".intact").iterdir()} == identities
    host.roll_back()
    assert (host.read("srv/a"), other.read("srv/b")) == ("1", "2")
    other.roll_back()
    assert (host.read("srv/a"), other.read("srv/b")) == ("1", "1")


def test_a_missing_filesystem_is_noticed_before_a_new_state_directory_is_made(
    workshop: Workshop, mounts: Mounts
) -> None:
    var = mounts.tmpfs(workshop.path / "var")
    package = Package("t", "1", file("a", "old a"), file("b", "old b"))
    workshop.install(package)
    _crash_at_second_exchange(workshop, Package("t", "2", file("a", "new a"), file("b", "new b")))
    saved = workshop.place / "saved"
    subprocess.run(["cp", "-a", str(var), str(saved)], check=True)
    mounts.unmount(var)
    with pytest.raises(RootUnusable, match="is a filesystem not mounted") as caught:
        workshop.install(Package("x", "1", file("opt/x", "x")))
    assert "mount all filesystems" in (caught.value.remedy or "")
    assert not (var / "lib").exists()
    subprocess.run(["mount", "--bind", str(saved), str(var)], check=True)
    mounts.places.append(var)
    with workshop.opened() as root:
        recovered = recover_now(root, Direction.AUTOMATIC, Environment()).transactions
    assert [one.outcome.value for one in recovered] == ["committed"]
    assert (workshop.read("a"), workshop.read("b")) == ("new a", "new b")


class TestAWritableMount:
    """The top of a mount is writable for a group."""

    TOOL = Package("tool", "1", file("data/tools/run", "#!/bin/sh\necho good\n", 0o755))

    @pytest.fixture
    def data(self, workshop: Workshop, mounts: Mounts) -> Path:
        workshop.install(Package("x", "1", file("opt/x", "x")))
        top = mounts.tmpfs(workshop.path / "data", "mode=775,gid=65534")
        (top / "tools").mkdir()
        return top

    @pytest.mark.parametrize("what", ["a directory of nobody", "an open directory", "a link", "a file"])
    def test_a_name_of_ours_that_somebody_else_made_first_is_refused(
        self, what: str, workshop: Workshop, data: Path
    ) -> None:
        place = data / ".intact"
        match what:
            case "a link":
                place.symlink_to("/tmp")
            case "a file":
                place.write_text("")
            case _:
                place.mkdir()
                place.chmod(0o777 if what == "an open directory" else 0o700)
                os.chown(place, NOBODY if what == "a directory of nobody" else 0, -1)
        with pytest.raises(RootUnusable) as caught:
            workshop.install(self.TOOL)
        assert caught.value.path == "/data/.intact"
        assert not (data / "tools/run").exists()
        if place.is_dir() and not place.is_symlink():
            place.rmdir()
        else:
            place.unlink()
        workshop.install(self.TOOL)
        assert "good" in workshop.read("data/tools/run")

    def test_it_is_closed_to_others_while_it_is_used(self, workshop: Workshop, data: Path) -> None:
        modes: list[int] = []
        disk = FaultyDisk(workshop.path)

        def look(_number: int, verb: str, _path: str) -> None:
            if verb == "move_new":
                tops = [data / ".intact", *(data / ".intact").iterdir()]
                modes.extend(path.stat().st_mode & 0o7777 for path in tops)

        disk.fault = look
        workshop.install(self.TOOL, disk=disk)
        disk.close()
        assert modes
        assert set(modes) == {0o700}


def test_a_path_that_has_our_name_in_it_is_a_path_like_others(workshop: Workshop, mounts: Mounts) -> None:
    mounts.tmpfs(workshop.path / "x.intact/sub")
    workshop.install(Package("t", "1", file("x.intact/sub/a", "1"), file("x.intact/sub/b", "1")))
    _crash_at_second_exchange(
        workshop, Package("t", "2", file("x.intact/sub/a", "2"), file("x.intact/sub/b", "2"))
    )
    workshop.write("x.intact/sub/a", "edited")
    _recover(workshop, Direction.BACK)
    identity = workshop.read("var/lib/intact/private/id").strip()
    assert workshop.read("x.intact/sub/a") == "edited"
    assert workshop.read(f"x.intact/sub/.intact/{identity}/kept/2/x.intact/sub/a") == "1"
    _recover(workshop)


def test_the_identity_of_a_root_stays_and_is_its_own(workshop: Workshop, fast_path: Path) -> None:
    package = Package("a", "1", file("opt/a", "1"))
    workshop.install(package)
    first = workshop.read("var/lib/intact/private/id")
    workshop.remove("a")
    assert workshop.read("var/lib/intact/private/id") == first
    other = Workshop(fast_path / "other")
    other.install(package)
    assert other.read("var/lib/intact/private/id") != first


@pytest.mark.parametrize("text", ["", "short", "0123456789abcdeg\n", "../../../../etc\n"])
def test_an_identity_that_was_half_written_is_made_anew(text: str, workshop: Workshop) -> None:
    package = Package("a", "1", file("opt/a", "1"))
    workshop.install(package)
    place = workshop.path / "var/lib/intact/private/id"
    place.write_text(text)
    workshop.install(Package("a", "2", file("opt/a", "2")))
    assert len(place.read_text().strip()) == 16
    assert int(place.read_text(), 16)


def test_first_commands_do_not_race(workshop: Workshop) -> None:
    """Two commands find no state directory at the same time."""
    package = Package("a", "1", file("opt/a", "1"))
    workshop.bundle(package)
    disk = FaultyDisk(workshop.path)
    made: list[str] = []

    def race(_number: int, verb: str, path: str) -> None:
        if verb == "make_directory" and not made:
            made.append(path)
            workshop.install(Package("b", "1", file("opt/b", "1")))

    disk.fault = race
    workshop.install(package, disk=disk)
    disk.close()
    assert (workshop.read("opt/a"), workshop.read("opt/b")) == ("1", "1")


def test_errors_of_a_missing_mount_name_the_place(workshop: Workshop) -> None:
    with workshop.opened() as root, pytest.raises(MachineError, match="/nowhere"):
        root.disk.space(root.layout.base / "nowhere")
