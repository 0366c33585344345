"""A real second user, who swaps what stands in his directory while somebody else works there."""

import ctypes
import os
import random
import select
import shutil
import signal
import stat
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing import shared_memory
from pathlib import Path

__all__ = ["NOBODY", "Rival", "become", "described", "exchange", "rival_at_work"]

NOBODY = 65534
_EXCHANGE = 2
_AT_FDCWD = -100
_libc = ctypes.CDLL(None, use_errno=True)


def become(user: int) -> None:
    """Turn this process into one of another user, in no group but his."""
    os.setgroups([])
    os.setgid(user)
    os.setuid(user)


@dataclass(frozen=True)
class Rival:
    """What the other user has counted so far."""

    counters: memoryview

    @property
    def swaps(self) -> int:
        """How often he has exchanged something."""
        return int(self.counters[0])

    @property
    def secrets(self) -> int:
        """How often he has read what is not for him."""
        return int(self.counters[1])


def exchange(one: Path, other: Path) -> bool:
    """Swap two names with the system call that `pkg` uses itself."""
    done: int = _libc.renameat2(_AT_FDCWD, os.fsencode(one), _AT_FDCWD, os.fsencode(other), _EXCHANGE)
    return done == 0


def _lures(outside: Path) -> list[Callable[[Path], None]]:
    """Ways to make something that leads away, at a path."""
    return [
        lambda at: at.symlink_to(outside),
        lambda at: at.symlink_to(outside / "file"),
        lambda at: at.symlink_to("../../etc"),
        os.mkfifo,
        lambda at: at.mkdir(),
        lambda at: at.mkdir(0),
        lambda at: void(at.write_text("bait")),
    ]


def void(_value: object) -> None:
    """Drop a result."""


def _remove(path: Path) -> None:
    with suppress(OSError):
        path.unlink()
    with suppress(OSError):
        path.chmod(0o700)
    shutil.rmtree(path, ignore_errors=True)  # what root has written into his directory, too


def _swap_around(place: Path, outside: Path, secret: bytes, counters: memoryview) -> None:
    chance = random.Random(14)  # noqa: S311  a test wants the same order each time
    home, place = place, Path()  # he sits in it, also when it has been moved away
    lure = place / ".lure"
    links = [place / name for name in ("hard-1", "hard-2")]  # made by root, as before protected_hardlinks
    lures = _lures(outside)
    while True:
        if chance.random() < 0.05:
            with suppress(OSError):
                os.chdir(home)
        names = [place / name for name in ("sub", "file", "tool", "sub/inner", "secret")]
        victim = chance.choice(names)
        if chance.random() < 0.2:
            bait = chance.choice(links)
        else:
            bait = lure
            _remove(lure)
            with suppress(OSError):
                chance.choice(lures)(lure)
        if exchange(victim, bait):
            counters[0] += 1
            if chance.random() < 0.5:
                time.sleep(chance.random() * 0.003)
            if exchange(victim, bait):
                counters[0] += 1
            time.sleep(chance.random() * 0.004)
        for path in (place / "secret", lure):
            with suppress(OSError):
                fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
                if secret in os.read(fd, 1000):
                    counters[1] += 1
                os.close(fd)


@contextmanager
def rival_at_work(place: Path, outside: Path, secret: bytes) -> Iterator[Rival]:
    """Let uid 65534 swap what stands in his directory `place` for links to `outside`, until the end of the block."""
    shared = shared_memory.SharedMemory(create=True, size=24)
    assert shared.buf is not None
    counters = shared.buf.cast("q")
    child = os.fork()
    if child == 0:
        try:
            os.chdir(place)
            become(NOBODY)
            counters[2] = 1
            _swap_around(place, outside, secret, counters)
        except BaseException:  # noqa: BLE001  nobody else would tell
            traceback.print_exc()
        finally:
            os._exit(1)
    end = os.pidfd_open(child)
    try:
        while not counters[2]:
            time.sleep(0.001)
        yield Rival(counters)
        assert not select.select([end], [], [], 0)[0], "the other user has stopped early"
    finally:
        signal.pidfd_send_signal(end, signal.SIGKILL)
        os.waitpid(child, 0)
        os.close(end)
        counters.release()
        shared.close()
        shared.unlink()


def described(top: Path, *, links: bool = True) -> dict[str, tuple[object, ...]]:
    """Describe a tree completely: kinds, modes, owners, times, content, and link counts if asked for."""
    found: dict[str, tuple[object, ...]] = {}
    for path in [top, *sorted(top.rglob("*"))]:
        seen = path.lstat()
        content: object = ""
        if stat.S_ISREG(seen.st_mode):
            content = path.read_bytes()
        elif stat.S_ISLNK(seen.st_mode):
            content = str(path.readlink())
        found[str(path)] = (
            *(seen.st_mode, seen.st_uid, seen.st_gid, seen.st_mtime_ns, content),
            *((seen.st_nlink, seen.st_ctime_ns) if links else ()),
        )
    return found
