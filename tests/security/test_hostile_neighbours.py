"""Another user swaps directories, files, links and pipes where `pkg` works, and wins nothing by it."""

import os
import random
import shutil
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest

from intact.cli.main import run_command
from intact.model.entries import DirectoryEntry
from intact.model.errors import IntactError
from support.faulty_disk import Crash, crash_at
from support.rival import NOBODY, described, rival_at_work
from support.workshop import Package, Part, Workshop, directory, file, symlink

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to have another user beside it")

SECRET = b"only for root"
_CLEAN = {0, 1, 5, 6}  # done, refused by the system, in conflict, to be recovered


def of_nobody(path: str, mode: int = 0o755) -> Part:
    """A directory that the signed manifest gives to the other user."""
    part = directory(path, mode)
    assert isinstance(part.entry, DirectoryEntry)
    return Part(replace(part.entry, owner=str(NOBODY), group=str(NOBODY)))


def _package(version: str, *more: Part) -> Package:
    return Package(
        "app",
        version,
        of_nobody("srv/u"),
        of_nobody("srv/u/sub", 0o755 if version == "1" else 0o750),
        file("srv/u/sub/inner", f"inner {version}"),
        file("srv/u/file", f"file {version}"),
        file("srv/u/tool", f"tool {version}", 0o4755),
        file("srv/u/secret", SECRET.decode() + version, 0o600),
        file("opt/app/bin", f"bin {version}", 0o755),
        *more,
    )


FIRST = _package("1", file("srv/u/sub/old", "old"), symlink("srv/u/link", "sub"))
SECOND = _package("2", file("srv/u/sub/new/deep", "new"), file("srv/u/link", "no link any more"))
ELSEWHERE = Package("elsewhere", "1", file("home/u/app/file", "x"))


class Neighbourhood:
    """A root with a directory of the other user, and what he would like to reach."""

    def __init__(self, workshop: Workshop) -> None:
        self.workshop = workshop
        self.place = workshop.path / "srv/u"
        self.outside = workshop.place / "outside"
        self.linked = workshop.place / "linked"
        for top in (self.outside, workshop.path / "etc"):
            (top / "sub").mkdir(parents=True)
            for name in ("file", "inner", "shadow", "sub/inner", "sub/file"):
                (top / name).write_text(f"canary {name}")
                (top / name).chmod(0o640)
        self.linked.mkdir()
        home = workshop.path / "home/u"
        home.mkdir(parents=True)
        os.chown(home, NOBODY, NOBODY)

    def bait(self) -> None:
        """Put hardlinks to files of root there, as could be made where fs.protected_hardlinks is 0."""
        self.place.mkdir(parents=True, exist_ok=True)
        os.chown(self.place, NOBODY, NOBODY)
        for name in ("hard-1", "hard-2"):
            target = self.linked / name
            if not target.exists():
                target.write_text(f"canary {name}")
                target.chmod(0o600)
            if not (self.place / name).exists():
                os.link(target, self.place / name)

    def canaries(self) -> dict[str, tuple[object, ...]]:
        """Everything that nobody may touch; of the linked files the other user may remove his own names."""
        return (
            described(self.outside)
            | described(self.workshop.path / "etc")
            | described(self.linked, links=False)
        )

    def pkg(self, *arguments: str | Path) -> int:
        """Run a command in this process; no error of Python's may get out."""
        return run_command(["--root", str(self.workshop.path), "--quiet", *map(str, arguments)])

    def install(self, package: Package) -> int:
        """Install it."""
        return self.pkg("install", "--allow-unsigned", "--allow-downgrade", self.workshop.bundle(package))

    def crash(self, chance: random.Random) -> int:
        """Crash somewhere in an upgrade, and recover."""
        disk = self.workshop.faulty()
        disk.fault = crash_at(chance.randrange(1, 60))
        try:
            self.workshop.install(SECOND, disk=disk, allow_downgrade=True)
        except Crash:
            pass
        except IntactError as error:
            if error.exit_code not in _CLEAN:
                raise
        finally:
            disk.close()
        return self.pkg("recover", *chance.choice([(), ("--back",), ("--forward",)]))


@pytest.fixture
def neighbourhood(workshop: Workshop) -> Neighbourhood:
    """A root with canaries inside and outside."""
    return Neighbourhood(workshop)


def _rounds(count: int, there: Neighbourhood) -> None:
    there.bait()
    assert there.install(FIRST) == 0
    before = there.canaries()
    chance = random.Random(count)  # noqa: S311  a test wants the same order each time
    acts: list[Callable[[], int]] = [
        lambda: there.install(FIRST),
        lambda: there.install(SECOND),
        lambda: there.pkg("rollback"),
        lambda: there.crash(chance),
        lambda: there.pkg("remove", "app"),
    ]
    codes: Counter[tuple[int, int]] = Counter()
    with rival_at_work(there.place, there.outside, SECRET) as rival:
        for number in range(count):
            if number % 10 == 0:
                there.bait()
            which = number % len(acts)
            codes[which, acts[which]()] += 1
            if number % 50 == 0:
                assert there.canaries() == before
                assert there.install(ELSEWHERE) == 5
        swaps, read = rival.swaps, rival.secrets
    assert there.canaries() == before
    assert read == 0
    assert {code for _, code in codes} <= _CLEAN
    assert swaps > count
    for which in range(len(acts)):
        assert codes[which, 0], f"act {which} has never succeeded: {codes}"
    assert sum(found for (_, code), found in codes.items() if code), "nothing has ever been met"
    _is_clean_when_he_has_gone(there)
    assert there.canaries() == before


def _is_clean_when_he_has_gone(there: Neighbourhood) -> None:
    assert there.pkg("recover") == 0
    state = there.workshop.path / "var/lib/intact/private/transactions"
    assert [one.name for one in state.iterdir() if not (one / "before.db").exists()] == []
    shutil.rmtree(there.place, ignore_errors=True)  # what he has left there is his
    assert there.install(SECOND) == 0
    assert there.pkg("verify") == 0


def _write_by_path(directory: Path, name: str) -> None:
    """Do what installers do: make the directory if it is missing, write a new file there, rename it."""
    if not directory.exists():
        directory.mkdir()
        os.chown(directory, NOBODY, NOBODY)
    scratch = directory / f"{name}.new"
    fd = os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NONBLOCK, 0o644)
    os.write(fd, b"written by path")
    os.close(fd)
    scratch.rename(directory / name)


def test_sec_14_the_same_neighbour_wins_against_a_write_by_path(neighbourhood: Neighbourhood) -> None:
    there = neighbourhood
    there.bait()
    assert there.install(FIRST) == 0
    before = there.canaries()
    with rival_at_work(there.place, there.outside, SECRET):
        for _ in range(20_000):
            with suppress(OSError):
                _write_by_path(there.place / "sub", "inner")
            if there.canaries() != before:
                break
    assert there.canaries() != before


def test_sec_14_five_hundred_rounds_lose_and_leak_nothing(neighbourhood: Neighbourhood) -> None:
    _rounds(500, neighbourhood)
