"""What is deleted is what was installed, and nothing that only has its name, or that a link leads to."""

import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from intact.cli.main import run_command
from intact.model.errors import MachineError
from intact.model.paths import RelPath
from intact.system.linux import LinuxDisk
from intact.transaction.deleting import drop_tree
from support.rival import NOBODY, described, exchange, rival_at_work
from support.workshop import Package, Workshop, directory, file, hardlink, symlink

APP = Package(
    "app",
    "1",
    directory("srv/app"),
    file("srv/app/file", "installed"),
    file("srv/app/twin", "twin"),
    hardlink("srv/app/twin2", "srv/app/twin"),
    symlink("srv/app/link", "file"),
    directory("srv/app/empty"),
    directory("srv/shared"),
    file("srv/shared/app", "x"),
)
OTHER = Package("other", "1", directory("srv/shared"), directory("srv/app/empty"))


def _pkg(workshop: Workshop, *arguments: str) -> int:
    return run_command(["--root", str(workshop.path), "--quiet", *arguments])


def _anew(path: Path, make: Callable[[Path], object]) -> None:
    path.unlink()
    make(path)


def _edit_with_the_old_time(path: Path) -> None:
    before = path.stat()
    path.write_text("Installed")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def _full_directory(path: Path) -> None:
    path.mkdir()
    (path / "x").write_text("x")


EDITS: dict[str, tuple[str, Callable[[Path], object]]] = {
    "other content": ("file", lambda at: at.write_text("edited")),
    "other content of the same size": ("file", lambda at: at.write_text("Installed")),
    "other content, size and time": ("file", _edit_with_the_old_time),
    "another file of that name": ("file", lambda at: _anew(at, lambda new: new.write_text("theirs"))),
    "a link in the place of a file": ("file", lambda at: _anew(at, lambda new: new.symlink_to("/etc"))),
    "a pipe in the place of a file": ("file", lambda at: _anew(at, os.mkfifo)),
    "a full directory in the place of a file": (
        "file",
        lambda at: _anew(at, _full_directory),
    ),
    "a link to elsewhere": ("link", lambda at: _anew(at, lambda new: new.symlink_to("/etc/passwd"))),
    "a file in the place of a link": ("link", lambda at: _anew(at, lambda new: new.write_text("theirs"))),
    "one of two names": ("twin2", lambda at: _anew(at, lambda new: new.write_text("theirs"))),
    "a file in a directory": ("empty", lambda at: (at / "theirs").write_text("theirs")),
}


@pytest.mark.parametrize("name", EDITS)
def test_sec_39_a_removal_deletes_only_what_is_as_it_was_installed(name: str, workshop: Workshop) -> None:
    workshop.install(APP)
    inner, edit = EDITS[name]
    place = workshop.path / "srv/app" / inner
    edit(place)
    before = described(place, links=False)
    assert _pkg(workshop, "remove", "app") == 0
    after = described(place, links=False)
    assert {path: seen[:-2] + seen[-1:] for path, seen in after.items()} == {
        path: seen[:-2] + seen[-1:] for path, seen in before.items()
    }
    assert sorted(path.name for path in (workshop.path / "srv/app").iterdir()) == [inner]


def test_sec_39_a_shared_directory_goes_with_its_last_owner(workshop: Workshop) -> None:
    workshop.install(APP)
    workshop.install(OTHER)
    assert _pkg(workshop, "remove", "app") == 0
    assert sorted(path.name for path in (workshop.path / "srv").rglob("*")) == ["app", "empty", "shared"]
    (workshop.path / "srv/shared/mine").write_text("mine")
    assert _pkg(workshop, "remove", "other") == 0
    assert [path.name for path in (workshop.path / "srv").rglob("*")] == ["shared", "mine"]


def test_sec_39_a_directory_that_was_there_before_stays(workshop: Workshop) -> None:
    (workshop.path / "srv/shared").mkdir(parents=True)
    (workshop.path / "srv/other").mkdir()
    workshop.install(APP)
    assert _pkg(workshop, "remove", "app") == 0
    assert (workshop.path / "srv/other").is_dir()


def test_sec_17_what_a_link_leads_to_outlives_the_tree(workshop: Workshop) -> None:
    outside = workshop.place / "outside"
    (outside / "sub").mkdir(parents=True)
    (outside / "sub/file").write_text("canary")
    tree = workshop.path / "tree"
    (tree / "a/b").mkdir(parents=True)
    (tree / "a/b/link").symlink_to(outside)
    (tree / "a/file").symlink_to(outside / "sub/file")
    os.link(outside / "sub/file", tree / "a/hard")
    before = described(outside, links=False)
    disk = LinuxDisk(str(workshop.path))
    drop_tree(disk, RelPath("tree"))
    disk.close()
    assert not tree.exists()
    assert described(outside, links=False) == before


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to have another user beside it")
def test_sec_17_who_sits_in_a_tree_that_is_deleted_leads_nobody_out_of_it(workshop: Workshop) -> None:
    outside = workshop.place / "outside"
    (outside / "sub").mkdir(parents=True)
    for name in ("file", "inner", "sub/inner", "sub/file"):
        (outside / name).write_text("canary")
        (outside / name).chmod(0o600)
    hard = workshop.place / "hard"
    hard.write_text("canary")
    hard.chmod(0o600)
    private = workshop.path / "private"
    private.mkdir(0o700)
    before = described(outside) | described(hard, links=False)
    disk = LinuxDisk(str(workshop.path))
    for number in range(40):
        place = workshop.path / f"his-{number}"
        place.mkdir()
        os.chown(place, NOBODY, NOBODY)
        for name in ("sub", "file", "tool", "secret"):
            (place / name).mkdir(0o000 if name == "file" else 0o755)
            for inner in range(20):
                (place / name / f"inner-{inner}").mkdir()
            os.chown(place / name, NOBODY, NOBODY)
        for name in ("hard-1", "hard-2"):
            os.link(hard, place / name)
        with rival_at_work(place, outside, b"canary"):
            place.rename(private / "tree")
            with suppress(MachineError):
                drop_tree(disk, RelPath("private/tree"))
            disk.walk_anew()
        drop_tree(disk, RelPath("private/tree"))
        assert described(outside) | described(hard, links=False) == before
    disk.close()
    assert list(private.iterdir()) == []


class _Swapped(LinuxDisk):
    """A disk on which somebody puts a link in the place of a directory as soon as its names have been read."""

    def __init__(self, root: Path) -> None:
        super().__init__(str(root))
        self._place = root

    def list_directory(self, path: RelPath) -> list[str]:
        names = super().list_directory(path)
        if path == RelPath("tree/sub"):
            assert exchange(self._place / "tree/sub", self._place / "bait")
        return names


def test_sec_17_a_link_that_takes_the_place_of_a_directory_leads_nowhere(workshop: Workshop) -> None:
    outside = workshop.place / "outside"
    for at in (outside, workshop.path / "tree/sub"):
        at.mkdir(parents=True)
        (at / "file").write_text("canary")
        (at / "empty").mkdir()
    (workshop.path / "bait").symlink_to(outside)
    before = described(outside)
    disk = _Swapped(workshop.path)
    with pytest.raises(MachineError, match=r"ENOTDIR|ELOOP"):
        drop_tree(disk, RelPath("tree"))
    disk.close()
    assert described(outside) == before
    assert (workshop.path / "tree/sub").is_symlink()


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to have another owner")
def test_sec_17_a_closed_directory_is_opened_only_if_it_is_still_there(workshop: Workshop) -> None:
    """Between the look and the change of its mode, somebody puts a link to a file of root in its place."""
    victim = workshop.place / "victim"
    victim.write_text("canary")
    victim.chmod(0o600)
    closed = workshop.path / "tree/closed"
    closed.mkdir(parents=True)
    closed.chmod(0)
    os.chown(closed, NOBODY, NOBODY)
    os.link(victim, workshop.path / "bait")
    before = described(victim)
    disk = workshop.faulty()
    swapped: list[str] = []

    def swap(_number: int, verb: str, path: str) -> None:
        if verb == "set_attributes" and not swapped:
            swapped.append(path)
            assert exchange(closed, workshop.path / "bait")

    disk.fault = swap
    with pytest.raises(MachineError, match="ESTALE"):
        drop_tree(disk, RelPath("tree"))
    disk.close()
    assert swapped
    assert {path: seen[:5] for path, seen in described(victim).items()} == {
        path: seen[:5] for path, seen in before.items()
    }
