"""Acts. How is the parent of a path reached without following a link?

Every directory is opened relative to the descriptor of the one above it, with O_NOFOLLOW, starting from
the root's own descriptor. Descriptors are kept, so that a directory is walked once. Whatever moves a
directory says so (`forget`), because its descriptor moves with it.

Our own directory at the top of a mount lies where somebody else may be at home, who can put another one in its place.
So each walk looks again whether it is ours and closed to others.
"""

import errno
import os
import stat

from intact.model.paths import ROOT, RelPath

__all__ = ["DirectoryDescriptors"]

_WALK_FLAGS = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_MOST_OPEN = 256
_SHARE = 4  # of the descriptors that we may have
_OURS = ".intact"  # holds slots at the top of a mount
_OPEN_TO_OTHERS = 0o077


class DirectoryDescriptors:
    """Open directories below one root, by path.

    When a directory is in here, all directories above it are too: the whole set is dropped at once.
    """

    def __init__(self, root_fd: int) -> None:
        self._open: dict[str, int] = {ROOT: root_fd}
        allowed = os.sysconf("SC_OPEN_MAX")  # -1 where nothing is limited
        self._most = min(_MOST_OPEN, allowed // _SHARE) if allowed >= 0 else _MOST_OPEN

    def descriptor(self, directory: str) -> int:
        """Return an O_PATH descriptor of the directory, which is a `RelPath`; it stays ours.

        Raises:
            OSError: a component is missing, no directory, or a symbolic link (ENOTDIR or ELOOP).
        """
        found = self._open.get(directory)
        return self._walk(directory) if found is None else found

    def _walk(self, directory: str) -> int:
        missing = []
        at = RelPath(directory)
        while at not in self._open:
            missing.append(at)
            at = at.parent
        found = self._open[at]
        for below in reversed(missing):
            found = os.open(below.name, _WALK_FLAGS, dir_fd=found)
            if below.name == _OURS:
                _insist_on_ours(found)
            self._open[below] = found
        return found

    def trim(self) -> None:
        """Close everything if there is much of it; called between verbs, never while one uses a descriptor."""
        if len(self._open) >= self._most:
            self.drop_all()

    def forget(self, moved: RelPath) -> None:
        """Drop the directory at `moved` and all below it, if they are open."""
        if moved not in self._open:
            return
        for path in [path for path in self._open if path == moved or RelPath(path).is_below(moved)]:
            os.close(self._open.pop(path))

    def drop_all(self) -> None:
        """Close everything but the root."""
        root_fd = self._open.pop(ROOT)
        for fd in self._open.values():
            os.close(fd)
        self._open = {ROOT: root_fd}


def _insist_on_ours(fd: int) -> None:
    status = os.fstat(fd)
    if status.st_uid not in {0, os.geteuid()} or stat.S_IMODE(status.st_mode) & _OPEN_TO_OTHERS:
        os.close(fd)
        raise OSError(errno.EPERM, f"{_OURS} belongs to, or is open to, somebody else")
