"""With thousands of files several processes look; what they find, and what becomes of a failing one, is as with one."""

import os
from pathlib import Path

import pytest

from intact.operations.root import Environment
from intact.operations.verify import verify
from intact.system import forks
from support.workshop import Package, Workshop, file, hardlink, snapshot, symlink

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
