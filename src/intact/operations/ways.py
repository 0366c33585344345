"""Acts. Who else can rename what lies on the way to the places of a package?

Every directory is walked by its descriptor and no link of others is followed, so nobody can lead a command elsewhere. But
below a directory that everybody can write to, anybody can put the package's files away as soon as they are there.
"""

import os
from collections.abc import Collection, Iterable

from intact.model.objects import Kind
from intact.model.paths import ROOT, RelPath
from intact.system.port import Disk

__all__ = ["look_at_ways"]

_BY_EVERYBODY = 0o002


def look_at_ways(
    disk: Disk, locations: Iterable[RelPath], declared: Collection[tuple[RelPath, int]]
) -> tuple[list[str], list[str]]:
    """Return (problems, notes) about the directories above these locations.

    A directory of another user is noted, and not refused: administrators give directories to services, and an upgrade
    must not fail for that.

    Args:
        declared: directories and their owners, as packages have them.
    """
    trusted = {0, os.geteuid()}
    problems, notes = [], []
    for directory in sorted({above for one in locations for above in (*one.ancestors, ROOT)}):
        seen = disk.observe(directory)
        if seen is None or seen.kind is not Kind.DIRECTORY:
            continue
        if seen.mode & _BY_EVERYBODY:
            problems.append(
                f"/{directory}: everybody can write to this directory (mode {seen.mode:04o}), so nothing is installed"
                " below it; take that right away (chmod o-w), or choose another place"
            )
        elif seen.uid not in trusted and (directory, seen.uid) not in declared:
            notes.append(
                f"/{directory} belongs to uid {seen.uid}, who can rename and remove what is installed below it"
            )
    return problems, notes
