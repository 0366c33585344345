"""Acts. What do this kernel and this filesystem really do, and which way will the installer take here?

Everything is tried in a scratch directory, with real processes. The way is found by letting the installer's own code
(`transaction.swap`) work on scratch files, and by noting with which verbs of the disk it succeeded.
"""

import os
from collections.abc import Callable
from types import MappingProxyType
from typing import Final

from intact.model.errors import MachineError
from intact.model.objects import Attributes
from intact.model.paths import ROOT, RelPath
from intact.model.probes import Mounted, Outcome, Result, Row, Strategy, Way
from intact.model.values import dataclass
from intact.plan.probe_rows import QUESTIONS, row_of
from intact.plan.probe_strategy import notes_on, strategy_of, way_of_placing, way_of_replacing
from intact.system.experiments_content import CONTENT_EXPERIMENTS
from intact.system.experiments_mappings import MAPPING_EXPERIMENTS
from intact.system.experiments_names import NAME_EXPERIMENTS
from intact.system.experiments_programs import PROGRAM_EXPERIMENTS, NotRunning, running_program
from intact.system.linux import LinuxDisk
from intact.system.mounted import mounted_at
from intact.system.scratch import Experiment, Scratch, scratch_directory
from intact.transaction.swap import move_new, swap

__all__ = ["Probed", "probe"]

_SECONDS = 10.0
_SECONDS_TO_SYNC = 60.0  # others may have written much
_SYNCING: Final = frozenset({"syncfs", "sync-directory", "sync-file"})
_LIVE, _SLOT = RelPath("program"), RelPath("slot")


@dataclass(frozen=True, slots=True)
class Probed:
    """What was found out.

    Attributes:
        directory: where, as an absolute path.
        strategies: one for each kind of object that could be tried; the first is that of ordinary files.
        notes: what the rows do not show.
    """

    directory: str
    kernel: str
    mounted: Mounted
    rows: tuple[Row, ...]
    strategies: tuple[Strategy, ...]
    notes: tuple[str, ...]


def probe(directory: str) -> Probed:
    """Try everything in a scratch directory in `directory`.

    Raises:
        MachineError: nothing can be created there.
    """
    experiments = {**PROGRAM_EXPERIMENTS, **MAPPING_EXPERIMENTS, **NAME_EXPERIMENTS, **CONTENT_EXPERIMENTS}
    with scratch_directory(directory) as scratch:
        mounted = mounted_at(scratch.fd)
        rows = [row_of(key, _tried(scratch, key, experiments[key])) for key in QUESTIONS]
        trials = {what: scratch.tried(trial, _SECONDS_TO_SYNC) for what, trial in _TRIALS.items()}
        strategies = [strategy_of(what, outcome) for what, outcome in trials.items()]
    system = os.uname()
    return Probed(
        directory=scratch.place,
        kernel=f"{system.sysname} {system.release}",
        mounted=mounted,
        rows=tuple(rows),
        strategies=tuple(one for one in strategies if one is not None),
        notes=notes_on(mounted, superuser=os.geteuid() == 0, left=scratch.left),
    )


def _tried(scratch: Scratch, key: str, experiment: Experiment) -> Outcome:
    return scratch.tried(experiment, _SECONDS_TO_SYNC if key in _SYNCING else _SECONDS)


class _NotingDisk(LinuxDisk):
    """The disk, which notes by which verbs something was done."""

    def __init__(self, root: str) -> None:
        super().__init__(root)
        self.verbs: list[str] = []
        self.moved_away = False

    def exchange(self, one: RelPath, other: RelPath) -> None:
        """Exchange, and note it."""
        super().exchange(one, other)
        self.verbs.append("exchange")

    def link(self, existing: RelPath, path: RelPath) -> None:
        """Link, and note it."""
        super().link(existing, path)
        self.verbs.append("link")

    def copy_file(self, existing: RelPath, path: RelPath, attributes: Attributes) -> None:
        """Copy, and note it."""
        super().copy_file(existing, path, attributes)
        self.verbs.append("copy_file")

    def move_new(self, source: RelPath, destination: RelPath) -> None:
        """Move, and note it."""
        super().move_new(source, destination)
        self.verbs.append("move_new")

    def move_over(self, source: RelPath, destination: RelPath) -> None:
        """Move, and note whether it was what is live."""
        super().move_over(source, destination)
        self.moved_away |= source == _LIVE


def _trial(act: Callable[[_NotingDisk, int], Way]) -> Experiment:
    def experiment(directory: int) -> Outcome:
        disk = _NotingDisk(".")  # the working directory of an experiment
        try:
            disk.learn_renames(ROOT)
            return Outcome(Result.DONE, "", act(disk, directory).value)
        except MachineError as error:
            return Outcome(Result.REFUSED, error.errno_name)
        except NotRunning as reason:
            return Outcome(Result.UNTRIED, "", str(reason))
        finally:
            disk.close()

    return experiment


def _replace(disk: _NotingDisk) -> Way:
    swap(disk, _SLOT, _LIVE)
    return way_of_replacing(disk.verbs, moved_away=disk.moved_away)


def _replace_file(disk: _NotingDisk, _directory: int) -> Way:
    disk.write_durably(_LIVE, b"old")
    disk.write_durably(_SLOT, b"new")
    return _replace(disk)


def _replace_running(disk: _NotingDisk, directory: int) -> Way:
    disk.write_durably(_SLOT, b"new")
    with running_program(directory, _LIVE):
        return _replace(disk)


def _replace_directory(disk: _NotingDisk, _directory: int) -> Way:
    disk.make_directory(_LIVE)
    disk.write_durably(_LIVE / "in", b"old")
    disk.write_durably(_SLOT, b"new")
    return _replace(disk)


def _place(disk: _NotingDisk, _directory: int) -> Way:
    disk.write_durably(_SLOT, b"new")
    move_new(disk, _SLOT, _LIVE)
    return way_of_placing(disk.verbs)


_TRIALS: Final = MappingProxyType(
    {
        "files": _trial(_replace_file),
        "running programs": _trial(_replace_running),
        "directories that become files": _trial(_replace_directory),
        "new names": _trial(_place),
    }
)
