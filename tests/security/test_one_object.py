"""Owner and mode of one object never meet the content of another: whoever exchanges names reads nothing by it."""

import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from intact.model.entries import Digest, DirectoryEntry
from intact.model.errors import IntactError
from intact.model.paths import RelPath
from support.faulty_disk import FaultyDisk
from support.rival import NOBODY, exchange
from support.workshop import Package, Part, Workshop, file

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to have another user beside it")

SECRET = "only for root"  # noqa: S105  a text in a file


def _package(version: str) -> Package:
    return Package(
        "app",
        version,
        Part(DirectoryEntry(RelPath("srv/u"), 0o755, str(NOBODY), str(NOBODY))),
        file("srv/u/secret", SECRET + version, 0o600),
        file("srv/u/public", f"everybody may read this {version}"),
    )


class Exchanging(FaultyDisk):
    """A bait of the other user stands in the place of the secret, but not while somebody hashes what is there."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.secret = root / "srv/u/secret"
        self.bait = self.secret.with_name(".bait")
        self.bait.write_text("b" * len(SECRET + "1"))
        self.bait.chmod(0o666)
        os.chown(self.bait, NOBODY, NOBODY)
        assert exchange(self.secret, self.bait)

    def digest(self, path: RelPath) -> Digest:
        """Hash, with the secret in its place."""
        swapped = path == "srv/u/secret" and exchange(self.secret, self.bait)
        try:
            return super().digest(path)
        finally:
            if swapped:
                exchange(self.secret, self.bait)


def _readable_secrets(root: Path) -> list[str]:
    found = []
    for path in root.rglob("*"):
        if "private" in path.parts or path.is_symlink() or not path.is_file():
            continue
        seen = path.stat()
        if SECRET in path.read_text(errors="replace") and (seen.st_uid == NOBODY or seen.st_mode & 0o077):
            found.append(f"{path.name} {seen.st_mode:o} {seen.st_uid}")
    return found


ACTS: dict[str, Callable[[Workshop, Exchanging], object]] = {
    "an upgrade": lambda workshop, disk: workshop.install(_package("3"), disk=disk),
    "a rollback": lambda workshop, disk: workshop.roll_back(disk=disk),
}


@pytest.mark.parametrize("name", ACTS)
def test_sec_14_what_is_looked_at_and_what_is_read_is_one_object(name: str, workshop: Workshop) -> None:
    workshop.install(_package("1"))
    workshop.install(_package("2"))
    disk = Exchanging(workshop.path)
    try:
        with suppress(IntactError):  # to refuse is an answer, too
            ACTS[name](workshop, disk)
    finally:
        disk.close()
    assert _readable_secrets(workshop.path) == []


def test_sec_14_what_was_exchanged_in_a_directory_that_left_comes_back_as_closed_as_it_was(
    workshop: Workshop,
) -> None:
    """Its owner still sits in it; in the history the name of the public file leads to the secret."""
    workshop.install(_package("1"))
    workshop.remove("app")
    (secret,) = (workshop.path / "var/lib/intact/private/transactions").rglob("secret")
    assert exchange(secret, secret.with_name("public"))
    workshop.roll_back()
    assert (workshop.path / "srv/u/public").read_text() == SECRET + "1"
    assert _readable_secrets(workshop.path) == []


def _put_own_file(workshop: Workshop, text: str) -> Path:
    path = workshop.path / "srv/u/secret"
    path.unlink()
    path.write_text(text)
    path.chmod(0o666)
    os.chown(path, NOBODY, NOBODY)
    return path


def test_sec_14_who_puts_a_file_of_his_own_there_does_not_get_the_next_secret(workshop: Workshop) -> None:
    """No race at all: the owner of the directory waits for the upgrade."""
    workshop.install(_package("1"))
    secret = _put_own_file(workshop, "mine")
    workshop.install(_package("2"))
    assert secret.read_text() == SECRET + "2"
    assert _readable_secrets(workshop.path) == []


def test_sec_14_nor_the_one_before_by_a_rollback(workshop: Workshop) -> None:
    """He knows the present one, by whatever way."""
    workshop.install(_package("1"))
    workshop.install(_package("2"))
    secret = _put_own_file(workshop, SECRET + "2")
    workshop.roll_back()
    assert secret.read_text() == SECRET + "1"
    assert _readable_secrets(workshop.path) == []


def test_an_administrators_mode_stays_where_nobody_else_can_change_anything(workshop: Workshop) -> None:
    workshop.install(Package("own", "1", file("opt/own/file", "one", 0o644)))
    (workshop.path / "opt/own/file").chmod(0o600)
    workshop.install(Package("own", "2", file("opt/own/file", "two", 0o644)))
    assert (workshop.path / "opt/own/file").stat().st_mode & 0o7777 == 0o600
