"""Acts. What is in a directory?"""

import os
from collections.abc import Iterator

from intact.model.objects import Kind
from intact.model.paths import RelPath
from intact.system.port import Disk

__all__ = ["below", "statuses_in"]


def below(disk: Disk, path: RelPath) -> Iterator[RelPath]:
    """Walk everything below the directory at `path`, parents first, within its filesystem."""
    start = disk.observe(path)
    if start is None or start.kind is not Kind.DIRECTORY:
        return
    top = disk.identity(path)
    pending = [path]
    while pending:
        directory = pending.pop()
        for name in disk.list_directory(directory):
            child = directory / name
            yield child
            seen = disk.observe(child)
            if seen is not None and seen.kind is Kind.DIRECTORY:
                found = disk.identity(child)
                if found is not None and top is not None and found.device == top.device:
                    pending.append(child)


def statuses_in(fd: int) -> list[tuple[str, os.stat_result]]:
    """Tell what lstat says of each object in an open directory, in no order."""
    found = []
    for name in os.listdir(fd):
        try:  # a `suppress` for each would take half as long as the look
            found.append((name, os.stat(name, dir_fd=fd, follow_symlinks=False)))
        except FileNotFoundError:  # noqa: PERF203  it has just gone
            continue
    return found
