"""Acts. Files go to their places outside any package: all of them staged and durable before the first is renamed."""

import os
import stat
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from intact.model.access_lists import ACCESS_LIST, listed_mode, under_mode
from intact.model.entries import Xattrs
from intact.model.errors import IntactError, UsageError, machine_error
from intact.model.objects import CAPABILITY
from intact.model.values import dataclass, replace
from intact.system.attributes import read_xattrs
from intact.system.destinations import followed, look_at, name_identity, obstacle
from intact.system.old_files import keep_old
from intact.system.placing import (
    Batch,
    Look,
    Placement,
    make_directories,
    remove_directories,
    same_content,
    scratch_name,
    stage,
)

__all__ = ["STANDARD_INPUT", "NotPlaced", "PlaceOptions", "Placed", "place"]

STANDARD_INPUT = "-"
_SPECIAL = 0o7000
_NOT_LABELS = ("user.", ACCESS_LIST, CAPABILITY)


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
        umask: bits that a new file or directory does not get.
        if_changed: leave a file alone that is as it would be.
        follow: where the destination is a symbolic link, replace what it names.
        into_directory: False takes the destination as a name even if a directory stands there.
        parents: make missing directories.
        no_empty: refuse a source without content.
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
    no_empty: bool = False


@dataclass(frozen=True, slots=True)
class Placed:
    """What became of one source.

    Attributes:
        changed: False if everything was as it should be.
        backup: where the old file is, or None.
        notes: what a person should know.
    """

    source: str
    target: Path
    changed: bool
    backup: Path | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Intended:
    """One source, and the scratch names that it may need."""

    source: str
    placement: Placement
    backup: Placement


@dataclass(frozen=True, slots=True)
class _Staged:
    """What will be renamed, in this order, and what it will have been."""

    renames: tuple[Placement, ...]
    placed: Placed


def place(sources: Sequence[str], destination: str, options: PlaceOptions) -> tuple[Placed, ...]:
    """Place files, each by one rename.

    Args:
        sources: names of regular files, or ``-`` for standard input.
        destination: a name; or a directory, which has to be one for several sources.

    Raises:
        UsageError: the sources and the destination do not fit together.
        NotPlaced: a source is no regular file or changes while it is read; a destination is a directory or device.
        MachineError: the system refused. Before the first rename nothing has changed; `details` has what was placed.
        KeyboardInterrupt: a signal came; its text says what was placed.
    """
    targets = _targets(sources, destination, options)
    intended = [_intend(*one, options) for one in zip(sources, targets, strict=True)]
    for one in intended:
        _insist_on_source(one.source)
        _insist_on_destination(one, options)
    batch = Batch(one for each in intended for one in (each.placement, each.backup))
    made: list[Path] = []

    def act() -> tuple[Placed, ...]:
        if options.parents:
            for directory in sorted({one.parent for one in targets}):
                made.extend(make_directories(directory, options.umask))
        staged = [_stage_one(one, options) for one in intended]
        batch.put([rename for one in staged for rename in one.renames])
        return tuple(one.placed for one in staged)

    try:
        return batch.tidily(act)
    except BaseException:
        remove_directories(made)
        raise


def _intend(source: str, target: Path, options: PlaceOptions) -> _Intended:
    backup = Path(f"{target}{options.backup_suffix}")
    return _Intended(source, Placement(scratch_name(target), target), Placement(scratch_name(backup), backup))


def _targets(sources: Sequence[str], destination: str, options: PlaceOptions) -> list[Path]:
    if not destination or "" in sources:
        raise UsageError("a file cannot have an empty name", remedy="look whether a variable is not set")
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
    if options.follow:
        for one in names:  # /dev/stdout names a file today, and a pipe tomorrow
            _insist_on_replaceable(one)
    targets = [followed(one) for one in names] if options.follow else names
    _insist_on_different(targets, options)
    return targets


def _insist_on_different(targets: Sequence[Path], options: PlaceOptions) -> None:
    backups = [Path(f"{one}{options.backup_suffix}") for one in targets] if options.backup_suffix else []
    all_names = [*targets, *backups]
    identities = [name_identity(one) for one in all_names]
    twice = sorted({str(all_names[identities.index(one)]) for one in identities if identities.count(one) > 1})
    if twice:
        raise UsageError(
            "two files would get the same name", details=twice, remedy="place them one after the other"
        )


def _insist_on_source(source: str) -> None:
    """Make sure that it can be read, before anything is made."""
    if source != STANDARD_INPUT:
        with _opened(source):
            pass


def _insist_on_replaceable(target: Path) -> None:
    against = obstacle(target, takes_directory_links=True)
    if against is not None:
        raise NotPlaced(
            f"it is {against}, and a directory or a device is not replaced; only files and links are",
            path=str(target),
            remedy="name another destination, or move it away first",
        )


def _insist_on_destination(one: _Intended, options: PlaceOptions) -> None:
    _insist_on_replaceable(one.placement.target)
    against = obstacle(one.backup.target) if options.backup_suffix else None
    if against is not None:
        raise NotPlaced(
            f"the backup needs this name, and it is {against}",
            path=str(one.backup.target),
            remedy="say another --suffix",
        )


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
    try:
        before = os.fstat(descriptor)
        if not stat.S_ISREG(before.st_mode):
            raise NotPlaced(
                f"it is {'a directory, ' if stat.S_ISDIR(before.st_mode) else ''}not a regular file",
                path=source,
                remedy="name a file, or - for standard input",
            )
        with os.fdopen(descriptor, "rb", buffering=0, closefd=False) as file:
            yield file
        after = os.fstat(descriptor)
    finally:
        os.close(descriptor)
    if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns):
        raise NotPlaced(
            "somebody wrote to it while it was read", path=source, remedy="run the same command again"
        )


def _stage_one(one: _Intended, options: PlaceOptions) -> _Staged:
    target = one.placement.target
    seen = look_at(target)
    with _opened(one.source) as file:
        look = _look(file, seen, options)
        is_complete = stage(file, one.placement, look)
    if options.no_empty and one.placement.scratch.stat().st_size == 0:
        raise NotPlaced(
            "it is empty",
            path=one.source,
            remedy="look why what makes it has failed; without --no-empty it is placed all the same",
        )
    if options.if_changed and seen is not None and _is_as_wanted(one.placement, seen, look, options):
        return _Staged((), Placed(one.source, target, changed=False))
    notes = () if is_complete else (f"its group {look.gid} could not be kept, nor what that might do",)
    if seen is None or not options.backup_suffix:
        return _Staged((one.placement,), Placed(one.source, target, changed=True, notes=notes))
    if not keep_old(target, seen, one.backup):
        notes = (*notes, "the backup is a copy without its set-id bits and capabilities")
    return _Staged(
        (one.backup, one.placement),
        Placed(one.source, target, changed=True, backup=one.backup.target, notes=notes),
    )


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
            stat.S_IMODE(old[0].st_mode) & ~_SPECIAL,
            old[0].st_uid,
            old[0].st_gid,
            kept,
            keeps_list=False,
            insists_on_group=options.gid is not None,
        )
    else:
        runs = status.st_mode & 0o111 if stat.S_ISREG(status.st_mode) else 0
        look = Look((0o666 | runs) & ~options.umask)
    mode, said = options.mode, dict(options.xattrs).get(ACCESS_LIST)
    if mode is None:
        mode = look.mode if said is None else look.mode & _SPECIAL | listed_mode(said)
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


def _is_as_wanted(
    placement: Placement, seen: tuple[os.stat_result, Xattrs], look: Look, options: PlaceOptions
) -> bool:
    """Tell whether the old file has the same content, owner, mode and attributes; its time does not count.

    Set-id bits and capabilities that were given to this very content stay, unless others were said.
    """
    status, has = seen[0], dict(seen[1])
    wanted = dict(look.xattrs)
    may_keep = 0 if options.preserve or options.mode is not None else _SPECIAL
    more = {one for one in has.keys() - wanted.keys() if one.startswith(_NOT_LABELS)}
    is_alike = (
        stat.S_ISREG(status.st_mode)
        and stat.S_IMODE(status.st_mode) & ~may_keep == look.mode
        and look.uid in {None, status.st_uid}
        and look.gid in {None, status.st_gid}
        and wanted.items() <= has.items()
        and not (options.preserve and more)
    )
    return is_alike and same_content(placement.scratch, placement.target)
