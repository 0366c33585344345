"""Errors: exit codes, texts and remedies, held against the page that documents them."""

import errno
import importlib
import pkgutil
import re
from pathlib import Path

import pytest

import intact
from intact.model import errors
from intact.model.errors import (
    UNCHANGED,
    Conflict,
    DatabaseDamaged,
    IntactError,
    JournalDamaged,
    MachineError,
    NoSpace,
    RecoveryFailed,
    UsageError,
    machine_error,
)

PAGE = (Path(__file__).parent.parent.parent / "docs/reference/errors.md").read_text()
DESIGN = {
    "UsageError": 2,
    "BundleRefused": 3,
    "BundleDamaged": 3,
    "ManifestInvalid": 3,
    "FeatureUnknown": 3,
    "Untrusted": 3,
    "WrongArchitecture": 3,
    "Conflict": 5,
    "RecoveryFailed": 6,
    "JournalDamaged": 6,
    "DatabaseDamaged": 6,
    "Locked": 7,
    "HookFailed": 8,
    "MachineError": 1,
    "NoSpace": 9,
    "RootUnusable": 1,
    "DatabaseTooNew": 1,
    "UnknownPackage": 1,
    "UnknownTransaction": 1,
}
REMEDIES = {
    "ENOSPC": "free some space",
    "EDQUOT": "quota",
    "EROFS": "remount",
    "EACCES": "as root or as the owner",
    "EPERM": "lsattr",
    "EIO": "dmesg",
    "EMFILE": "ulimit -n",
}


def _all_errors() -> list[type[IntactError]]:
    """Import every module, and name every error class."""
    for module in pkgutil.walk_packages(intact.__path__, "intact."):
        importlib.import_module(module.name)
    found: list[type[IntactError]] = []
    pending: list[type[IntactError]] = [IntactError]
    while pending:
        one = pending.pop()
        pending += one.__subclasses__()
        found.append(one)
    return found


@pytest.mark.parametrize(("name", "code"), DESIGN.items())
def test_the_exit_code_of_each_kind(name: str, code: int) -> None:
    assert getattr(errors, name).exit_code == code


def test_the_table_has_every_error_of_the_vocabulary() -> None:
    assert set(errors.__all__) - {"IntactError", "UNCHANGED", "machine_error"} == set(DESIGN)


def test_every_error_of_the_whole_program_is_on_the_page_with_its_exit_code() -> None:
    rows = [line.split("|") for line in PAGE.splitlines() if line.startswith("| `")]
    codes = {name: row[2].strip() for row in rows for name in re.findall(r"`(\w+)`", row[1])}
    for one in _all_errors():
        if one in {IntactError, errors.BundleRefused, errors.HookFailed} or one.__module__.startswith("test"):
            continue
        assert one.__name__ in codes, f"{one.__name__} is not in docs/reference/errors.md"
        assert str(one.exit_code) in codes[one.__name__], one.__name__


def test_the_text_has_the_place_the_message_and_all_details() -> None:
    error = Conflict("two wishes", path="/etc/x", details=["first", "second"], remedy="choose")
    assert str(error) == "/etc/x: two wishes\nfirst\nsecond"
    assert (error.message, error.path, error.details) == ("two wishes", "/etc/x", ("first", "second"))
    assert (error.remedy, error.root_state) == ("choose", UNCHANGED)


def test_without_a_place_the_text_begins_with_the_message() -> None:
    assert str(UsageError("makes no sense")) == "makes no sense"


@pytest.mark.parametrize("name", REMEDIES)
def test_the_errno_is_named_and_has_a_remedy(name: str) -> None:
    number = getattr(errno, name)
    error = machine_error("rename", OSError(number, "the reason"), "/a")
    assert str(error) == f"/a: rename: {name} (the reason)"
    assert (error.errno, error.errno_name, error.call) == (number, name, "rename")
    assert REMEDIES[name] in (error.remedy or "")
    assert isinstance(error, NoSpace) == (name in {"ENOSPC", "EDQUOT"})
    assert error.exit_code == (9 if isinstance(error, NoSpace) else 1)


def test_an_error_without_a_number_is_told_as_what_it_says() -> None:
    error = machine_error("open", OSError("only words"), None)
    assert (error.errno, error.errno_name) == (0, "unknown error")
    assert "only words" in str(error)


def test_what_is_damaged_is_a_failed_recovery_and_what_is_full_is_the_machine() -> None:
    assert issubclass(JournalDamaged, RecoveryFailed)
    assert issubclass(DatabaseDamaged, RecoveryFailed)
    assert issubclass(NoSpace, MachineError)
    assert not issubclass(RecoveryFailed, MachineError)
