"""Who may own a directory on the way, and what happens where somebody else has put something in its place."""

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from intact.model.entries import DirectoryEntry
from intact.model.errors import Conflict, MachineError
from intact.model.objects import Attributes
from intact.model.paths import RelPath
from intact.operations.root import Environment
from intact.operations.verify import verify
from intact.system.attributes import give_mode
from intact.system.linux import LinuxDisk
from support.rival import NOBODY, described
from support.workshop import Package, Part, Workshop, directory, file, snapshot

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to give directories to another user")

APP = Package("app", "1", file("srv/app/x", "x"))


def _of(owner: int, path: str, mode: int = 0o755) -> Part:
    part = directory(path, mode)
    assert isinstance(part.entry, DirectoryEntry)
    return Part(replace(part.entry, owner=str(owner), group=str(owner)))


def _make(workshop: Workshop, path: str, owner: int = 0, mode: int = 0o755) -> Path:
    made = workshop.path / path
    made.mkdir(parents=True, exist_ok=True)
    os.chown(made, owner, owner)
    made.chmod(mode)
    return made


REFUSED: dict[str, tuple[int, int, str]] = {
    "of another user": (NOBODY, 0o755, "/srv: belongs to uid 65534.*chown root /srv"),
    "writable for all": (0, 0o777, "/srv: every user may write to it.*chmod o-w /srv"),
    "sticky": (0, 0o1777, "/srv: every user may write to it.*chmod o-w /srv"),
    "of another user, sticky": (NOBODY, 0o1777, "/srv: every user may write"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_sec_14_a_directory_that_others_can_exchange_is_refused_with_the_remedy(
    name: str, workshop: Workshop
) -> None:
    owner, mode, told = REFUSED[name]
    _make(workshop, "srv", owner, mode)
    before = snapshot(workshop)
    with pytest.raises(Conflict, match=told) as caught:
        workshop.install(APP)
    assert caught.value.exit_code == 5
    assert snapshot(workshop) == before


ALLOWED: dict[str, tuple[int, int]] = {"of root": (0, 0o755), "of root, open to a group": (0, 0o2775)}


@pytest.mark.parametrize("name", ALLOWED)
def test_sec_14_what_an_administrator_keeps_is_a_way(name: str, workshop: Workshop) -> None:
    _make(workshop, "srv", *ALLOWED[name])
    workshop.install(APP)
    assert workshop.read("srv/app/x") == "x"


def test_sec_14_a_signed_manifest_may_give_a_directory_to_somebody(workshop: Workshop) -> None:
    for version in ("1", "2"):
        workshop.install(Package("app", version, _of(NOBODY, "srv/app"), file("srv/app/x", version)))
    workshop.install(Package("more", "1", file("srv/app/more", "also here")))
    assert (workshop.path / "srv/app").stat().st_uid == NOBODY
    assert workshop.read("srv/app/x") == "2"


def test_sec_14_what_is_there_can_always_go_and_come_back(workshop: Workshop) -> None:
    workshop.install(APP)
    _make(workshop, "srv", NOBODY, 0o777)
    workshop.remove("app")
    workshop.roll_back()
    assert workshop.read("srv/app/x") == "x"
    with workshop.opened() as root:
        found = verify(root, (), Environment()).differences
    assert {one.location for one in found} == {"/srv"}


def test_sec_14_a_link_below_a_directory_of_somebody_is_not_followed(workshop: Workshop) -> None:
    _make(workshop, "home", NOBODY)
    _make(workshop, "home/lib")  # of root, but whoever owns the one above can exchange it
    _make(workshop, "etc")
    (workshop.path / "home/lib/app").symlink_to("/etc")
    with pytest.raises(Conflict, match="not followed"):
        workshop.install(Package("app", "1", file("home/lib/app/x", "x")))
    assert list((workshop.path / "etc").iterdir()) == []


def _disk(workshop: Workshop) -> LinuxDisk:
    return LinuxDisk(str(workshop.path))


LURES: dict[str, Callable[[Path, Path], None]] = {
    "a hardlink to a file of root": lambda at, canary: os.link(canary / "file", at),
    "a link to a directory of root": lambda at, canary: at.symlink_to(canary),
    "another directory": lambda at, _canary: at.mkdir(0o700),
}


@pytest.mark.parametrize("name", LURES)
def test_sec_14_owner_and_mode_are_given_to_what_was_looked_at(name: str, workshop: Workshop) -> None:
    canary = workshop.place / "canary"
    canary.mkdir()
    (canary / "file").write_text("secret")
    (canary / "file").chmod(0o600)
    place = _make(workshop, "srv/u")
    disk = _disk(workshop)
    seen = disk.observe(RelPath("srv/u"))
    place.rename(place.with_name("away"))
    LURES[name](place, canary)
    before = described(canary) | {"lure": tuple(os.lstat(place))[:6]}
    with pytest.raises(MachineError):
        disk.set_attributes(RelPath("srv/u"), Attributes(0o777, NOBODY, NOBODY), seen=seen)
    disk.close()
    assert described(canary) | {"lure": tuple(os.lstat(place))[:6]} == before


@pytest.mark.parametrize("name", LURES)
def test_sec_14_a_new_directory_that_was_exchanged_gets_no_mode(name: str, workshop: Workshop) -> None:
    canary = workshop.place / "canary"
    canary.mkdir()
    (canary / "file").write_text("secret")
    (canary / "file").chmod(0o644)
    LURES[name](workshop.path / "made", canary)
    if name == "another directory":
        os.chown(workshop.path / "made", NOBODY, NOBODY)
    before = described(canary) | {"lure": tuple(os.lstat(workshop.path / "made"))[:6]}
    parent = os.open(workshop.path, os.O_PATH)
    give_mode(parent, "made", 0o777)
    os.close(parent)
    assert described(canary) | {"lure": tuple(os.lstat(workshop.path / "made"))[:6]} == before


@pytest.mark.parametrize("umask", [0, 0o777])
def test_sec_16_a_new_directory_has_its_mode_under_any_umask(umask: int, workshop: Workshop) -> None:
    disk = _disk(workshop)
    before = os.umask(umask)
    try:
        disk.make_directory(RelPath("private"))
        disk.make_directory(RelPath("public"), 0o755)
    finally:
        os.umask(before)
        disk.close()
    assert (workshop.path / "private").stat().st_mode & 0o7777 == 0o700
    assert (workshop.path / "public").stat().st_mode & 0o7777 == 0o755


@pytest.mark.parametrize("what", ["of another user", "open to others"])
def test_sec_16_our_directory_on_a_mount_is_held_against_each_walk(what: str, workshop: Workshop) -> None:
    _make(workshop, "srv/.intact/id/1", *((NOBODY, 0o700) if what == "of another user" else (0, 0o755)))
    _make(workshop, "srv/.intact", *((NOBODY, 0o700) if what == "of another user" else (0, 0o755)))
    disk = _disk(workshop)
    for _ in range(2):
        with pytest.raises(MachineError, match="belongs to, or is open to"):
            disk.observe(RelPath("srv/.intact/id/1/0"))
    disk.close()
