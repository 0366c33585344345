"""Files and directories that an administrator has protected with chattr."""

import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from intact.model.errors import Conflict
from support.workshop import Package, Workshop, directory, file, snapshot, state_files

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root to protect files")

FIRST = Package("a", "1", file("opt/a", "one"), file("opt/gone", "x"), file("opt/tree/inner", "y"))
SECOND = Package("a", "2", file("opt/a", "two"), file("opt/new", "z"))

Protect = Callable[[str, Path], None]


@pytest.fixture
def protect(tmp_path: Path) -> Iterator[Protect]:
    """Protect a path until the end of the test."""
    done: list[Path] = []

    def protect(flag: str, path: Path) -> None:
        result = subprocess.run(["chattr", f"+{flag}", path], check=False, capture_output=True, text=True)
        if result.returncode != 0:
            pytest.skip(f"chattr does not work on {tmp_path}: {result.stderr.strip()}")
        done.append(path)

    yield protect
    for path in done:
        subprocess.run(["chattr", "-ia", path], check=True)


@pytest.fixture
def there(tmp_path: Path) -> Workshop:
    """A root with version 1."""
    workshop = Workshop(tmp_path / "workshop")
    workshop.install(FIRST)
    return workshop


CASES = {
    "a file that is replaced": ("i", "opt/a", "/opt/a is immutable"),
    "a file that is removed": ("i", "opt/gone", "/opt/gone is immutable"),
    "a file in a directory that is removed": ("i", "opt/tree/inner", "/opt/tree/inner is immutable"),
    "a directory that is removed": ("i", "opt/tree", "/opt/tree is immutable"),
    "the directory that holds them": ("i", "opt", "/opt is immutable"),
    "an append-only file": ("a", "opt/a", "/opt/a is append-only"),
    "an append-only directory": ("a", "opt", "/opt is append-only"),
}


@pytest.mark.parametrize(("flag", "path", "told"), CASES.values(), ids=CASES.keys())
def test_it_is_told_before_anything_is_staged(
    flag: str, path: str, told: str, there: Workshop, protect: Protect
) -> None:
    before, state = snapshot(there), state_files(there)
    protect(flag, there.path / path)
    with pytest.raises(Conflict) as caught:
        there.install(SECOND)
    assert caught.value.details == (told,)
    assert "chattr -ia" in (caught.value.remedy or "")
    assert caught.value.exit_code == 5
    assert snapshot(there) == before
    assert state_files(there) == state


def test_all_of_them_are_named_at_once(there: Workshop, protect: Protect) -> None:
    protect("i", there.path / "opt/gone")
    protect("a", there.path / "opt/a")
    with pytest.raises(Conflict) as caught:
        there.install(SECOND)
    assert caught.value.details == ("/opt/a is append-only", "/opt/gone is immutable")


def test_what_does_not_change_may_be_protected(there: Workshop, protect: Protect) -> None:
    there.write("opt/somebody", "mine")
    protect("i", there.path / "opt/somebody")
    there.install(SECOND)
    assert there.read("opt/a") == "two"
    assert there.read("opt/somebody") == "mine"


def test_a_new_file_fits_into_an_append_only_directory(there: Workshop, protect: Protect) -> None:
    (there.path / "log").mkdir()
    protect("a", there.path / "log")
    there.install(Package("b", "1", file("log/b", "entry")))
    assert there.read("log/b") == "entry"


def test_the_attributes_of_a_protected_directory_are_not_touched(there: Workshop, protect: Protect) -> None:
    there.install(Package("b", "1", directory("srv/b", 0o755)))
    protect("i", there.path / "srv/b")
    with pytest.raises(Conflict) as caught:
        there.install(Package("b", "2", directory("srv/b", 0o750)))
    assert caught.value.details == ("/srv/b is immutable",)


def test_a_removal_and_a_rollback_are_told_too(there: Workshop, protect: Protect) -> None:
    protect("i", there.path / "opt/a")
    with pytest.raises(Conflict, match="protected"):
        there.remove("a")
    with pytest.raises(Conflict, match="protected"):
        there.roll_back()
    assert there.read("opt/a") == "one"
