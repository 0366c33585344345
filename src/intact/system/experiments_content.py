"""Acts. What do content, attributes and syncs do here?"""

import os
import stat
import struct
from collections.abc import Callable, Mapping
from types import MappingProxyType

from intact.model.probes import Outcome, Result
from intact.system.experiments import attempt, content_of, make_file, untried
from intact.system.scratch import Experiment
from intact.system.syscalls import clone_file, syncfs

__all__ = ["CONTENT_EXPERIMENTS"]

_NAME = "file"
# struct vfs_cap_data of include/uapi/linux/capability.h, version 2: CAP_NET_BIND_SERVICE, permitted and effective.
_CAPABILITY = struct.pack("<5I", 0x02000001, 1 << 10, 0, 0, 0)


def _with_file(directory: int, act: Callable[[int], object]) -> Outcome:
    make_file(directory, _NAME, b"content", 0o644)
    fd = os.open(_NAME, os.O_RDWR | os.O_CLOEXEC, dir_fd=directory)
    try:
        return attempt(lambda: act(fd))
    finally:
        os.close(fd)


def _reflink(directory: int) -> Outcome:
    make_file(directory, "copy", b"")

    def act(fd: int) -> None:
        target = os.open("copy", os.O_WRONLY | os.O_CLOEXEC, dir_fd=directory)
        try:
            clone_file(fd, target)
        finally:
            os.close(target)

    done = _with_file(directory, act)
    if done.result is Result.DONE and content_of(directory, "copy") != b"content":
        return Outcome(Result.IGNORED)
    return done


def _attribute(name: str, value: bytes) -> Experiment:
    def experiment(directory: int) -> Outcome:
        def act(fd: int) -> None:
            os.setxattr(fd, name, value)

        done = _with_file(directory, act)
        if done.result is Result.DONE and os.getxattr(_NAME, name) != value:
            return Outcome(Result.IGNORED)
        return done

    return experiment


def _capability(directory: int) -> Outcome:
    done = _attribute("security.capability", _CAPABILITY)(directory)
    if done.errno == "EPERM" and os.geteuid() != 0:
        return untried("only the superuser may give them")
    return done


def _modes(directory: int) -> Outcome:
    make_file(directory, _NAME, b"", 0o640)
    seen = stat.S_IMODE(os.lstat(_NAME).st_mode)
    os.chmod(_NAME, 0o604)
    kept = (seen, stat.S_IMODE(os.lstat(_NAME).st_mode)) == (0o640, 0o604)
    return Outcome(Result.DONE if kept else Result.IGNORED)


def _owner_clears(directory: int) -> Outcome:
    """Give a set-user-id program to its own owner again: by chown(2) it loses that bit."""
    make_file(directory, _NAME, b"", 0o755)
    done = attempt(lambda: os.chmod(_NAME, 0o4755))  # noqa: S103  that bit is the question
    if done.result is not Result.DONE or not os.lstat(_NAME).st_mode & stat.S_ISUID:
        return Outcome(Result.UNTRIED, done.errno, "no set-user-id bit can be given here")
    done = attempt(lambda: os.chown(_NAME, os.geteuid(), os.getegid()))
    if done.result is not Result.DONE:
        return done
    cleared = not os.lstat(_NAME).st_mode & stat.S_ISUID
    return Outcome(Result.DONE if cleared else Result.IGNORED)


def _sync_file(directory: int) -> Outcome:
    return _with_file(directory, os.fsync)


def _sync_directory(directory: int) -> Outcome:
    make_file(directory, _NAME, b"")
    return attempt(lambda: os.fsync(directory))


def _sync_filesystem(directory: int) -> Outcome:
    return _with_file(directory, syncfs)


CONTENT_EXPERIMENTS: Mapping[str, Experiment] = MappingProxyType(
    {
        "syncfs": _sync_filesystem,
        "sync-directory": _sync_directory,
        "sync-file": _sync_file,
        "reflink": _reflink,
        "xattr-user": _attribute("user.intact", b"value"),
        "xattr-capability": _capability,
        "modes": _modes,
        "chown-clears": _owner_clears,
    }
)
