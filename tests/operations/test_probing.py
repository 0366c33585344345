"""What `probe` says is what happens: on a filesystem in memory, on ext4, and on those with the manners of others."""

import errno
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from intact.model.errors import MachineError
from intact.model.probes import Outcome, Result, Row
from intact.operations.probing import Probed, probe
from intact.plan.probe_rows import QUESTIONS, row_of
from proof.images import missing_tools, scratch
from support.layers import unmount
from support.weather import mirrored

ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="needs root to mount")
FUSE = pytest.mark.skipif(
    os.geteuid() != 0 or not os.access("/dev/fuse", os.W_OK), reason="needs root and /dev/fuse"
)

# What every filesystem of Linux that is made for Unix does; the rows about writing to a running program stand below.
USUAL: dict[str, str] = {
    "program-runs": "yes",
    "running-rename-over": "yes",
    "running-exchange": "yes",
    "running-rename-away": "yes",
    "running-remove": "yes",
    "running-sees": "sees the old (/proc/PID/exe ends in “(deleted)”)",
    "script-write": "sees the new",
    "script-truncate": "stops in the middle (exit code 0)",
    "script-rename-over": "sees the old",
    "script-remove": "sees the old",
    "map-for-execution": "yes",
    "mapped-write": "sees the new",
    "mapped-truncate": "killed: SIGBUS",
    "mapped-rename-over": "sees the old",
    "mapped-remove": "sees the old",
    "open-rename-over": "sees the old",
    "open-remove": "yes",
    "rename-over": "yes",
    "exchange": "yes",
    "exchange-directory": "yes",
    "noreplace": "yes",
    "hardlink": "yes",
    "rename-onto-own-link": "does nothing (both names stay)",
    "symlink": "yes",
    "anonymous-file": "yes",
    "inode-numbers": "yes",
    "names-case": "yes",
    "names-unicode": "yes",
    "names-bytes": "yes",
    "syncfs": "yes",
    "sync-directory": "yes",
    "sync-file": "yes",
    "reflink": "refused: ENOTSUP",
    "xattr-user": "yes",
    "xattr-capability": "yes",
    "modes": "yes",
    "chown-clears": "yes",
}
OF_THE_KERNEL = {"running-write", "running-truncate", "run-while-written"}
BY_EXCHANGE = {
    "files": "exchange",
    "running programs": "exchange",
    "directories that become files": "exchange",
    "new names": "rename-noreplace",
}


def answers(found: Probed) -> dict[str, str]:
    return {row.key: row.answer for row in found.rows}


def ways(found: Probed) -> dict[str, str]:
    return {one.what: one.way.value for one in found.strategies}


def row(found: Probed, key: str) -> Row:
    return next(one for one in found.rows if one.key == key)


def writing_to_a_running_program(place: Path) -> str:
    """Try it here, in our own way; return the errno's name, or nothing."""
    program = place / "sleeper"
    program.write_bytes(Path("/bin/sleep").read_bytes())
    program.chmod(0o755)
    running = subprocess.Popen([program, "60"])
    try:
        os.close(os.open(program, os.O_WRONLY))
    except OSError as error:
        return errno.errorcode[error.errno or 0]
    else:
        return ""
    finally:
        running.kill()
        running.wait()
        program.unlink()


@pytest.fixture(params=["tmpfs", pytest.param("ext4", marks=ROOT), pytest.param("btrfs", marks=ROOT)])
def ordinary(request: pytest.FixtureRequest, fast_path: Path) -> Iterator[Path]:
    """An empty directory on such a filesystem."""
    if request.param != "tmpfs" and missing_tools():
        pytest.skip(f"needs {missing_tools()}")
    with scratch(request.param, fast_path) as place:
        below = place / "here"
        below.mkdir()
        yield below


def test_every_answer_is_the_usual_one_and_nothing_is_left(ordinary: Path) -> None:
    found = probe(str(ordinary))
    shown = {key: answer for key, answer in answers(found).items() if key not in OF_THE_KERNEL}
    assert shown == USUAL | ({"reflink": "yes"} if found.mounted.kind == "btrfs" else {})
    assert ways(found) == BY_EXCHANGE
    assert list(ordinary.iterdir()) == []
    assert tuple(one.key for one in found.rows) == QUESTIONS
    assert found.directory == str(ordinary)


def test_the_kernels_protection_of_running_programs_is_measured(ordinary: Path) -> None:
    seen = writing_to_a_running_program(ordinary)
    found = probe(str(ordinary))
    for key in ("running-write", "running-truncate"):
        outcome = row(found, key).outcome
        assert outcome.errno == seen, key
        assert (outcome.result is Result.REFUSED) == bool(seen)


def test_no_process_of_it_stays(fast_path: Path) -> None:
    probe(str(fast_path))
    deadline = time.monotonic() + 10
    while left := [one for one in Path("/proc").glob("[0-9]*/cwd") if _leads_into(one, fast_path)]:
        assert time.monotonic() < deadline, left


def _leads_into(link: Path, place: Path) -> bool:
    try:
        return str(place) in str(link.readlink())
    except OSError:
        return False


WEATHER: dict[str, tuple[tuple[str, ...], dict[str, str], dict[str, str]]] = {
    "without flags": (
        ("--no-flags",),
        {"exchange": "refused: EINVAL", "noreplace": "refused: EINVAL", "hardlink": "yes"},
        {
            "files": "link-and-rename",
            "running programs": "link-and-rename",
            "directories that become files": "move-aside",
            "new names": "link-and-remove",
        },
    ),
    "ignoring flags": (
        ("--ignore-flags",),
        {"exchange": "not what it says", "running-exchange": "not what it says", "rename-over": "yes"},
        {
            "files": "link-and-rename",
            "running programs": "link-and-rename",
            "directories that become files": "move-aside",
            "new names": "link-and-remove",
        },
    ),
    "without links": (
        ("--no-flags", "--no-links"),
        {"hardlink": "refused: EPERM", "rename-onto-own-link": "not tried: there are no hardlinks here"},
        {
            "files": "copy-and-rename",
            "running programs": "copy-and-rename",
            "directories that become files": "move-aside",
            "new names": "look-and-rename",
        },
    ),
    "with unstable inode numbers": (("--unstable",), {"inode-numbers": "no"}, {}),
    "folding case": (("--fold-case",), {"names-case": "one name", "names-unicode": "yes"}, {}),
}


@FUSE
@pytest.mark.parametrize("name", WEATHER)
def test_other_manners_are_seen_and_the_way_fits_them(name: str, fast_path: Path) -> None:
    manners, expected, strategy = WEATHER[name]
    with mirrored(fast_path, *manners) as top:
        found = probe(str(top))
        assert list(top.iterdir()) == []
    assert expected.items() <= answers(found).items()
    assert strategy.items() <= ways(found).items()
    assert answers(found)["mapped-truncate"] == "killed: SIGBUS"
    assert answers(found)["xattr-user"] == "refused: ENOTSUP"


@FUSE
def test_busy_programs_are_moved_aside_and_what_stays_is_told(fast_path: Path) -> None:
    """The mirror calls a file busy for ever, so that it cannot be removed either."""
    (fast_path / "running").write_text("*/program\n")
    with mirrored(fast_path, "--busy", "--no-flags") as top:
        found = probe(str(top))
        (left,) = top.iterdir()
    shown = answers(found)
    assert {key: shown[key] for key in ("running-rename-over", "running-remove", "running-rename-away")} == {
        "running-rename-over": "refused: ETXTBSY",
        "running-remove": "refused: ETXTBSY",
        "running-rename-away": "yes",
    }
    assert shown["running-sees"] == "not tried: it cannot be renamed over (ETXTBSY)"
    assert ways(found)["running programs"] == "move-aside"
    assert f"{left} could not be removed (ENOTEMPTY): remove it later" in found.notes


@ROOT
def test_a_mount_without_programs_says_so(fast_path: Path) -> None:
    subprocess.run(["mount", "-t", "tmpfs", "-o", "noexec,nosuid", "tmpfs", str(fast_path)], check=True)
    try:
        found = probe(str(fast_path))
        assert list(fast_path.iterdir()) == []
    finally:
        unmount(fast_path)
    shown = answers(found)
    reason = "not tried: programs cannot run on this mount (noexec)"
    assert {shown[key] for key in shown if key.startswith(("running-", "program-", "run-"))} == {reason}
    assert shown["map-for-execution"] == "refused: EPERM"
    assert shown["mapped-rename-over"] == "sees the old (mapped for reading only)"
    assert shown["script-rename-over"] == "sees the old"
    assert "running programs" not in ways(found)
    assert ways(found)["files"] == "exchange"
    assert (found.mounted.noexec, found.mounted.nosuid) == (True, True)
    assert sum("noexec" in note for note in found.notes) == 1


@ROOT
def test_a_read_only_directory_is_a_clear_error(fast_path: Path) -> None:
    subprocess.run(["mount", "-t", "tmpfs", "-o", "ro", "tmpfs", str(fast_path)], check=True)
    try:
        with pytest.raises(MachineError) as told:
            probe(str(fast_path))
    finally:
        unmount(fast_path)
    assert (told.value.errno_name, told.value.path) == ("EROFS", str(fast_path))
    assert told.value.remedy is not None
    assert "remount" in told.value.remedy


UNPRIVILEGED = """
import importlib, os, pkgutil, sys
import intact
for module in pkgutil.walk_packages(intact.__path__, "intact."):
    importlib.import_module(module.name)
from intact.model.errors import MachineError
from intact.operations.probing import probe
place = sys.argv[1]
os.mkdir(place + "/mine"); os.chown(place + "/mine", 65534, 65534)
os.mkdir(place + "/closed", 0o755)
os.setgroups([]); os.setgid(65534); os.setuid(65534)
found = probe(place + "/mine")
rows = {row.key: row.answer for row in found.rows}
open_rows = {key for key, answer in rows.items() if answer.startswith("not tried")}
assert open_rows == {"xattr-capability"}, rows
assert rows["xattr-capability"] == "not tried: only the superuser may give them"
assert rows["running-sees"].startswith("sees the old"), rows
assert [one.way.value for one in found.strategies][:2] == ["exchange", "exchange"]
assert any("not root" in note for note in found.notes)
assert os.listdir(place + "/mine") == []
try:
    probe(place + "/closed")
except MachineError as error:
    assert (error.errno_name, error.remedy.split(",")[0]) == ("EACCES", "name a directory that this user may write to")
else:
    raise AssertionError
print("good")
"""


@ROOT
def test_a_user_who_is_not_root_learns_nearly_everything(fast_path: Path) -> None:
    fast_path.chmod(0o755)
    command = [sys.executable, "-B", "-c", UNPRIVILEGED, str(fast_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.stdout.endswith("good\n"), done.stderr


@pytest.mark.parametrize("key", QUESTIONS)
def test_whoever_has_no_room_is_not_sent_for_more_rights(key: str) -> None:
    full = row_of(key, Outcome(Result.UNTRIED, "ENOSPC", "its preparation failed: ENOSPC"))
    assert (full.answer, full.explanation) == (
        "not tried: its preparation failed: ENOSPC",
        "There is no room here for the trial; make some, and run it again.",
    )
    broken = row_of(key, Outcome(Result.UNTRIED, "EIO", "its preparation failed: EIO"))
    assert broken.explanation == "This could not be tried here."


def test_every_result_that_can_be_seen_is_explained(ordinary: Path) -> None:
    fallback = {row_of(QUESTIONS[1], Outcome(one)).explanation for one in (Result.UNTRIED, Result.SAME)}
    for one in probe(str(ordinary)).rows:
        assert one.explanation not in fallback, one.key
        assert one.explanation.endswith((".", "?")), one.key
