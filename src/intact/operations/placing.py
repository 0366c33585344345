"""Acts. Files go to their places outside any package: all of them staged and durable before the first is renamed."""

import os
import stat
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO

from intact.model.access_lists import ACCESS_LIST, listed_mode, under_mode
from intact.model.entries import Xattrs
from intact.model.errors import IntactError, MachineError, UsageError, machine_error
from intact.model.objects import CAPABILITY
from intact.system.attributes import read_xattrs
from intact.system.destinations import followed, look_at
from intact.system.placing import (
    Look,
    Placement,
    keep_backup,
    make_directories,
    put,
    same_content,
    stage,
    sync_names,
)

__all__ = ["STANDARD_INPUT", "NotPlaced", "PlaceOptions", "Placed", "place"]

STANDARD_INPUT = "-"
_SET_ID = 0o7000


class NotPlaced(IntactError):
    """What was to be placed cannot be."""


@dataclass(frozen=True, slots=True)
class PlaceOptions:
    """How files are placed.

    Attributes:
        mode: permission bits; None: as the old file, else as the source under the umask.
        uid: None: as the old file, else the caller's.
        gid: as above.
        xattrs: set beside those that are kept.
        preserve: take mode, owner, attributes and time from the source.
        backup_suffix: keep the old file under its name and this; empty for no backup.
        umask: bits that a new file does not get.
        if_changed: leave a file alone that is as it would be.
        follow: where the destination is a symbolic link, replace what it names.
        into_directory: False takes the destination as a name even if a directory stands there.
        parents: make missing directories.
    """

    mode: int | None = None
    uid: int | None = None
    gid: int | None = None
    xattrs: Xattrs = ()
    preserve: bool = False
    backup_suffix: str = ""
    umask: int = 0o077
    if_changed: bool = False
    follow: bool = False
    into_directory: bool = True
    parents: bool = False


@dataclass(frozen=True, slots=True)
class Placed:
    """What became of one source.

    Attributes:
        changed: False if everything was as it should be.
        backup: where the old file is, or None.
    """

    source: str
    target: Path
    changed: bool
    backup: Path | None = None


@dataclass(frozen=True, slots=True)
class _Intended:
    source: str
    target: Path
    placement: Placement | None
    backup: Path | None


def place(sources: Sequence[str], destination: str, options: PlaceOptions) -> tuple[Placed, ...]:
    """Place files, each by one rename.

    Args:
        sources: names of regular files, or ``-`` for standard input.
        destination: a name; or a directory, which has to be one for several sources.

    Raises:
        UsageError: the sources and the destination do not fit together.
        NotPlaced: a source is no regular file or changes while it is read; a destination is a directory or device.
        MachineError: the system refused. Before the first rename nothing has changed; `details` has what was placed.
    """
    targets = _targets(sources, destination, options)
    if options.parents:
        for directory in sorted({one.parent for one in targets}):
            make_directories(directory)
    intended: list[_Intended] = []
    placed: list[Placed] = []
    try:
        for source, target in zip(sources, targets, strict=True):
            intended.append(_stage_one(source, target, options))
        for one in intended:
            _put_one(one)
            placed.append(Placed(one.source, one.target, one.placement is not None, one.backup))
        sync_names(one.target for one in placed if one.changed)
    except MachineError as error:
        error.details = (*error.details, *(f"{one.target}: was placed" for one in placed if one.changed))
        if placed:
            error.root_state = "each file is a whole old or a whole new one"
        raise
    finally:
        for one in intended[len(placed) :]:
            if one.placement is not None:
                one.placement.drop()
    return tuple(placed)


def _targets(sources: Sequence[str], destination: str, options: PlaceOptions) -> list[Path]:
    if sources.count(STANDARD_INPUT) > 1:
        raise UsageError(
            "standard input can be named once only", remedy="name the other sources by their files"
        )
    path = Path(destination)
    names_directory = destination.endswith("/") or destination in {".", ".."}
    is_directory = options.into_directory and (names_directory or path.is_dir())
    if not is_directory and len(sources) > 1:
        raise UsageError(
            "several sources need a directory to go to",
            path=destination,
            remedy="name a directory that exists, or end its name with / and say --parents",
        )
    if is_directory and STANDARD_INPUT in sources:
        raise UsageError(
            "standard input has no name of its own",
            path=destination,
            remedy="name the file, not its directory",
        )
    names = [path / Path(source).name for source in sources] if is_directory else [path]
    twice = sorted({str(one) for one in names if names.count(one) > 1})
    if twice:
        raise UsageError(
            "two sources have the same name", details=twice, remedy="place them one after the other"
        )
    return [followed(one) for one in names] if options.follow else names


@contextmanager
def _opened(source: str) -> Iterator[BinaryIO]:
    """Open a source, and make sure that nobody wrote to it while it was read."""
    if source == STANDARD_INPUT:
        yield sys.stdin.buffer
        return
    try:
        descriptor = os.open(source, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise machine_error("open", error, source) from error
    with os.fdopen(descriptor, "rb", buffering=0) as file:
        before = os.fstat(descriptor)
        if not stat.S_ISREG(before.st_mode):
            raise NotPlaced(
                "it is not a regular file", path=source, remedy="name a file, or - for standard input"
            )
        yield file
        after = os.fstat(descriptor)
        if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns):
            raise NotPlaced(
                "somebody wrote to it while it was read", path=source, remedy="run the same command again"
            )


def _stage_one(source: str, target: Path, options: PlaceOptions) -> _Intended:
    seen = look_at(target)
    if seen is not None and not _is_replaceable(seen[0].st_mode):
        raise NotPlaced(
            "it is a directory or a device, and only files and links are replaced",
            path=str(target),
            remedy="name another destination, or move it away first",
        )
    placement = None
    try:
        with _opened(source) as file:
            look = _look(file, seen, options)
            placement = stage(file, target, look)
        if options.if_changed and seen is not None and _is_as_wanted(placement, seen, look):
            placement.drop()
            return _Intended(source, target, None, None)
        backup = (
            Path(f"{target}{options.backup_suffix}") if options.backup_suffix and seen is not None else None
        )
    except BaseException:
        if placement is not None:
            placement.drop()
        raise
    return _Intended(source, target, placement, backup)


def _is_replaceable(mode: int) -> bool:
    return stat.S_ISREG(mode) or stat.S_ISLNK(mode)


def _look(file: BinaryIO, seen: tuple[os.stat_result, Xattrs] | None, options: PlaceOptions) -> Look:
    """Decide owner, mode and attributes: what was said, else the source's or the old file's.

    Set-id bits and capabilities were given to the old content; the new one has to be given them anew. A mode that was
    said counts for access lists, too; one that was not said comes from the list that was said.
    """
    status = os.fstat(file.fileno())
    old = seen if seen is not None and stat.S_ISREG(seen[0].st_mode) else None
    if options.preserve:
        look = Look(
            stat.S_IMODE(status.st_mode),
            status.st_uid,
            status.st_gid,
            read_xattrs(file.fileno()),
            status.st_mtime_ns,
            keeps_list=False,
        )
    elif old is not None:
        kept = tuple(one for one in old[1] if one[0] != CAPABILITY)
        look = Look(
            stat.S_IMODE(old[0].st_mode) & ~_SET_ID, old[0].st_uid, old[0].st_gid, kept, keeps_list=False
        )
    else:
        runs = status.st_mode & 0o111 if stat.S_ISREG(status.st_mode) else 0
        look = Look((0o666 | runs) & ~options.umask)
    mode, said = options.mode, dict(options.xattrs).get(ACCESS_LIST)
    if mode is None:
        mode = look.mode if said is None else look.mode & _SET_ID | listed_mode(said)
    xattrs = {**dict(look.xattrs), **dict(options.xattrs)}
    if ACCESS_LIST in xattrs:
        xattrs[ACCESS_LIST] = under_mode(xattrs[ACCESS_LIST], mode)
    return replace(
        look,
        mode=mode,
        uid=look.uid if options.uid is None else options.uid,
        gid=look.gid if options.gid is None else options.gid,
        xattrs=tuple(xattrs.items()),
    )


def _is_as_wanted(placement: Placement, seen: tuple[os.stat_result, Xattrs], look: Look) -> bool:
    """Tell whether the old file has the same content, owner, mode and attributes; its time does not count."""
    status, xattrs = seen
    is_alike = (
        stat.S_ISREG(status.st_mode)
        and stat.S_IMODE(status.st_mode) == look.mode
        and look.uid in {None, status.st_uid}
        and look.gid in {None, status.st_gid}
        and dict(look.xattrs).items() <= dict(xattrs).items()
    )
    return is_alike and same_content(placement.scratch, placement.target)


def _put_one(one: _Intended) -> None:
    if one.placement is None:
        return
    if one.backup is not None:
        keep_backup(one.target, one.backup)
    put(one.placement)
