"""SQLite does not say why a write failed; people are told all the same."""

import errno
import os
import resource
import signal
from pathlib import Path

from intact.model.errors import MachineError
from intact.model.paths import RelPath
from intact.state.next_generation import DatabaseChanges
from intact.state.publishing import stage_database
from intact.system.hostfiles import refusal_to_write
from intact.system.linux import LinuxDisk


def _in_a_process_that_may_write_little(most: int, place: Path) -> str:
    """Stage a database below a limit on the size of files; return what was told."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
            disk = LinuxDisk(str(place))
            try:
                stage_database(disk, RelPath("nothing"), RelPath("next"), DatabaseChanges(None))
            except MachineError as error:
                os.write(writing, f"{error.errno_name} {error.message}".encode())
        finally:
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as told:
        text = told.read()
    os.waitpid(child, 0)
    return text


def test_the_errno_of_a_refused_write_is_found_out(fast_path: Path) -> None:
    told = _in_a_process_that_may_write_little(8192, fast_path)
    assert told.startswith("EFBIG stage_database: EFBIG")
    assert sorted(path.name for path in fast_path.iterdir()) == ["next"]


def test_where_nothing_is_refused_nothing_is_said(fast_path: Path) -> None:
    assert refusal_to_write(fast_path) is None
    assert list(fast_path.iterdir()) == []


def test_a_directory_that_takes_no_files_is_told(fast_path: Path) -> None:
    (fast_path / "file").write_text("no directory")
    refused = refusal_to_write(fast_path / "file")
    assert refused is not None
    assert refused.errno == errno.ENOTDIR
