"""Acts. Who else could exchange a directory on the way to what a package brings?

A directory on the way belongs to root, to the invoking user, or a package has it: a signed manifest, or an administrator
afterwards, gave it its owner. Nobody else may write to it; that it is sticky does not help, because others can take the name first.
A group that may write was given that right by an administrator.

Only what is brought is asked about: what is there already can always be removed and rolled back, because no step follows a
link or believes in a name.
"""

import os
from collections.abc import Iterable, Mapping, Sequence

from intact.model.objects import Kind, NewDirectory
from intact.model.paths import ROOT, RelPath
from intact.operations.root import Root
from intact.plan.wanted import Wanted
from intact.state.database import Database

__all__ = ["open_ways"]

_OTHERS_MAY_WRITE = 0o002


def open_ways(
    root: Root,
    database: Database,
    wanted: Mapping[RelPath, Sequence[Wanted]],
    brought: Iterable[RelPath],
) -> dict[RelPath, str]:
    """Find the directories above these locations that another user could exchange; say why, with the remedy.

    Args:
        wanted: what the incoming packages say of each location.
        brought: locations that get a new object.
    """
    trusted = {0, os.geteuid()}
    parents = {location.parent for location in brought} - {ROOT}
    above = parents.union(*(directory.ancestors for directory in parents))
    owners = database.owners(above)
    found = {}
    absent: set[RelPath] = set()  # nothing is below what is not there
    for directory in sorted(above):
        seen = None if directory.parent in absent else root.disk.observe(directory)
        if seen is None:
            absent.add(directory)
        if seen is None or seen.kind is not Kind.DIRECTORY:
            continue
        if any(one.kind is Kind.DIRECTORY for one in owners.get(directory, ())):
            declared = {
                seen.uid
            }  # it is a package's: whoever has it now got it from its manifest or an administrator
        else:
            declared = {
                one.new.attributes.uid
                for one in wanted.get(directory, ())
                if isinstance(one.new, NewDirectory)
            }
        if seen.mode & _OTHERS_MAY_WRITE:
            found[directory] = (
                f"/{directory}: every user may write to it, and so exchange what is installed there;"
                f" `chmod o-w /{directory}`, or install elsewhere"
            )
        elif seen.uid not in trusted | declared:
            found[directory] = (
                f"/{directory}: belongs to uid {seen.uid}, who could exchange what is installed there;"
                f" `chown root /{directory}`, or let the package own it with that owner"
            )
    return found
