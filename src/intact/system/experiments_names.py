"""Acts. What do renames, links and names do here?"""

import os
from collections.abc import Mapping
from types import MappingProxyType

from intact.model.probes import Outcome, Result
from intact.system.experiments import attempt, content_of, make_file, name_of
from intact.system.scratch import Experiment
from intact.system.syscalls import RENAME_EXCHANGE, RENAME_NOREPLACE, link_open_file, renameat2

__all__ = ["NAME_EXPERIMENTS"]

_ONE, _OTHER = "one", "other"


def _two_files(directory: int) -> None:
    make_file(directory, _ONE, b"one")
    make_file(directory, _OTHER, b"other")


def _rename_over(directory: int) -> Outcome:
    _two_files(directory)
    done = attempt(lambda: os.rename(_ONE, _OTHER, src_dir_fd=directory, dst_dir_fd=directory))
    return _as_promised(done, content_of(directory, _OTHER) == b"one" and content_of(directory, _ONE) is None)


def _as_promised(done: Outcome, promise_kept: bool) -> Outcome:  # noqa: FBT001  the promise is the question
    if done.result is Result.DONE and not promise_kept:
        return Outcome(Result.IGNORED)
    return done


def _exchange(directory: int) -> Outcome:
    _two_files(directory)
    done = attempt(lambda: renameat2(directory, _ONE, directory, _OTHER, RENAME_EXCHANGE))
    now = content_of(directory, _ONE), content_of(directory, _OTHER)
    return _as_promised(done, now == (b"other", b"one"))


def _exchange_kinds(directory: int) -> Outcome:
    """Exchange a directory that is not empty with a symbolic link."""
    os.mkdir(_ONE, 0o700, dir_fd=directory)
    make_file(directory, f"{_ONE}/in", b"")
    os.symlink("elsewhere", _OTHER, dir_fd=directory)
    done = attempt(lambda: renameat2(directory, _ONE, directory, _OTHER, RENAME_EXCHANGE))
    return _as_promised(done, os.path.islink(_ONE) and os.path.lexists(f"{_OTHER}/in"))


def _noreplace(directory: int) -> Outcome:
    """Ask for a rename that spares what is there; the refusal of it (EEXIST) is what was asked for."""
    _two_files(directory)
    done = attempt(lambda: renameat2(directory, _ONE, directory, _OTHER, RENAME_NOREPLACE))
    if done.result is Result.DONE:
        return Outcome(Result.IGNORED)
    if done.errno != "EEXIST":
        return done
    return attempt(lambda: renameat2(directory, _ONE, directory, "free", RENAME_NOREPLACE))


def _hardlink(directory: int) -> Outcome:
    make_file(directory, _ONE, b"one")
    done = attempt(
        lambda: os.link(_ONE, _OTHER, src_dir_fd=directory, dst_dir_fd=directory, follow_symlinks=False)
    )
    return _as_promised(done, content_of(directory, _OTHER) == b"one")


def _rename_onto_link(directory: int) -> Outcome:
    """Rename one name of a file over another name of the same file: by rename(2) both stay."""
    done = _hardlink(directory)
    if done.result is not Result.DONE:
        return Outcome(Result.UNTRIED, done.errno, "there are no hardlinks here")
    done = attempt(lambda: os.rename(_ONE, _OTHER, src_dir_fd=directory, dst_dir_fd=directory))
    if done.result is not Result.DONE:
        return done
    return Outcome(Result.IGNORED, "", "both names stay") if os.path.lexists(_ONE) else done


def _symlink(directory: int) -> Outcome:
    done = attempt(lambda: os.symlink("elsewhere", _ONE, dir_fd=directory))
    return _as_promised(done, done.result is not Result.DONE or os.readlink(_ONE) == "elsewhere")


def _anonymous(directory: int) -> Outcome:
    """Write a file that has no name, and give it one."""
    try:
        fd = os.open(".", os.O_TMPFILE | os.O_RDWR | os.O_CLOEXEC, 0o600, dir_fd=directory)
    except OSError as error:
        return Outcome(Result.REFUSED, name_of(error))
    try:
        os.write(fd, b"one")
        done = attempt(lambda: link_open_file(fd, _ONE, directory))
    finally:
        os.close(fd)
    return _as_promised(done, content_of(directory, _ONE) == b"one")


def _stable_numbers(directory: int) -> Outcome:
    """Look whether a file is known by its inode number after a rename."""
    make_file(directory, _ONE, b"one")
    before = [os.lstat(_ONE).st_ino for _ in range(2)]
    os.rename(_ONE, _OTHER, src_dir_fd=directory, dst_dir_fd=directory)
    stable = {*before, os.lstat(_OTHER).st_ino} == {before[0]}
    return Outcome(Result.DONE if stable else Result.IGNORED)


def _fold_case(directory: int) -> Outcome:
    make_file(directory, "Name", b"")
    return Outcome(Result.SAME if os.path.lexists("nAME") else Result.DONE)


def _fold_unicode(directory: int) -> Outcome:
    composed, decomposed = "\u00e9".encode(), "e\u0301".encode()
    made = attempt(lambda: make_file(directory, composed, b""))
    if made.result is not Result.DONE:
        return made
    return Outcome(Result.SAME if os.path.lexists(decomposed) else Result.DONE)


def _any_bytes(directory: int) -> Outcome:
    done = attempt(lambda: make_file(directory, b"\xff\xfe", b""))
    return _as_promised(done, b"\xff\xfe" in os.listdir(b"."))


NAME_EXPERIMENTS: Mapping[str, Experiment] = MappingProxyType(
    {
        "rename-over": _rename_over,
        "exchange": _exchange,
        "exchange-directory": _exchange_kinds,
        "noreplace": _noreplace,
        "hardlink": _hardlink,
        "rename-onto-own-link": _rename_onto_link,
        "symlink": _symlink,
        "anonymous-file": _anonymous,
        "inode-numbers": _stable_numbers,
        "names-case": _fold_case,
        "names-unicode": _fold_unicode,
        "names-bytes": _any_bytes,
    }
)
