"""Acts. Could somebody else have written what this root remembers, or put something in its place?

Whoever may write into a directory on the way to the state directory can rename another one there; whoever may write
the database, the trust store or the settings decides what is installed, removed and believed. So each of them has to
belong to root or to whoever owns the root here, and nobody else may write it.
"""

import os
import shlex
from collections.abc import Iterable

from intact.model.errors import RootUnusable
from intact.model.objects import Kind, Observed
from intact.model.paths import ROOT, RelPath
from intact.state.layout import StateLayout
from intact.system.port import Disk

__all__ = ["insist_on_own_file", "insist_on_own_state"]

_NAMES = {Kind.FILE: "a regular file", Kind.DIRECTORY: "a directory"}


def insist_on_own_state(disk: Disk, layout: StateLayout, *, changing: bool) -> None:
    """Look at every directory on the way to the state, and at every file of it that somebody else could reach.

    What lies in the private directory is nobody's but its owner's, by the directory's mode.

    Args:
        disk: the root's.
        layout: its places.
        changing: then everything has to belong to root or this user. Who only asks may look at anybody's root.

    Raises:
        RootUnusable: something belongs to, or can be written by, somebody else, or is not what it has to be.
    """
    owners = _owners(disk, changing=changing)
    private = _insist(disk, layout.private, Kind.DIRECTORY, owners)
    if private is not None and private.mode & 0o077:
        raise _unusable(disk, layout.private, f"others may enter it (mode {private.mode:04o})", "chmod 0700")
    _insist_on_files(disk, (layout.database, layout.trust_store), owners)


def insist_on_own_file(disk: Disk, path: RelPath) -> None:
    """Look at a file that decisions are made by, and at every directory on the way to it.

    Raises:
        RootUnusable: as above.
    """
    _insist_on_files(disk, (path,), _owners(disk, changing=True))


def _owners(disk: Disk, *, changing: bool) -> set[int]:
    top = disk.observe(ROOT)
    return {0, os.geteuid()} | ({top.uid} if top is not None and not changing else set())


def _insist_on_files(disk: Disk, files: Iterable[RelPath], owners: set[int]) -> None:
    directories = {ROOT}.union(*(path.ancestors for path in files))
    for path in sorted(directories):
        _insist(disk, path, Kind.DIRECTORY, owners)
    for path in files:
        _insist(disk, path, Kind.FILE, owners)


def _insist(disk: Disk, path: RelPath, kind: Kind, owners: set[int]) -> Observed | None:
    seen = disk.observe(path)
    if seen is None:
        return None
    if seen.kind is not kind:
        what = "something else" if seen.kind is Kind.OTHER else f"a {seen.kind.value}"
        raise _unusable(disk, path, f"it is {what}, not {_NAMES[kind]}", "")
    if seen.uid not in owners:
        raise _unusable(disk, path, f"it belongs to somebody else (uid {seen.uid})", f"chown {os.geteuid()}")
    # A group of the owner's own has the owner's number (useradd makes it so): nobody else is in it.
    if seen.mode & (0o002 if seen.gid == seen.uid else 0o022):
        fault = f"others may write to it (mode {seen.mode:04o}, gid {seen.gid})"
        raise _unusable(disk, path, fault, "chmod go-w")
    return seen


def _unusable(disk: Disk, path: RelPath, fault: str, mend: str) -> RootUnusable:
    place = shlex.quote(str(disk.host_path(path)))
    then = f"`{mend} {place}`" if mend else "move it away"
    return RootUnusable(
        f"{fault}, so what it says of this root cannot be believed",
        path=str(disk.host_path(path)),
        remedy=f"find out who has made it so (ls -ld {place}); then {then}",
    )
